import { afterEach, beforeAll, afterAll, describe, expect, test, vi } from "vitest";
import type { TokenResult } from "../../src/client/result.ts";
import type { TokenCacheOptions } from "../../src/options.ts";
import { startFaultProxy, type Fault, type FaultProxy } from "../services/fault-proxy.ts";
import { codeOf } from "../attacks/support.ts";
import { sharedStores, type SharedServer } from "./shared-stores.ts";
import { createNode, createWorld, READ, testKeys, type Authority, type Node } from "../support/world.ts";

// Real seconds pass: the bounds that are promised are bounds of real time.
vi.setConfig({ testTimeout: 120_000, hookTimeout: 60_000 });

const BOUND_MS = 1_000;
const BUDGETS = { read: 500, write: 1_000 };
/** A test machine is busy with other tests. */
const BUSY_MS = 1_000;
const USERS = Array.from({ length: 20 }, (_, index) => `user${index}`);

type Account = NonNullable<TokenResult["account"]>;
type CacheOptions = Partial<TokenCacheOptions<never>>;

const closing: (() => Promise<unknown> | void)[] = [];

afterEach(async () => {
  for (const close of closing.splice(0).toReversed()) await close();
});

const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

function people(): Authority {
  const world = createWorld({
    users: USERS.map((name) => ({
      username: `${name}@contoso.example`,
      name,
      tenant: "contoso",
    })),
  });
  return world.authority;
}

let farms = 0;

/** One process: its own client, its own link. */
async function nodeOf(
  authority: Authority,
  server: SharedServer,
  { port, name, ...options }: CacheOptions & { readonly port: number; readonly name: string },
): Promise<Node> {
  const { store, close } = await server.open(port, name);
  const node = createNode(authority, {
    store,
    keys: testKeys(),
    namespace: name,
    coherenceBoundMs: BOUND_MS,
    storeBudgetMs: BUDGETS,
    ...options,
  });
  closing.push(async () => {
    await node.cache.close();
    await close();
  });
  return node;
}

interface Farm {
  readonly authority: Authority;
  readonly near: Node;
  readonly far: Node;
  readonly proxy: FaultProxy;
  readonly accounts: readonly Account[];
  silent(node: Node, account: Account): Promise<TokenResult>;
}

/** Two processes; all the links of the second one pass the proxy, and it has everybody's tokens in memory. */
async function farm(server: SharedServer, options: CacheOptions = {}): Promise<Farm> {
  const authority = people();
  const proxy = await startFaultProxy(server.port);
  closing.push(() => proxy.close());
  farms += 1;
  const name = `farm${farms}`;
  const near = await nodeOf(authority, server, { port: server.port, name });
  const far = await nodeOf(authority, server, { port: proxy.port, name, ...options });
  const silent = (node: Node, account: Account): Promise<TokenResult> =>
    node.client.acquireTokenSilent({ account, scopes: READ });
  const accounts: Account[] = [];
  for (const name of USERS) accounts.push((await near.signIn(`${name}@contoso.example`)).account!);
  for (const account of accounts) await silent(far, account);
  return { authority, near, far, proxy, accounts, silent };
}

/** How many are still served. */
async function served({ far, accounts, silent }: Farm): Promise<number> {
  const codes = await Promise.all(accounts.map((account) => codeOf(silent(far, account))));
  return codes.filter((code) => code === undefined).length;
}

async function signOutAll({ near, accounts }: Farm, before = (): void => undefined): Promise<void> {
  for (const account of accounts) {
    before();
    expect(await near.client.removeAccount(account as never)).toMatchObject({ status: "done" });
  }
}

describe.each(sharedStores)("$name: a sign-out on another process", ({ start }) => {
  let server: SharedServer;
  beforeAll(async () => {
    server = await start();
  });
  afterAll(() => server.stop());

  test("is told by messages while all is well: 0 of 20 are served, long before any bound", async () => {
    const all = await farm(server, { coherenceBoundMs: 600_000 });
    expect(await served(all)).toBe(20);
    await signOutAll(all);
    await vi.waitFor(async () => expect(await served(all)).toBe(0), { timeout: 10_000 });
  });

  test("is seen although the subscriber's socket is killed each time: 0 of 20 are served after the bound", async () => {
    const all = await farm(server);
    await signOutAll(all, () => all.proxy.cutAll());
    await pause(BOUND_MS);
    expect(await served(all)).toBe(0);
  });

  test("is seen when it came while the link was cut, once the process can ask again: 0 of 20", async () => {
    const all = await farm(server);
    all.proxy.set({ kind: "refuse" });
    await signOutAll(all);
    all.proxy.heal();
    await pause(BOUND_MS);
    await vi.waitFor(async () => expect(await served(all)).toBe(0), { timeout: BOUND_MS + BUSY_MS });
  });

  test.each<Fault>([{ kind: "half-open" }, { kind: "blackhole" }])(
    "ends what a process without fail-safe serves, also over a link that is $kind: 0 of 20 after the bound",
    async (fault) => {
      const all = await farm(server, { failSafe: false });
      expect(await served(all)).toBe(20);
      all.proxy.set(fault);
      await signOutAll(all);
      await pause(BOUND_MS);
      expect(await served(all)).toBe(0);
      all.proxy.heal();
    },
  );
});

/** What becomes of requests that go on for so long. */
async function load(
  { far, accounts, silent }: Farm,
  lastsMs: number,
): Promise<{ readonly longestMs: number; readonly codes: readonly string[]; readonly answers: number }> {
  const codes: string[] = [];
  const running: Promise<void>[] = [];
  let longestMs = 0;
  let answers = 0;
  const until = performance.now() + lastsMs;
  const one = async (account: Account): Promise<void> => {
    const began = performance.now();
    const code = await codeOf(silent(far, account));
    longestMs = Math.max(longestMs, performance.now() - began);
    if (code === undefined) answers += 1;
    else codes.push(code);
  };
  while (performance.now() < until) {
    for (const account of accounts) running.push(one(account));
    await pause(100);
  }
  await Promise.all(running);
  return { longestMs, codes: [...new Set(codes)], answers };
}

const OUTAGES: readonly (readonly [string, Fault, number])[] = [
  ["is stopped for half a minute", { kind: "refuse" }, 30_000],
  ["hangs", { kind: "blackhole" }, 2_500],
  ["is half open", { kind: "half-open" }, 2_500],
  ["is slower than anybody waits", { kind: "delay", ms: 3_000 }, 2_500],
];

describe.each(sharedStores)("$name: R27: a store that", ({ start }) => {
  let server: SharedServer;
  beforeAll(async () => {
    server = await start();
  });
  afterAll(() => server.stop());

  test.each(OUTAGES)(
    "%s, under load: users are served in time, nobody is challenged, and all that was renewed is stored after it",
    async (_how, fault, lastsMs) => {
      const all = await farm(server, { maxStaleMs: 3_600_000 });
      const { authority, near, far, proxy, accounts, silent } = all;
      // Half of them need a new token during the outage.
      const half = accounts.slice(0, 10);
      await pause(BOUND_MS);
      proxy.set(fault);
      const renewals = half.map((account) =>
        far.client.acquireTokenSilent({ account, scopes: ["api://tasks/read"] }),
      );
      const { longestMs, codes, answers } = await load(all, lastsMs);
      const renewed = await Promise.all(renewals);
      expect(codes).toEqual([]);
      expect(answers).toBeGreaterThan(20);
      expect(renewed.every(({ metadata }) => metadata.tokenSource === "identity-provider")).toBe(true);
      // The record, the lease, the record once more, at most; a hit waits for one reading.
      expect(longestMs).toBeLessThanOrEqual(2 * BUDGETS.read + BUDGETS.write + BUSY_MS);
      expect(far.cache.unsaved().entries).toBe(10);

      proxy.heal();
      // The client finds its way back by itself; from then on it is a matter of a second.
      await vi.waitFor(() => expect(far.cache.unsaved().entries).toBeLessThan(10), {
        timeout: 10_000,
        interval: 5,
      });
      await vi.waitFor(() => expect(far.cache.unsaved().entries).toBe(0), { timeout: 1_000, interval: 5 });

      const asked = authority.count({ grant: "refresh_token" });
      for (const account of half) {
        const elsewhere = await near.client.acquireTokenSilent({ account, scopes: ["api://tasks/read"] });
        expect(elsewhere.metadata.tokenSource).toBe("cache");
      }
      for (const account of accounts)
        expect((await silent(near, account)).metadata.tokenSource).toBe("cache");
      expect(authority.count({ grant: "refresh_token" })).toBe(asked);
    },
  );

  test("is killed and started again keeps what it had, and gets what was renewed meanwhile", async () => {
    const all = await farm(server, { maxStaleMs: 3_600_000 });
    const { authority, near, far, accounts, silent } = all;
    await pause(BOUND_MS);
    await server.kill();
    const renewed = await Promise.all(
      accounts
        .slice(0, 5)
        .map((account) => far.client.acquireTokenSilent({ account, scopes: ["api://tasks/read"] })),
    );
    expect(renewed.every(({ metadata }) => !metadata.saved)).toBe(true);
    expect(await served(all)).toBe(20);
    await server.restart();
    await vi.waitFor(() => expect(far.cache.unsaved().entries).toBe(0), { timeout: 10_000, interval: 10 });
    const asked = authority.count({ grant: "refresh_token" });
    for (const account of accounts) expect((await silent(near, account)).metadata.tokenSource).toBe("cache");
    for (const [index, account] of accounts.slice(0, 5).entries()) {
      const there = await near.client.acquireTokenSilent({ account, scopes: ["api://tasks/read"] });
      expect(there.accessToken).toBe(renewed[index]!.accessToken);
    }
    expect(authority.count({ grant: "refresh_token" })).toBe(asked);
  });
});
