import { expect, test } from "vitest";
import { ADA, BEN, CLEO, EXPIRED, LASTING, playScenario, SIGN_IN_ONLY } from "./scenario.ts";

test("R16: a background worker acts for three users while the web app is down, refreshes what has expired, and the restarted web app goes on with the worker's tokens", () =>
  playScenario(
    async ({ authority, api, webApp, worker, browser, userRecords }) => {
      const app = await webApp();
      const [ada, ben, cleo] = [browser(), browser(), browser()];
      await ada.signIn(app.origin, ADA);
      await cleo.signIn(app.origin, CLEO);
      authority.setLifetimes(EXPIRED);
      // Without a page afterwards: it would renew the token.
      expect(await ben.signIn(app.origin, BEN, SIGN_IN_ONLY)).toMatchObject({ status: 404 });
      authority.setLifetimes(LASTING);
      expect(await app.stop()).toMatchObject({ code: 0 });
      const signInCalls = authority.calls.length;

      const background = await worker();
      const byUser = new Map((await background.run()).map((line) => [line.user, line]));
      const fromStore = { source: "cache", level: "L2" };
      expect(byUser.get(ADA)).toMatchObject({
        outcome: "ok",
        served: { tokenUser: ADA, ...fromStore },
        profile: { name: "Ada Palmer", username: ADA },
      });
      expect(byUser.get(CLEO)).toMatchObject({
        outcome: "ok",
        served: { tokenUser: CLEO, ...fromStore },
        profile: { name: "Cleo Marsh", username: CLEO },
      });
      expect(byUser.get(BEN)).toMatchObject({
        outcome: "ok",
        served: { tokenUser: BEN, source: "identity-provider", saved: true },
        profile: { name: "Ben Okafor", username: BEN },
      });
      expect(byUser.size).toBe(3);
      expect(api.calls.toSorted()).toEqual([ADA, BEN, CLEO]);
      const workerCalls = authority.calls.slice(signInCalls);
      expect(workerCalls).toMatchObject([{ grant: "refresh_token", user: BEN, outcome: "ok" }]);
      const accounts = await background.accounts();
      expect(accounts).toHaveLength(3);
      for (const { status, lastSignInAt, lastWorkerRunAt } of accounts) {
        expect(status).toBe("ok");
        expect(lastWorkerRunAt).toBeGreaterThanOrEqual(lastSignInAt ?? Infinity);
      }

      // Every refresh token is good for one use: only the one that the worker stored can be used now.
      const again = await webApp();
      for (const [device, user] of [
        [ada, ADA],
        [ben, BEN],
        [cleo, CLEO],
      ] as const) {
        expect(await device.get(`${again.origin}/me`)).toMatchObject({
          status: 200,
          body: { user, tokenUser: user, ...fromStore },
        });
      }
      expect(await ben.get(`${again.origin}/me?force=yes`)).toMatchObject({
        status: 200,
        body: { user: BEN, source: "identity-provider", saved: true },
      });
      const refreshed = authority.calls.filter(({ grant }) => grant === "refresh_token");
      expect(new Set(refreshed.map((call) => call.refreshTokenFingerprint)).size).toBe(2);
      expect(await userRecords()).toHaveLength(3);
      return { authorize: 3, authorization_code: 3, refresh_token: 2 };
    },
    { refreshTokens: "one-time" },
  ));

test("R16: a worker that is started before anybody has signed in, and again after a crash, finds the users who are there then", () =>
  playScenario(async ({ authority, webApp, worker, browser, crash }) => {
    const first = await worker();
    expect(await first.run()).toEqual([]);
    const app = await webApp();
    await browser().signIn(app.origin, ADA);
    expect(await first.run()).toMatchObject([{ user: ADA, outcome: "ok" }]);
    await crash(first);
    const second = await worker();
    expect(await second.run()).toMatchObject([{ user: ADA, outcome: "ok", served: { source: "cache" } }]);
    expect(authority.count({ grant: "refresh_token" })).toBe(0);
    return { authorize: 1, authorization_code: 1 };
  }));
