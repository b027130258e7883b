import { expect, test } from "vitest";
import { DEFAULT_CLIENT_IDS } from "../../src/testing/index.ts";
import type { SignOutOutcome } from "../../src/index.ts";
import type { ActedFor } from "./children/settings.ts";
import { ADA, NOTES, playScenario } from "./scenario.ts";

test("R7: one call signs a user out in every way and in every process: tokens, assertions, processes, and the index", () =>
  playScenario(async ({ authority, webApp, worker, browser, records }) => {
    // An API that users also sign in to, so that everything belongs to one application.
    const settings = {
      auth: authority.msalAuth("organizations", DEFAULT_CLIENT_IDS.notes),
      scopes: [NOTES],
      coherenceBoundMs: 1,
    };
    const laptop = browser();
    const app = await webApp(settings);
    const workers = [await worker(settings), await worker(settings)];
    await laptop.signIn(app.origin, ADA);
    await workers[0]!.ask("begin-process", "job");
    const warm = { silent: "cache", onBehalfOf: "cache", inProcess: "cache" };
    expect(await workers[0]!.ask("act-for-user", "job")).toEqual({
      ...warm,
      onBehalfOf: "identity-provider",
    });
    expect(await workers[1]!.ask("act-for-user", "job")).toEqual(warm);
    expect(await laptop.get(`${app.origin}/me`)).toMatchObject({ body: { source: "cache" } });

    const outcome = await workers[1]!.ask<SignOutOutcome>("sign-out-everywhere");
    expect(outcome).toEqual({ status: "done", durable: true });
    expect(await laptop.get(`${app.origin}/me`)).toMatchObject({ status: 401 });
    for (const background of workers) {
      expect(await background.accounts()).toEqual([]);
      const ended = await background.ask<ActedFor>("act-for-user", "job");
      expect(ended).toMatchObject({ onBehalfOf: "ERR_SIGNED_OUT", inProcess: "ERR_PROCESS_UNKNOWN" });
    }
    const types = (await records()).map(({ kind, record }) => `${kind} ${record.type}`);
    expect(types.filter((type) => type.endsWith("tokens"))).toEqual([]);
    return { authorize: 1, authorization_code: 1, on_behalf_of: 2 };
  }));
