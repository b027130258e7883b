import { describe, expect, test } from "vitest";
import type { TokenCacheOptions } from "../../src/options.ts";
import type { TokenResult } from "../../src/client/result.ts";
import { memoryActivity } from "../../src/adapters/memory-activity.ts";
import { steerDates } from "../support/dates.ts";
import { hangableStore, type HangableStore } from "../support/hangable.ts";
import { virtualTime, type VirtualTime } from "../support/virtual-time.ts";
import { ADA, BEN, createWorld, READ, type Node, type World } from "../support/world.ts";

steerDates();

const READ_MS = 1_000;
const WRITE_MS = 2_000;
/** Cryptography in other threads may let the clock take some steps more. */
const SLACK_MS = 200;
const BOUND_MS = 5_000;
const HOUR_MS = 3_600_000;

interface Setting {
  readonly world: World;
  readonly time: VirtualTime;
  readonly link: HangableStore;
  readonly node: Node;
  signIn(user: string): Promise<NonNullable<TokenResult["account"]>>;
  silent(account: NonNullable<TokenResult["account"]>): Promise<TokenResult>;
}

function setting(options: Partial<TokenCacheOptions<never>> = {}): Setting {
  const time = virtualTime();
  const world = createWorld({ runtime: time.runtime });
  const link = hangableStore(world.store);
  const node = world.node({ store: link, runtime: time.runtime, maxStaleMs: 24 * HOUR_MS, ...options });
  return {
    world,
    time,
    link,
    node,
    async signIn(user) {
      const { value, error } = await time.until(node.signIn(user));
      if (error) throw error;
      return value!.account!;
    },
    silent: (account) => node.client.acquireTokenSilent({ account, scopes: READ }),
  };
}

describe("while the store hangs", () => {
  test("a user with a valid token is served, within one reading's budget", async () => {
    const { time, link, signIn, silent } = setting();
    const account = await signIn(ADA);
    await time.pass(BOUND_MS);
    link.hang();
    const { value, tookMs } = await time.until(silent(account));
    expect(value?.metadata).toMatchObject({ tokenSource: "cache", cacheLevel: "stale" });
    expect(tookMs).toBeLessThanOrEqual(READ_MS + SLACK_MS);
  });

  test("a user whose token has expired gets a new one, and nobody waits for more than the calls' budgets", async () => {
    const { time, link, node, signIn, silent } = setting();
    const account = await signIn(ADA);
    await time.runtime.advance(HOUR_MS);
    await time.pass(10);
    link.hang();
    const { value, tookMs } = await time.until(silent(account));
    expect(value?.metadata).toMatchObject({ tokenSource: "identity-provider", saved: false });
    // The record, the lease, the record once more; by then it is known that the store does not answer.
    expect(tookMs).toBeLessThanOrEqual(READ_MS + WRITE_MS + READ_MS + SLACK_MS);
    expect(node.cache.unsaved().entries).toBe(1);
  });

  test("a user of whom this process knows nothing is told to try again, not to sign in", async () => {
    const { world, time, link, signIn } = setting();
    const account = await signIn(ADA);
    const other = world.node({ store: link, runtime: time.runtime });
    link.hang();
    const { error, tookMs } = await time.until(other.client.acquireTokenSilent({ account, scopes: READ }));
    expect(error).toMatchObject({ code: "ERR_STORE_UNAVAILABLE", retryable: true });
    expect(tookMs).toBeLessThanOrEqual(READ_MS + SLACK_MS);
  });

  test("the application gets its own token from the identity provider", async () => {
    const { time, link, node } = setting();
    link.hang();
    const app = node.client.acquireTokenByClientCredential({ scopes: ["api://notes/.default"] });
    const { value } = await time.until(app);
    expect(value?.metadata).toMatchObject({ tokenSource: "identity-provider", saved: false });
  });

  test("a sign-in is not lost, and not held by the activity store either", async () => {
    const rows = hangableStore({ ...createWorld().store, activity: memoryActivity() });
    const { time, node } = setting({ activity: { store: rows.activity! } });
    rows.hang();
    const { value, tookMs } = await time.until(node.signIn(ADA));
    expect(value?.metadata.saved).toBe(true);
    expect(tookMs).toBeLessThanOrEqual(3 * READ_MS + SLACK_MS);
    expect(node.events.filter(({ type }) => type === "activity-failed").length).toBeGreaterThan(0);
  });

  test("a sign-out takes effect here at once, and in the store when it answers", async () => {
    const { world, time, link, node, signIn } = setting();
    const account = await signIn(ADA);
    link.hang();
    const { value, tookMs } = await time.until(node.client.signOutEverywhere(account));
    expect(value?.status).toBe("pending");
    expect(tookMs).toBeLessThanOrEqual(4 * READ_MS + SLACK_MS);
    expect(node.cache.unsaved().entries).toBeGreaterThan(0);
    link.resume();
    await time.pass(1_000);
    expect(node.cache.unsaved().entries).toBe(0);
    const elsewhere = world
      .node({ runtime: time.runtime })
      .client.acquireTokenSilent({ account, scopes: READ });
    expect((await time.until(elsewhere)).error).toMatchObject({ errorCode: "no_tokens_found" });
  });
});

test("30 s without the store, under load: all are served in time, nobody is challenged, all is stored after it", async () => {
  const { world, time, link, node, signIn, silent } = setting({ refreshLease: "advisory" });
  const accounts = [await signIn(ADA), await signIn(BEN)];
  await time.runtime.advance(HOUR_MS - 10_000);
  await time.pass(10);
  link.hang();
  const slow: number[] = [];
  const failed: unknown[] = [];
  const running: Promise<void>[] = [];
  for (let second = 0; second < 30; second += 1) {
    for (const account of accounts) {
      const began = time.runtime.monotonicNow();
      const done = silent(account).then(
        () => void slow.push(time.runtime.monotonicNow() - began),
        (error: unknown) => void failed.push(error),
      );
      running.push(done);
    }
    await time.pass(1_000);
  }
  expect(failed).toEqual([]);
  expect(Math.max(...slow)).toBeLessThanOrEqual(2 * READ_MS + WRITE_MS + SLACK_MS);
  const quick = slow.filter((ms) => ms <= READ_MS + SLACK_MS).length;
  expect(quick).toBeGreaterThanOrEqual(slow.length * 0.9);
  const refreshed = world.authority.count({ grant: "refresh_token" });
  expect(refreshed).toBe(2);
  expect(node.cache.unsaved().entries).toBe(2);

  link.resume();
  await time.pass(1_000);
  await Promise.all(running);
  expect(node.cache.unsaved().entries).toBe(0);
  const elsewhere = world.node({ runtime: time.runtime });
  for (const account of accounts) {
    const { value } = await time.until(elsewhere.client.acquireTokenSilent({ account, scopes: READ }));
    expect(value?.metadata.tokenSource).toBe("cache");
  }
  expect(world.authority.count({ grant: "refresh_token" })).toBe(refreshed);
});

describe("onStoreFailure", () => {
  test("is told what failed, and may have a failed call made once more", async () => {
    const told: string[] = [];
    const time = virtualTime();
    const world = createWorld({ runtime: time.runtime });
    let failing = 0;
    const get: typeof world.store.get = async (...how) => {
      if (failing-- > 0) throw new Error("connection reset");
      return world.store.get(...how);
    };
    const node = world.node({
      store: { ...world.store, get },
      runtime: time.runtime,
      onStoreFailure(error, operation) {
        told.push(`${operation} ${error.code}`);
        return true;
      },
    });
    const { value } = await time.until(node.signIn(ADA));
    const other = world.node({
      store: { ...world.store, get },
      runtime: time.runtime,
      onStoreFailure: () => true,
    });
    failing = 1;
    const served = await time.until(
      other.client.acquireTokenSilent({ account: value!.account!, scopes: READ }),
    );
    expect(served.value?.metadata.tokenSource).toBe("cache");
    failing = 1;
    await time.pass(BOUND_MS);
    await time.until(node.client.acquireTokenSilent({ account: value!.account!, scopes: READ }));
    expect(told.every((line) => line === "get ERR_STORE_UNAVAILABLE")).toBe(true);
  });

  test("that throws asks for nothing, and harms nobody", async () => {
    const time = virtualTime();
    const world = createWorld({ runtime: time.runtime });
    const link = hangableStore(world.store);
    const node = world.node({
      store: link,
      runtime: time.runtime,
      onStoreFailure() {
        throw new Error("mine");
      },
    });
    link.refuse();
    const { value } = await time.until(node.signIn(ADA));
    expect(value?.metadata.saved).toBe(false);
  });
});
