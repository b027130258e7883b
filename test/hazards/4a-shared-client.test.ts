/** 4a: one client object with a cache plugin, shared by many users. */
import type { ConfidentialClientApplication } from "@azure/msal-node";
import { describe, expect, test } from "vitest";
import { userPartition } from "../../src/client/partitions.ts";
import { memoryStore } from "../../src/adapters/memory.ts";
import { createLocalAuthority } from "../../src/testing/authority/index.ts";
import { createNode, createWorld, READ, WEB, type Node } from "../support/world.ts";
import { outcomesOf, ownersOf, people, storedBytes, storedFor, TASKS } from "./setting.ts";
import {
  byRequest,
  bySession,
  entries,
  ownersIn,
  sharedClient,
  vendorClient,
  vendorSignIn,
  vendorStore,
} from "./vendor.ts";

const USERS = people(10);
const names = USERS.map((user) => user.username);
const [first = "", second = "", third = ""] = names;

describe("users sign in one after the other", () => {
  test("vendor: all of them end up in the first one's blob, and silent calls find nothing", async () => {
    const authority = createLocalAuthority({ users: USERS });
    const store = vendorStore();
    const session = { key: "" };
    const client = sharedClient(authority, store, bySession(session));
    const accounts = [];
    for (const user of names) {
      session.key = authority.homeAccountId(user);
      accounts.push(await vendorSignIn(client, authority, user));
    }
    expect([...store.values.keys()]).toEqual([authority.homeAccountId(first)]);
    expect(new Set(ownersIn(store.values.get(authority.homeAccountId(first)))).size).toBe(10);
    const silent: Record<string, number> = {};
    for (const account of accounts) {
      session.key = account.homeAccountId;
      const call = client.acquireTokenSilent({ account, scopes: READ });
      for (const [outcome, count] of Object.entries(await outcomesOf([call]))) {
        silent[outcome] = (silent[outcome] ?? 0) + count;
      }
    }
    expect(silent).toEqual({ ok: 1, no_tokens_found: 9 });
  });

  test("vendor: with the right key too, each blob holds everybody before, and the store grows by the square", async () => {
    const sizes = new Map<number, number>();
    for (const count of [5, 10]) {
      const authority = createLocalAuthority({ users: USERS });
      const store = vendorStore();
      const requests = byRequest();
      const client = sharedClient(authority, store, requests);
      for (const user of names.slice(0, count)) {
        await requests.run(authority.homeAccountId(user), () => vendorSignIn(client, authority, user));
      }
      const owners = [...store.values.values()].map((text) => new Set(ownersIn(text)).size);
      expect(owners).toEqual(Array.from({ length: count }, (_, index) => index + 1));
      sizes.set(count, store.size());
    }
    expect(sizes.get(10)! / sizes.get(5)!).toBeGreaterThan(3);
  });

  test("tokenkeep: each record holds its own user alone, every silent call is served, the store grows with the users", async () => {
    const sizes = new Map<number, number>();
    for (const count of [5, 10]) {
      const world = createWorld({ users: USERS });
      const node = world.node();
      for (const user of names.slice(0, count)) {
        const { account } = await node.signIn(user);
        const silent = await node.client.acquireTokenSilent({ account: account!, scopes: READ });
        expect(silent.account?.username).toBe(user);
      }
      for (const user of names.slice(0, count)) {
        expect(ownersOf(await storedFor(world, user))).toEqual(
          new Set([world.authority.homeAccountId(user)]),
        );
      }
      sizes.set(count, await storedBytes(world));
    }
    expect(sizes.get(10)! / sizes.get(5)!).toBeLessThan(2.1);
  });
});

describe("users sign in and call at the same time", () => {
  test("vendor: calls fail with no_tokens_found, and blobs hold others' tokens", async () => {
    const authority = createLocalAuthority({ users: USERS });
    const store = vendorStore(4);
    const requests = byRequest();
    const { extractKey } = bySession({ key: "" });
    const client = sharedClient(authority, store, { ...requests, extractKey });
    const visit = async (user: string): Promise<void> => {
      const account = await vendorSignIn(client, authority, user);
      await client.acquireTokenSilent({ account, scopes: READ });
      await client.acquireTokenSilent({ account, scopes: TASKS });
    };
    const outcomes = await outcomesOf(
      names.map((user) => requests.run(authority.homeAccountId(user), () => visit(user))),
    );
    expect(outcomes["no_tokens_found"] ?? 0).toBeGreaterThan(0);
    const foreign = [...store.values].filter(([key, text]) => ownersIn(text).some((owner) => owner !== key));
    expect(foreign.length).toBeGreaterThan(0);
  });

  test("tokenkeep: every call is served, and no record holds anybody else", async () => {
    const world = createWorld({ users: USERS });
    const node = world.node();
    const visit = async (user: string): Promise<string[]> => {
      const { account } = await node.signIn(user);
      const read = await node.client.acquireTokenSilent({ account: account!, scopes: READ });
      const tasks = await node.client.acquireTokenSilent({ account: account!, scopes: TASKS });
      return [read.account!.username, tasks.account!.username];
    };
    expect(await Promise.all(names.map(visit))).toEqual(names.map((user) => [user, user]));
    for (const user of names) {
      const blob = await storedFor(world, user);
      expect(ownersOf(blob)).toEqual(new Set([world.authority.homeAccountId(user)]));
      expect(Object.keys(blob!.AccessToken)).toHaveLength(2);
    }
  });
});

describe("whose account is it", () => {
  test("vendor: getAllAccounts()[0] hands the third user a token of the first", async () => {
    const authority = createLocalAuthority({ users: USERS });
    const requests = byRequest();
    const client = sharedClient(authority, vendorStore(), requests);
    for (const user of [first, second, third]) {
      await requests.run(authority.homeAccountId(user), () => vendorSignIn(client, authority, user));
    }
    await requests.run(authority.homeAccountId(third), async () => {
      const [account] = await client.getTokenCache().getAllAccounts();
      const result = await client.acquireTokenSilent({ account: account!, scopes: READ });
      expect(result.account?.username).toBe(first);
    });
  });

  test("tokenkeep: an MSAL client with the plugin of the third user's partition knows the third user alone", async () => {
    const authority = createLocalAuthority({ users: USERS });
    const node = createNode(authority, { store: memoryStore() });
    for (const user of [first, second, third]) await node.signIn(user);
    const client = ownClient(authority, node, authority.homeAccountId(third));
    const accounts = await client.getTokenCache().getAllAccounts();
    expect(accounts.map((account) => account.username)).toEqual([third]);
    const result = await client.acquireTokenSilent({ account: accounts[0]!, scopes: READ });
    expect(result.account?.username).toBe(third);
  });

  test("vendor: an application token lands in the blob of whoever signed in", async () => {
    const authority = createLocalAuthority({ users: USERS });
    const store = vendorStore();
    const session = { key: authority.homeAccountId(first) };
    const client = sharedClient(authority, store, bySession(session));
    await vendorSignIn(client, authority, first);
    session.key = "app";
    await client.acquireTokenByClientCredential({ scopes: ["api://tasks/.default"] });
    expect([...store.values.keys()]).toEqual([authority.homeAccountId(first)]);
    const owners = entries(store.values.get(authority.homeAccountId(first)), "AccessToken");
    expect(owners.map((token) => token["home_account_id"])).toContain("");
  });

  test("tokenkeep: an application token has a record of its own", async () => {
    const world = createWorld({ users: USERS });
    const node = world.node();
    await node.signIn(first);
    const app = await node.client.acquireTokenByClientCredential({ scopes: ["api://tasks/.default"] });
    expect(app?.metadata.saved).toBe(true);
    expect(ownersOf(await storedFor(world, first))).toEqual(new Set([world.authority.homeAccountId(first)]));
    const { keys } = await world.store.admin.keys({ prefix: "", limit: 10 });
    expect(keys).toHaveLength(2);
  });
});

/** MSAL's own client for one user, with tokenkeep's plugin. */
function ownClient(
  authority: ReturnType<typeof createLocalAuthority>,
  node: Node,
  homeAccountId: string,
): ConfidentialClientApplication {
  const auth = authority.msalAuth("contoso", WEB);
  return vendorClient(authority, node.cache.plugin(userPartition(auth, homeAccountId)));
}
