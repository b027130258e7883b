import { describe, expect, test } from "vitest";
import type { TokenResult } from "../../src/client/result.ts";
import { systemRuntime, type Runtime } from "../../src/runtime.ts";
import { DEFAULT_CLIENT_IDS } from "../../src/testing/authority/options.ts";
import { chaosStore } from "../support/chaos.ts";
import { collect } from "../support/collect.ts";
import { dateRuntime } from "../support/date-runtime.ts";
import { HOUR_MS, MINUTE_MS, passTime, steerDates } from "../support/dates.ts";
import { tapNetwork } from "../support/network.ts";
import { settle } from "../support/settle.ts";
import { ADA, BEN, READ, createWorld, type Node, type World } from "../support/world.ts";

steerDates();

const APP = ["api://notes/.default"];

interface Setting {
  readonly world: World;
  readonly node: Node;
  readonly ask: () => Promise<TokenResult | null>;
  readonly grant: "refresh_token" | "client_credentials";
  calls(): number;
}

const WAYS = ["silent", "client credentials"] as const;

/** Somebody has a token that is past its refresh-on, and good for most of an hour. */
async function pastRefreshOn(way: (typeof WAYS)[number], nodes: Partial<Runtime> = {}): Promise<Setting> {
  const world = createWorld({ lifetimes: { refreshInSeconds: 600 } });
  const node = world.node({ runtime: { ...dateRuntime(), ...nodes } });
  const { account } = await node.signIn(ADA);
  const grant = way === "silent" ? "refresh_token" : "client_credentials";
  const ask = (): Promise<TokenResult | null> =>
    way === "silent"
      ? node.client.acquireTokenSilent({ account: account!, scopes: READ })
      : node.client.acquireTokenByClientCredential({ scopes: APP });
  await ask();
  const before = world.authority.count({ grant });
  passTime(11 * MINUTE_MS);
  return { world, node, ask, grant, calls: () => world.authority.count({ grant }) - before };
}

/** A refresh that has begun is over when the cache has closed. */
const tokenInStore = async ({ world, node, ask }: Setting, way: string): Promise<TokenResult> => {
  const { account } = (await ask())!;
  await node.cache.close();
  const { client } = world.node();
  return (await (way === "silent"
    ? client.acquireTokenSilent({ account: account!, scopes: READ })
    : client.acquireTokenByClientCredential({ scopes: APP })))!;
};

describe.each(WAYS)("%s, past its refresh-on", (way) => {
  test("a token is served at once, while the provider still thinks about the next one", async () => {
    const setting = await pastRefreshOn(way);
    const { world, ask, calls } = setting;
    world.authority.pause();
    const old = (await ask())!;
    expect(old.metadata).toMatchObject({
      tokenSource: "cache",
      cacheRefreshReason: "proactively-refreshed",
    });
    await world.authority.whenHeld(1);
    // However often it is asked for meanwhile, and whenever.
    for (let second = 0; second < 5; second += 1) {
      passTime(1_000);
      for (let i = 0; i < 10; i += 1) expect((await ask())!.accessToken).toBe(old.accessToken);
    }
    world.authority.resume();
    await expect.poll(calls).toBe(1);
    await expect.poll(async () => (await ask())!.accessToken).not.toBe(old.accessToken);
    const next = (await ask())!;
    expect(next.metadata).toMatchObject({ tokenSource: "cache", cacheRefreshReason: "not-applicable" });
    expect(calls()).toBe(1);
  });

  test("is served from the store too, and renewed for it", async () => {
    const { world, ask, calls } = await pastRefreshOn(way);
    const { account, accessToken } = (await ask())!;
    await expect.poll(calls).toBe(1);
    const other = world.node({ runtime: dateRuntime(), l1: false });
    passTime(11 * MINUTE_MS);
    const find = (): Promise<TokenResult | null> =>
      way === "silent"
        ? other.client.acquireTokenSilent({ account: account!, scopes: READ })
        : other.client.acquireTokenByClientCredential({ scopes: APP });
    const found = (await find())!;
    expect(found.accessToken).not.toBe(accessToken);
    expect(found.metadata).toMatchObject({ cacheLevel: "L2", cacheRefreshReason: "proactively-refreshed" });
    await expect.poll(calls).toBe(2);
  });

  test.each(["500", "429", "reset"] as const)(
    "a refresh that fails (%s) is nobody's error, and is tried again after a pause that doubles",
    async (kind) => {
      const setting = await pastRefreshOn(way);
      const { world, ask, calls } = setting;
      const { accessToken } = (await ask())!;
      await expect.poll(calls).toBe(1);
      passTime(11 * MINUTE_MS);
      world.authority.failNext({ kind, count: 2, retryAfterSeconds: 0 });
      const served = async (): Promise<void> => {
        for (let i = 0; i < 5; i += 1) expect((await ask())!.accessToken).not.toBe(accessToken);
      };
      await served();
      await expect.poll(calls).toBe(2);
      await settle();
      passTime(14_000);
      await served();
      await settle();
      expect(calls()).toBe(2);
      passTime(2_000);
      await served();
      await expect.poll(calls).toBe(3);
      await settle();
      passTime(16_000);
      await served();
      await settle();
      expect(calls()).toBe(3);
      passTime(15_000);
      await served();
      await expect.poll(calls).toBe(4);
      expect(world.authority.count({ outcome: kind })).toBe(2);
    },
  );

  test("closing waits for a refresh that has begun, and its result is stored", async () => {
    const setting = await pastRefreshOn(way);
    const { world, ask, calls } = setting;
    world.authority.pause();
    const { accessToken } = (await ask())!;
    await world.authority.whenHeld(1);
    const stored = tokenInStore(setting, way);
    await settle();
    world.authority.resume();
    expect((await stored).accessToken).not.toBe(accessToken);
    expect(calls()).toBe(1);
  });

  test("closing drops a refresh that has not begun", async () => {
    const begun: (() => void)[] = [];
    const setting = await pastRefreshOn(way, {
      setTimer: (callback, delayMs, options) =>
        delayMs === 0 ? begun.push(callback) : systemRuntime.setTimer(callback, delayMs, options),
    });
    await setting.ask();
    expect(begun).toHaveLength(1);
    await setting.node.cache.close();
    begun[0]!();
    await settle();
    expect(setting.calls()).toBe(0);
  });
});

test("users who come all at once are renewed one after another, within a second", async () => {
  const delays: number[] = [];
  let drawn = 0;
  const world = createWorld({ lifetimes: { refreshInSeconds: 600 } });
  const node = world.node({
    coherenceBoundMs: HOUR_MS,
    runtime: {
      ...dateRuntime(),
      jitter: () => (drawn += 0.25) % 1,
      setTimer(work, ms) {
        // Long ones are budgets of calls.
        if (ms <= 1_000) delays.push(ms);
        return systemRuntime.setTimer(work, ms);
      },
    },
  });
  const accounts = [(await node.signIn(ADA)).account!, (await node.signIn(BEN)).account!];
  passTime(11 * MINUTE_MS);
  delays.length = 0;
  for (const account of accounts) await node.client.acquireTokenSilent({ account, scopes: READ });
  const [first, second] = delays;
  expect(delays).toHaveLength(2);
  expect(first).not.toBe(second);
  await node.cache.close();
});

test("a user who has signed out meanwhile is not renewed", async () => {
  const { world, node, ask, calls } = await pastRefreshOn("silent");
  const { account } = (await ask())!;
  await world.node().client.removeAccount(account!);
  await settle(50);
  await node.cache.close();
  expect(calls()).toBeLessThanOrEqual(1);
  await expect(
    world.node().client.acquireTokenSilent({ account: account!, scopes: READ }),
  ).rejects.toMatchObject({ reason: "no-tokens" });
});

test("a refused refresh token benches nobody before the token has really ended", async () => {
  const { world, node, ask, calls } = await pastRefreshOn("silent");
  world.authority.revokeUser(ADA);
  await ask();
  await expect.poll(calls).toBe(1);
  await settle();
  expect(await collect(node.cache.accounts())).toMatchObject([{ status: "ok", failure: undefined }]);
  expect((await ask())!.metadata.tokenSource).toBe("cache");
});

test("with the store down nothing is spent ahead of time", async () => {
  const world = createWorld({ lifetimes: { refreshInSeconds: 600 }, refreshTokens: "one-time" });
  const link = chaosStore(world.store);
  const node = world.node({ store: link, refreshTokens: "one-time", runtime: dateRuntime() });
  const { account } = await node.signIn(ADA);
  passTime(11 * MINUTE_MS);
  link.fail("all", { times: Infinity });
  const hit = await node.client.acquireTokenSilent({ account: account!, scopes: READ });
  expect(hit.metadata).toMatchObject({ tokenSource: "cache", cacheLevel: "stale" });
  await settle(50);
  expect(world.authority.count({ grant: "refresh_token" })).toBe(0);
});

test("MSAL tells the provider that it is asked ahead of time", async () => {
  const world = createWorld({ lifetimes: { refreshInSeconds: 600 } });
  const network = tapNetwork(world.authority.networkClient());
  const node = world.node({ runtime: dateRuntime() }, { system: { networkClient: network } });
  const { account } = await node.signIn(ADA);
  passTime(11 * MINUTE_MS);
  await node.client.acquireTokenSilent({ account: account!, scopes: READ });
  await expect.poll(() => network.posts.length).toBe(2);
  expect(network.posts[1]!.form.get("x-client-current-telemetry")).toMatch(/^5\|62,4,/);
});

test("on-behalf-of knows no refresh-on, as in MSAL", async () => {
  const world = createWorld({ lifetimes: { refreshInSeconds: 600 } });
  const node = world.node(
    { runtime: dateRuntime() },
    { auth: world.authority.msalAuth("contoso", DEFAULT_CLIENT_IDS.notes) },
  );
  const oboAssertion = (await node.signIn(ADA)).accessToken;
  const request = { oboAssertion, scopes: ["api://tasks/read"] };
  await node.client.acquireTokenOnBehalfOf(request);
  passTime(11 * MINUTE_MS);
  const hit = await node.client.acquireTokenOnBehalfOf(request);
  expect(hit!.metadata).toMatchObject({ tokenSource: "cache", cacheRefreshReason: "not-applicable" });
  await settle(20);
  expect(world.authority.count({ grant: "on_behalf_of" })).toBe(1);
});
