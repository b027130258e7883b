import { expect, test } from "vitest";
import { ADA, BEN, EXPIRED, LASTING, playScenario, SIGN_IN_ONLY } from "./scenario.ts";

test("R21: whoever signs in on one process of a farm is served by all of them, without another call", () =>
  playScenario(async ({ webApp, browser }) => {
    const [laptop, phone] = [browser(), browser()];
    const farm = [await webApp(), await webApp(), await webApp()];
    await laptop.signIn(farm[0]!.origin, ADA);
    await phone.signIn(farm[2]!.origin, BEN);
    for (let turn = 0; turn < 12; turn += 1) {
      const { origin } = farm[turn % farm.length]!;
      for (const [who, user] of [
        [laptop, ADA],
        [phone, BEN],
      ] as const) {
        expect(await who.get(`${origin}/me`)).toMatchObject({
          status: 200,
          body: { user, tokenUser: user, source: "cache" },
        });
      }
    }
    return { authorize: 2, authorization_code: 2 };
  }));

test("R21: what one process renews, the others find, also when all of them are asked at once", () =>
  playScenario(async ({ authority, webApp, browser }) => {
    const laptop = browser();
    const farm = [await webApp(), await webApp(), await webApp()];
    authority.setLifetimes(EXPIRED);
    await laptop.signIn(farm[0]!.origin, ADA, SIGN_IN_ONLY);
    authority.setLifetimes(LASTING);
    const renewed = await laptop.get(`${farm[1]!.origin}/me`);
    expect(renewed).toMatchObject({ status: 200, body: { source: "identity-provider", saved: true } });
    const { fingerprint } = renewed.body as { fingerprint: string };
    for (const { origin } of [farm[0]!, farm[2]!]) {
      expect(await laptop.get(`${origin}/me`)).toMatchObject({ body: { source: "cache", fingerprint } });
    }

    const crowd = farm.flatMap(({ origin }) =>
      [1, 2, 3, 4].map(() => laptop.get(`${origin}/me?scopes=api://tasks/read`)),
    );
    const prints = (await Promise.all(crowd)).map(
      ({ body }) => (body as { fingerprint: string }).fingerprint,
    );
    expect(new Set(prints).size).toBe(1);
    return { authorize: 1, authorization_code: 1, refresh_token: 2 };
  }));

test("R21: a sign-out on one process ends the session on all of them", () =>
  playScenario(async ({ webApp, browser }) => {
    const laptop = browser();
    const phone = browser();
    // Shorter than a round trip: what one process did before a request, the others know at it.
    const farm = [
      await webApp({ coherenceBoundMs: 1 }),
      await webApp({ coherenceBoundMs: 1 }),
      await webApp({ coherenceBoundMs: 1 }),
    ];
    await laptop.signIn(farm[0]!.origin, ADA);
    await phone.signIn(farm[1]!.origin, ADA);
    for (const { origin } of farm) await phone.get(`${origin}/me`);
    expect(await laptop.post(`${farm[2]!.origin}/sign-out`)).toMatchObject({ body: { status: "done" } });
    for (const { origin } of farm) expect(await phone.get(`${origin}/me`)).toMatchObject({ status: 401 });
    return { authorize: 2, authorization_code: 2 };
  }));
