import { expect, test } from "vitest";
import { systemRuntime, type Runtime } from "../../src/index.ts";
import { ADA, BEN, EXPIRED, LASTING, playScenario, SIGN_IN_ONLY, type Scenario } from "./scenario.ts";

const SIGNED_OUT = { status: 401, body: { code: "no_tokens_found" } };

/** What lies in the store under users' keys. */
async function typesOf({ userRecords }: Scenario): Promise<string[]> {
  return (await userRecords()).map(({ record }) => record.type);
}

test("R6: after sign-out the store holds no tokens, no process serves any, and the index does not name the user", () =>
  playScenario(async (scenario) => {
    const { authority, webApp, worker, browser } = scenario;
    const [laptop, phone, ben] = [browser(), browser(), browser()];
    const app = await webApp();
    const background = await worker();
    await laptop.signIn(app.origin, ADA);
    await phone.signIn(app.origin, ADA);
    await ben.signIn(app.origin, BEN);
    expect((await background.run()).map(({ outcome }) => outcome)).toEqual(["ok", "ok"]);

    expect(await laptop.post(`${app.origin}/sign-out`)).toMatchObject({
      status: 200,
      body: { status: "done", durable: true },
    });
    expect((await typesOf(scenario)).toSorted()).toEqual(["removed", "tokens"]);
    expect(await phone.get(`${app.origin}/me`)).toMatchObject(SIGNED_OUT);
    expect(await background.run()).toMatchObject([{ user: BEN, outcome: "ok" }]);
    expect((await background.accounts()).map(({ username }) => username)).toEqual([BEN]);
    // The other user is not concerned.
    expect(await ben.get(`${app.origin}/me`)).toMatchObject({ status: 200, body: { user: BEN } });

    // Only a sign-in brings them back.
    expect(await laptop.signIn(app.origin, ADA)).toMatchObject({ status: 200, body: { user: ADA } });
    expect((await background.run()).map(({ user }) => user).toSorted()).toEqual([ADA, BEN]);
    expect(authority.count({ grant: "refresh_token" })).toBe(0);
    return { authorize: 4, authorization_code: 4 };
  }));

test.each([
  { where: "in the same process", elsewhere: false },
  { where: "in another process", elsewhere: true },
])(
  "R6: a slow refresh that began before sign-out, $where, does not bring the account back",
  ({ elsewhere }) =>
    playScenario(async (scenario) => {
      const { authority, webApp, worker, browser } = scenario;
      const [laptop, phone] = [browser(), browser()];
      const app = await webApp();
      const refresher = elsewhere ? await webApp() : app;
      const background = await worker();
      await laptop.signIn(app.origin, ADA);
      await phone.signIn(refresher.origin, ADA);

      authority.pause();
      const slow = phone.get(`${refresher.origin}/me?force=yes`);
      await authority.whenHeld(1);
      expect(await laptop.post(`${app.origin}/sign-out`)).toMatchObject({ body: { status: "done" } });
      // Nobody joins or waits for what is under way: the authority is still held back.
      expect(await phone.get(`${app.origin}/me?force=yes`)).toMatchObject(SIGNED_OUT);
      authority.resume();
      // Whoever was waiting gets the token they asked for; it is not kept.
      expect(await slow).toMatchObject({ status: 200, body: { source: "identity-provider", saved: false } });

      expect(await typesOf(scenario)).toEqual(["removed"]);
      expect(await background.accounts()).toEqual([]);
      for (const origin of [app.origin, refresher.origin]) {
        expect(await phone.get(`${origin}/me`)).toMatchObject(SIGNED_OUT);
      }
      expect(await background.run()).toEqual([]);
      return { authorize: 2, authorization_code: 2, refresh_token: 1 };
    }),
);

test("R6: a process that has the tokens in memory serves them no longer, once its bound for staleness has passed", () =>
  playScenario(async ({ webApp, browser }) => {
    const [laptop, phone] = [browser(), browser()];
    const app = await webApp();
    // Shorter than a round trip: what another process did before a request, the request sees.
    const other = await webApp({ coherenceBoundMs: 1 });
    await laptop.signIn(app.origin, ADA);
    await phone.signIn(other.origin, ADA);
    expect(await phone.get(`${other.origin}/me`)).toMatchObject({ body: { source: "cache" } });
    expect(await laptop.post(`${app.origin}/sign-out`)).toMatchObject({ body: { status: "done" } });
    expect(await phone.get(`${other.origin}/me`)).toMatchObject(SIGNED_OUT);
    return { authorize: 2, authorization_code: 2 };
  }));

test("R6: a slow refresh by the worker that began before a sign-out and a new sign-in does not touch the new tokens", () => {
  const slow = slowCalls();
  return playScenario(
    async ({ authority, webApp, worker, browser, userRecords }) => {
      const laptop = browser();
      const app = await webApp();
      const background = await worker();
      authority.setLifetimes(EXPIRED);
      await laptop.signIn(app.origin, ADA, SIGN_IN_ONLY);
      authority.setLifetimes(LASTING);

      authority.failNext({ kind: "slow", grant: "refresh_token" });
      const run = background.run();
      await slow.begun;
      expect(await laptop.post(`${app.origin}/sign-out`)).toMatchObject({ body: { status: "done" } });
      expect(await laptop.signIn(app.origin, ADA)).toMatchObject({ status: 200, body: { user: ADA } });
      const signedIn = await userRecords();
      slow.goOn();
      expect(await run).toMatchObject([{ user: ADA, outcome: "ok", served: { saved: false } }]);

      expect(signedIn).toMatchObject([{ record: { type: "tokens" } }]);
      expect(await userRecords()).toEqual(signedIn);
      expect(await background.run()).toMatchObject([
        { user: ADA, outcome: "ok", served: { source: "cache" } },
      ]);
      return { authorize: 2, authorization_code: 2, refresh_token: 1 };
    },
    { runtime: slow.runtime },
  );
});

/** Lets a test say how long a slow call of the authority takes. */
function slowCalls(): { readonly runtime: Runtime; readonly begun: Promise<void>; goOn(): void } {
  const { promise: begun, resolve: begin } = Promise.withResolvers<void>();
  const waiting: (() => void)[] = [];
  const setTimer = (callback: () => void): void => {
    waiting.push(callback);
    begin();
  };
  return { runtime: { ...systemRuntime, setTimer }, begun, goOn: () => waiting.forEach((go) => go()) };
}

test("R6: a sign-out that the store does not take is reported as pending, holds in this process at once, and lands before the process ends", () =>
  playScenario(async (scenario) => {
    const { webApp, browser, lockStore } = scenario;
    const [laptop, phone] = [browser(), browser()];
    const app = await webApp({ lockTimeoutMs: 200 });
    await laptop.signIn(app.origin, ADA);
    await phone.signIn(app.origin, ADA);
    const locked = lockStore();
    expect(await laptop.post(`${app.origin}/sign-out`)).toMatchObject({
      status: 200,
      body: { status: "pending" },
    });
    expect(await phone.get(`${app.origin}/me`)).toMatchObject(SIGNED_OUT);
    expect(await typesOf(scenario)).toEqual(["tokens"]);
    locked.release();
    expect(await app.stop()).toMatchObject({ code: 0, closed: { lost: 0 } });
    expect(await typesOf(scenario)).toEqual(["removed"]);
    return { authorize: 2, authorization_code: 2 };
  }));
