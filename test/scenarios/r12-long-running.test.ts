import { expect, test } from "vitest";
import { DEFAULT_CLIENT_IDS } from "../../src/testing/authority/options.ts";
import { HOUR_MS, passTime, steerDates } from "../support/dates.ts";
import { claimsOf } from "../support/network.ts";
import { ADA, createWorld } from "../support/world.ts";

steerDates();

test("R12: a job goes on for a user after their assertion has expired, in other processes and for other scopes, until it is stopped", async () => {
  const world = createWorld();
  const { authority } = world;
  const api = () => world.node({}, { auth: authority.msalAuth("contoso", DEFAULT_CLIENT_IDS.notes) }).client;
  const { accessToken: oboAssertion } = await world.node({ namespace: "web" }).signIn(ADA);
  const begun = await api().initiateLongRunningProcessInWebApi({
    oboAssertion,
    scopes: ["api://tasks/read"],
  });
  const key = begun.longRunningProcessSessionKey;
  const goOn = (scopes: string[]) =>
    api().acquireTokenInLongRunningProcess({ longRunningProcessSessionKey: key, scopes });

  for (let hours = 0; hours < 3; hours += 1) {
    passTime(2 * HOUR_MS);
    const { accessToken, metadata } = await goOn(["api://tasks/read"]);
    expect(claimsOf(accessToken)["preferred_username"]).toBe(ADA);
    expect(metadata.saved).toBe(true);
  }
  expect((await goOn(["api://tasks/write"])).scopes).toContain("api://tasks/write");
  expect((await goOn(["api://tasks/write"])).metadata.tokenSource).toBe("cache");
  expect(authority.count({ grant: "on_behalf_of" })).toBe(1);
  expect(authority.count({ grant: "refresh_token" })).toBe(4);

  expect(await api().stopLongRunningProcessInWebApi(key)).toEqual({ status: "done", durable: true });
  const unknown = { code: "ERR_PROCESS_UNKNOWN", retryable: false };
  await expect(goOn(["api://tasks/read"])).rejects.toMatchObject(unknown);
  const never = { longRunningProcessSessionKey: "never begun", scopes: ["api://tasks/read"] };
  await expect(api().acquireTokenInLongRunningProcess(never)).rejects.toMatchObject(unknown);
  expect(authority.count({ grant: "refresh_token" })).toBe(4);
});
