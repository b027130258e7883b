import { expect, test } from "vitest";
import type { Served } from "./children/settings.ts";
import { createWorld, WEB } from "../support/world.ts";
import { playScenario } from "./scenario.ts";

const SCOPES = ["api://notes/.default"];

test("R13: three processes of a daemon that start at once ask for its token once, and all have it", () =>
  playScenario(async ({ authority, worker }) => {
    const settings = { auth: authority.msalAuth("contoso", WEB) };
    const daemons = await Promise.all([worker(settings), worker(settings), worker(settings)]);
    authority.pause();
    const asked = daemons.map((daemon) => daemon.ask<Served>("app-token", SCOPES));
    await authority.whenHeld(1);
    authority.resume();
    const tokens = await Promise.all(asked);
    expect(new Set(tokens.map(({ fingerprint }) => fingerprint)).size).toBe(1);
    expect(tokens.map(({ source }) => source).toSorted()).toEqual(["cache", "cache", "identity-provider"]);
    return { client_credentials: 1 };
  }));

test("R13: a secret that the provider refuses is sent once, however often a token is asked for", async () => {
  const world = createWorld();
  const node = world.node();
  world.authority.rotateSecret(WEB, "another");
  for (let round = 0; round < 5; round += 1) {
    const asked = node.client.acquireTokenByClientCredential({ scopes: SCOPES });
    await expect(asked).rejects.toMatchObject({ code: "ERR_CONFIGURATION", retryable: false });
  }
  expect(world.authority.count({ grant: "client_credentials" })).toBe(1);
});
