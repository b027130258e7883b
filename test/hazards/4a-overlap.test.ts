/** 4a: calls of a shared client that overlap. */
import {
  DistributedCachePlugin,
  type AccountInfo,
  type AuthenticationResult,
  type ICacheClient,
} from "@azure/msal-node";
import { describe, expect, test } from "vitest";
import { userPartition } from "../../src/client/partitions.ts";
import { memoryStore } from "../../src/adapters/memory.ts";
import { createLocalAuthority } from "../../src/testing/authority/index.ts";
import { createNode, createWorld, READ, REDIRECT_URI, WEB } from "../support/world.ts";
import { atOnce, outcomesOf, ownersOf, people, storedFor, TASKS } from "./setting.ts";
import {
  byKey,
  byRequest,
  eventLoopTurns,
  ownersIn,
  seed,
  sharedClient,
  stoppedOnce,
  vendorClient,
  vendorStore,
} from "./vendor.ts";

const USERS = people(10);
const names = USERS.map((user) => user.username);
const [first = "", second = ""] = names;

describe("only silent calls, for users whose blobs are in good order", () => {
  test("vendor: a hit of one user during a refresh of another mixes the two", async () => {
    const authority = createLocalAuthority({ users: USERS });
    const store = vendorStore();
    const [one, two] = [await seed(authority, store, first), await seed(authority, store, second)];
    const requests = byRequest();
    const client = sharedClient(authority, store, requests);
    authority.pause();
    const refresh = requests.run(one.homeAccountId, () =>
      client.acquireTokenSilent({ account: one, scopes: TASKS }),
    );
    await authority.whenHeld(1);
    await requests.run(two.homeAccountId, () => client.acquireTokenSilent({ account: two, scopes: READ }));
    authority.resume();
    await refresh;
    expect(new Set(ownersIn(store.values.get(one.homeAccountId)))).toEqual(
      new Set([one.homeAccountId, two.homeAccountId]),
    );
  });

  test("tokenkeep: a hit of one user during a refresh of another leaves both records their own", async () => {
    const world = createWorld({ users: USERS });
    const node = world.node({ l1: false });
    const [one, two] = [(await node.signIn(first)).account!, (await node.signIn(second)).account!];
    world.authority.pause();
    const refresh = node.client.acquireTokenSilent({ account: one, scopes: TASKS });
    await world.authority.whenHeld(1);
    await node.client.acquireTokenSilent({ account: two, scopes: READ });
    world.authority.resume();
    await refresh;
    expect(ownersOf(await storedFor(world, first))).toEqual(new Set([one.homeAccountId]));
    expect(ownersOf(await storedFor(world, second))).toEqual(new Set([two.homeAccountId]));
  });

  test("vendor: one await behind the load, and a call of another user takes the tokens away", async () => {
    const authority = createLocalAuthority({ users: USERS });
    const store = vendorStore();
    const [one, two] = [await seed(authority, store, first), await seed(authority, store, second)];
    const requests = byRequest();
    const slow = stoppedOnce(new DistributedCachePlugin(store, requests), "behind the load");
    const client = vendorClient(authority, slow.plugin);
    const hit = (account: AccountInfo): Promise<AuthenticationResult> =>
      requests.run(account.homeAccountId, () => client.acquireTokenSilent({ account, scopes: READ }));
    const overlapped = outcomesOf([hit(one)]);
    await slow.stopped;
    await hit(two);
    slow.release();
    expect(await overlapped).toEqual({ no_tokens_found: 1 });
  });

  test("vendor: in a client of one user too, as soon as two calls overlap", async () => {
    const authority = createLocalAuthority({ users: USERS });
    const store = vendorStore();
    const account = await seed(authority, store, first);
    const gate = gateAt(2);
    const asked: ICacheClient = { ...store, get: (key) => gate.pass().then(() => store.get(key)) };
    const slow = stoppedOnce(new DistributedCachePlugin(asked, byKey(account.homeAccountId)), "at the end");
    const client = vendorClient(authority, slow.plugin);
    const overlapped = outcomesOf([client.acquireTokenSilent({ account, scopes: READ })]);
    await slow.stopped;
    // It empties the memory before it reads.
    const other = client.acquireTokenSilent({ account, scopes: READ, redirectUri: REDIRECT_URI });
    await gate.reached;
    slow.release();
    expect(await overlapped).toEqual({ no_tokens_found: 1 });
    gate.open();
    await other;
  });

  test("tokenkeep: a store that takes its time fails no overlapping call", async () => {
    const authority = createLocalAuthority({ users: USERS });
    const node = createNode(authority, { store: unhurriedStore(), l1: false });
    const accounts = [];
    for (const user of names) accounts.push((await node.signIn(user)).account!);
    const calls = [...accounts, ...accounts].map(async (account, index) => {
      const scopes = [...READ, ...(index % 2 ? ["openid"] : [])];
      const result = await node.client.acquireTokenSilent({ account, scopes });
      expect(result.account?.username).toBe(account.username);
    });
    expect(await outcomesOf(calls)).toEqual({ ok: 20 });
  });

  test("tokenkeep: overlapping calls of an MSAL client with its plugin find the user's tokens", async () => {
    const authority = createLocalAuthority({ users: USERS });
    const node = createNode(authority, { store: unhurriedStore(), l1: false });
    const account = (await node.signIn(first)).account!;
    const partition = userPartition(authority.msalAuth("contoso", WEB), account.homeAccountId);
    const client = vendorClient(authority, node.cache.plugin(partition));
    const outcomes = await outcomesOf(
      atOnce(10, (index) =>
        client.acquireTokenSilent({ account, scopes: READ, redirectUri: `http://r/${index}` }),
      ),
    );
    expect(outcomes).toEqual({ ok: 10 });
  });

  test("tokenkeep: a call that empties the memory of such a client fails no other that is under way", async () => {
    const authority = createLocalAuthority({ users: USERS });
    const store = memoryStore();
    const gate = gateAt(2);
    const asked = {
      ...store,
      get: ((key, options) => gate.pass().then(() => store.get(key, options))) as typeof store.get,
    };
    const account = (await createNode(authority, { store }).signIn(first)).account!;
    const node = createNode(authority, { store: asked, l1: false });
    const partition = userPartition(authority.msalAuth("contoso", WEB), account.homeAccountId);
    const slow = stoppedOnce(node.cache.plugin(partition), "at the end");
    const client = vendorClient(authority, slow.plugin);
    const overlapped = outcomesOf([client.acquireTokenSilent({ account, scopes: READ })]);
    await slow.stopped;
    const other = client.acquireTokenSilent({ account, scopes: READ, redirectUri: REDIRECT_URI });
    await gate.reached;
    slow.release();
    expect(await overlapped).toEqual({ ok: 1 });
    gate.open();
    expect((await other).account?.username).toBe(first);
  });
});

/** Every read takes a few turns of the event loop. */
function unhurriedStore(): ReturnType<typeof memoryStore> {
  const store = memoryStore();
  let calls = 0;
  return {
    ...store,
    async get(key, options) {
      await eventLoopTurns(1 + ((calls += 1) % 4));
      return store.get(key, options);
    },
  };
}

/** Holds the `count`th call back until it is opened. */
function gateAt(count: number): { pass(): Promise<void>; readonly reached: Promise<void>; open(): void } {
  const reached = Promise.withResolvers<void>();
  const opened = Promise.withResolvers<void>();
  let calls = 0;
  return {
    reached: reached.promise,
    open: opened.resolve,
    async pass() {
      if ((calls += 1) !== count) return;
      reached.resolve();
      await opened.promise;
    },
  };
}
