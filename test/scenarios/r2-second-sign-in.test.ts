import { expect, test } from "vitest";
import {
  ADA,
  EXPIRED,
  LASTING,
  NOTES,
  playScenario,
  SIGN_IN_ONLY,
  TASKS,
  type Scenario,
} from "./scenario.ts";

/** How many access and refresh tokens the one user's record holds. */
async function tokensOf(scenario: Scenario): Promise<{ accessTokens: string[]; refreshTokens: number }> {
  const [lying, ...others] = await scenario.userRecords();
  expect(others).toEqual([]);
  if (lying?.record.type !== "tokens") throw new Error("the user has no tokens");
  const { blob } = lying.record;
  return {
    accessTokens: Object.values(blob.AccessToken).map((token) => token.target.split(" ")[0] ?? ""),
    refreshTokens: Object.values(blob.RefreshToken).length,
  };
}

test("R2: a user who signs in from a second browser for another resource keeps the tokens of the first", () =>
  playScenario(async (scenario) => {
    const { authority, webApp, browser } = scenario;
    const [laptop, phone] = [browser(), browser()];
    const notes = await webApp({ scopes: [NOTES] });
    const tasks = await webApp({ scopes: [TASKS] });
    expect(await laptop.signIn(notes.origin, ADA)).toMatchObject({ body: { user: ADA, scopes: [NOTES] } });
    expect(await phone.signIn(tasks.origin, ADA)).toMatchObject({ body: { user: ADA, scopes: [TASKS] } });

    const fresh = await webApp();
    for (const device of [laptop, phone]) {
      for (const scope of [NOTES, TASKS]) {
        expect(await device.get(`${fresh.origin}/me?scopes=${scope}`)).toMatchObject({
          status: 200,
          body: { user: ADA, tokenUser: ADA, scopes: [scope], source: "cache" },
        });
      }
    }
    const held = await tokensOf(scenario);
    expect(held.accessTokens.toSorted()).toEqual([NOTES, TASKS]);
    expect(held.refreshTokens).toBe(1);
    expect(authority.count({ grant: "refresh_token" })).toBe(0);
    return { authorize: 2, authorization_code: 2 };
  }));

test("R2: two sign-ins that are redeemed by two processes at the same moment both stay, and so does what a third one refreshed meanwhile", () =>
  playScenario(async (scenario) => {
    const { authority, webApp, browser } = scenario;
    const [laptop, phone, tablet] = [browser(), browser(), browser()];
    const notes = await webApp({ scopes: [NOTES] });
    const tasks = await webApp({ scopes: [TASKS] });
    authority.setLifetimes(EXPIRED);
    await tablet.signIn(notes.origin, ADA, SIGN_IN_ONLY);
    authority.setLifetimes(LASTING);

    const redirects = [
      await laptop.signInUpToRedirect(notes.origin, ADA),
      await phone.signInUpToRedirect(tasks.origin, ADA),
    ] as const;
    authority.pause();
    const pages = Promise.all([
      laptop.get(redirects[0]),
      phone.get(redirects[1]),
      tablet.get(`${tasks.origin}/me?scopes=api://tasks/write`),
    ]);
    await authority.whenHeld(3);
    authority.resume();
    expect(await pages).toMatchObject([
      { status: 200, body: { user: ADA, scopes: [NOTES] } },
      { status: 200, body: { user: ADA, scopes: [TASKS] } },
      { status: 200, body: { user: ADA, scopes: ["api://tasks/write"], saved: true } },
    ]);

    const fresh = await webApp();
    for (const scope of [NOTES, TASKS, "api://tasks/write"]) {
      expect(await tablet.get(`${fresh.origin}/me?scopes=${scope}`)).toMatchObject({
        body: { scopes: [scope], source: "cache" },
      });
    }
    expect((await tokensOf(scenario)).refreshTokens).toBe(1);
    expect(await tablet.get(`${fresh.origin}/me?force=yes`)).toMatchObject({
      body: { source: "identity-provider", saved: true },
    });
    return { authorize: 3, authorization_code: 3, refresh_token: 2 };
  }));
