import { expect, test } from "vitest";
import { DEFAULT_CLIENT_IDS } from "../../src/testing/index.ts";
import { ADA, BEN, CLEO, EXPIRED, playScenario, SIGN_IN_ONLY } from "./scenario.ts";

test("R32: with the client secret replaced at the provider a worker's run for three users stops after one call and benches nobody; with the new secret it resumes", () =>
  playScenario(async ({ authority, webApp, worker, browser }) => {
    // Every token has expired when it arrives, so that every run must ask the authority for every user.
    authority.setLifetimes(EXPIRED);
    const app = await webApp();
    for (const user of [ADA, BEN, CLEO]) await browser().signIn(app.origin, user, SIGN_IN_ONLY);
    const old = await worker();
    expect((await old.run()).map(({ outcome }) => outcome)).toEqual(["ok", "ok", "ok"]);
    const before = authority.count({ grant: "refresh_token" });
    expect(before).toBe(3);

    authority.rotateSecret(DEFAULT_CLIENT_IDS.web, "the secret after the rollover");
    const halted = await old.run();
    expect(halted).toHaveLength(3);
    for (const line of halted) expect(line).toMatchObject({ outcome: "failed", code: "invalid_client" });
    expect(authority.count({ grant: "refresh_token" })).toBe(before + 1);
    expect(authority.count({ outcome: "invalid_client" })).toBe(1);
    const rows = await old.accounts();
    expect(rows).toHaveLength(3);
    for (const row of rows) expect(row).toMatchObject({ status: "ok", failure: undefined });

    const auth = authority.msalAuth("organizations", DEFAULT_CLIENT_IDS.web);
    expect(auth.clientSecret).toBe("the secret after the rollover");
    const reloaded = await worker({ auth });
    expect((await reloaded.run()).map(({ outcome }) => outcome)).toEqual(["ok", "ok", "ok"]);
    return { authorize: 3, authorization_code: 3, refresh_token: 7 };
  }));
