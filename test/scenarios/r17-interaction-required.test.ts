import { expect, test } from "vitest";
import type { Run } from "./children/settings.ts";
import { ADA, BEN, CLEO, EXPIRED, playScenario, SIGN_IN_ONLY, type Scenario } from "./scenario.ts";

async function signInThree({ webApp, browser }: Scenario) {
  const app = await webApp();
  const ben = browser();
  for (const [device, user] of [
    [browser(), ADA],
    [ben, BEN],
    [browser(), CLEO],
  ] as const) {
    await device.signIn(app.origin, user, SIGN_IN_ONLY);
  }
  return { app, ben };
}

const tally = (run: readonly Run[]): Record<string, string> =>
  Object.fromEntries(run.map(({ user, outcome }) => [user, outcome]));

test("R17: a revoked user is benched with a reason and costs no further calls; signing in again serves them again", () =>
  playScenario(async (scenario) => {
    const { authority, worker } = scenario;
    // Every token has expired when it arrives, so that every run must ask the authority for every user.
    authority.setLifetimes(EXPIRED);
    const { app, ben } = await signInThree(scenario);
    const background = await worker();
    const all = { [ADA]: "ok", [BEN]: "ok", [CLEO]: "ok" };
    expect(tally(await background.run())).toEqual(all);
    expect(authority.count({ grant: "refresh_token" })).toBe(3);

    authority.revokeUser(BEN);
    const benched = await background.run();
    expect(tally(benched)).toEqual({ ...all, [BEN]: "needs-interaction" });
    expect(benched.find(({ user }) => user === BEN)).toMatchObject({ code: "invalid_grant" });
    expect((await background.accounts()).find(({ username }) => username === BEN)).toMatchObject({
      status: "needs-interaction",
      failure: { code: "invalid_grant", attempts: 1, nextAttemptAt: undefined },
    });
    expect(authority.count({ grant: "refresh_token", user: BEN })).toBe(2);

    expect(tally(await background.run())).toEqual({ [ADA]: "ok", [CLEO]: "ok" });
    expect(authority.count({ grant: "refresh_token", user: BEN })).toBe(2);

    expect(await ben.signIn(app.origin, BEN, SIGN_IN_ONLY)).toMatchObject({ status: 404 });
    expect((await background.accounts()).find(({ username }) => username === BEN)).toMatchObject({
      status: "ok",
      failure: undefined,
    });
    expect(tally(await background.run())).toEqual(all);
    // Runs asked for 3, 3, 2 and 3 users.
    return { authorize: 4, authorization_code: 4, refresh_token: 11 };
  }));

test("R17: the claims that the worker was refused for are kept, and one step-up in the web app with them serves the user again", () =>
  playScenario(async (scenario) => {
    const { authority, worker } = scenario;
    authority.setLifetimes(EXPIRED);
    const { app, ben } = await signInThree(scenario);
    const background = await worker();
    const claims = JSON.stringify({ access_token: { acrs: { essential: true, value: "c1" } } });
    authority.requireClaims(BEN, claims, { until: "sign-in" });
    expect(tally(await background.run())).toMatchObject({ [BEN]: "needs-interaction" });
    const [row] = (await background.accounts()).filter(({ username }) => username === BEN);
    expect(row?.failure?.claims).toBe(claims);
    expect(tally(await background.run())).not.toHaveProperty(BEN);

    expect(await ben.signIn(app.origin, BEN, "/step-up")).toMatchObject({ status: 200, body: { user: BEN } });
    expect(tally(await background.run())).toEqual({ [ADA]: "ok", [BEN]: "ok", [CLEO]: "ok" });
    // Runs asked for 3, 2 and 3 users, the page for one.
    return { authorize: 4, authorization_code: 4, refresh_token: 9 };
  }));
