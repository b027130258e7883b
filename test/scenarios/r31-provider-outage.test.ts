import { expect, test } from "vitest";
import { ADA, BEN, EXPIRED, LASTING, playScenario, SIGN_IN_ONLY, TASKS } from "./scenario.ts";

test("R31: with the identity provider down whoever has a valid token is served, also in its last minutes; what must be renewed is a retryable 503, and nobody is told to sign in", () =>
  playScenario(async ({ authority, webApp, worker, browser }) => {
    const app = await webApp();
    const [ada, ben] = [browser(), browser()];
    authority.setLifetimes(LASTING);
    await ada.signIn(app.origin, ADA);
    authority.setLifetimes(EXPIRED);
    await ben.signIn(app.origin, BEN, SIGN_IN_ONLY);
    const background = await worker();

    authority.failNext({ kind: "503", count: 1_000, retryAfterSeconds: 60 });
    for (let visit = 0; visit < 3; visit += 1) {
      expect(await ada.get(`${app.origin}/me`)).toMatchObject({
        status: 200,
        body: { user: ADA, source: "cache", nearExpiry: false },
      });
      // Ben's token is in the minutes in which MSAL would renew it.
      expect(await ben.get(`${app.origin}/me`)).toMatchObject({
        status: 200,
        body: { user: BEN, source: "cache", nearExpiry: true },
      });
    }
    expect(await ada.get(`${app.origin}/me?scopes=${TASKS}`)).toMatchObject({
      status: 503,
      body: { code: "server_error" },
    });
    // Ben is known to have had trouble; he is not asked to do anything about it.
    const statuses = new Map((await background.accounts()).map((row) => [row.username, row]));
    for (const user of [ADA, BEN]) {
      expect(statuses.get(user)).toMatchObject({
        status: "retry-later",
        failure: { code: "server_error", attempts: 1 },
      });
    }
    const calls = authority.count({ grant: "refresh_token" });
    // One for each user: the provider has asked for a minute's peace.
    expect(calls).toBe(2);

    authority.reset();
    const later = await webApp();
    authority.setLifetimes(LASTING);
    expect(await ben.get(`${later.origin}/me`)).toMatchObject({
      status: 200,
      body: { user: BEN, source: "identity-provider", nearExpiry: false },
    });
    return { refresh_token: 1 };
  }));
