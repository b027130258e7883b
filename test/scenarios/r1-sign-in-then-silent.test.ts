import { expect, test } from "vitest";
import { ADA, EXPIRED, LASTING, playScenario } from "./scenario.ts";

test("R1: a user signs in over HTTP; the restarted app serves them without a call, and refreshes once when the token has expired", () =>
  playScenario(async ({ authority, webApp, browser }) => {
    const ada = browser();
    const first = await webApp();
    authority.setLifetimes(LASTING);
    expect(await ada.signIn(first.origin, ADA)).toMatchObject({
      url: `${first.origin}/me`,
      status: 200,
      body: { user: ADA, tokenUser: ADA, source: "cache", level: "L1" },
    });
    await first.stop();

    const second = await webApp();
    expect(await ada.get(`${second.origin}/me`)).toMatchObject({
      status: 200,
      body: { user: ADA, tokenUser: ADA, source: "cache", level: "L2" },
    });
    expect(await ada.get(`${second.origin}/me`)).toMatchObject({ body: { source: "cache", level: "L1" } });
    expect(authority.calls.map((call) => call.grant)).toEqual(["authorize", "authorization_code"]);

    // A token that has expired takes the place of the lasting one, and is renewed once for all who ask, in both processes.
    authority.setLifetimes(EXPIRED);
    expect(await ada.get(`${second.origin}/me?force=yes`)).toMatchObject({
      body: { source: "identity-provider", saved: true },
    });
    authority.setLifetimes(LASTING);
    const other = await webApp();
    const origins = Array.from({ length: 20 }, (_, index) => (index % 2 === 0 ? second : other).origin);
    const crowd = await Promise.all(origins.map((origin) => ada.get(`${origin}/me`)));
    expect(new Set(crowd.map(({ status }) => status))).toEqual(new Set([200]));
    expect(authority.count({ grant: "refresh_token" })).toBe(2);
    await second.stop();

    const third = await webApp();
    expect(await ada.get(`${third.origin}/me`)).toMatchObject({ body: { source: "cache", level: "L2" } });
    return { authorize: 1, authorization_code: 1, refresh_token: 2 };
  }));

test("R1: with the store down a sign-in fails as retryable before the code is spent, and the same redirect works afterwards", () =>
  playScenario(async ({ authority, webApp, browser, lockStore, records }) => {
    const app = await webApp({ lockTimeoutMs: 200 });
    const ada = browser();
    const redirect = await ada.signInUpToRedirect(app.origin, ADA);
    const locked = lockStore();
    expect(await ada.get(redirect)).toMatchObject({ status: 503, body: { code: "ERR_STORE_UNAVAILABLE" } });
    locked.release();
    expect(authority.count({ grant: "authorization_code" })).toBe(0);
    expect(await records()).toEqual([]);
    expect(await ada.get(redirect)).toMatchObject({ status: 200, body: { user: ADA } });
    // Once more, as a reload does it: home, signed in as before, and the code is not redeemed again.
    expect(await ada.get(redirect)).toMatchObject({ status: 200, body: { user: ADA } });
    return { authorize: 1, authorization_code: 1 };
  }));
