/** 4a: signing one of several users out. */
import { describe, expect, test } from "vitest";
import { createLocalAuthority } from "../../src/testing/authority/index.ts";
import { ADA, BEN, createWorld, READ } from "../support/world.ts";
import { outcomesOf, ownersOf, storedFor, TASKS } from "./setting.ts";
import {
  byRequest,
  bySession,
  entries,
  ownersIn,
  perRequest,
  seed,
  sharedClient,
  vendorSignIn,
  vendorStore,
} from "./vendor.ts";

describe("one user signs out of an application that others use too", () => {
  test("vendor: the refresh token stays in another user's blob, and the account comes back with that", async () => {
    const authority = createLocalAuthority();
    const store = vendorStore();
    const requests = byRequest();
    const client = sharedClient(authority, store, requests);
    const [ada, ben] = [authority.homeAccountId(ADA), authority.homeAccountId(BEN)];
    const account = await requests.run(ada, () => vendorSignIn(client, authority, ADA));
    const other = await requests.run(ben, () => vendorSignIn(client, authority, BEN));
    await requests.run(ada, () => client.getTokenCache().removeAccount(account));
    expect(ownersIn(store.values.get(ben))).toContain(ada);
    await requests.run(ben, () => client.acquireTokenSilent({ account: other, scopes: READ }));
    const known = await requests.run(ben, () => client.getTokenCache().getAllAccounts());
    expect(known.map(({ username }) => username)).toContain(ADA);
  });

  test("vendor: the blob of whoever is first is written instead, and the tokens stay where they were", async () => {
    const authority = createLocalAuthority();
    const store = vendorStore();
    const session = { key: "" };
    const client = sharedClient(authority, store, bySession(session));
    const [ada, ben] = [await seed(authority, store, ADA), await seed(authority, store, BEN)];
    for (const account of [ada, ben]) {
      session.key = account.homeAccountId;
      await client.getTokenCache().getAllAccounts();
    }
    session.key = ada.homeAccountId;
    await client.getTokenCache().removeAccount(ada);
    expect(ownersIn(store.values.get(ada.homeAccountId))).toEqual([ada.homeAccountId]);
  });

  test("vendor: a home account id in capitals removes nothing at all", async () => {
    const authority = createLocalAuthority();
    const store = vendorStore();
    const account = await seed(authority, store, ADA);
    const client = perRequest(authority, store, account.homeAccountId);
    const shouted = { ...account, homeAccountId: account.homeAccountId.toUpperCase() };
    await client.getTokenCache().removeAccount(shouted);
    const text = store.values.get(account.homeAccountId);
    expect(entries(text, "Account")).toHaveLength(1);
    expect(entries(text, "AccessToken")).toHaveLength(1);
    expect(entries(text, "RefreshToken")).toHaveLength(1);
  });

  test.for(["as it is", "in capitals"])(
    "tokenkeep: nothing of the user is left anywhere, and no call brings it back (id %s)",
    async (spelling) => {
      const world = createWorld();
      const [web, other] = [world.node(), world.node()];
      const ada = (await web.signIn(ADA)).account!;
      const ben = (await web.signIn(BEN)).account!;
      await other.client.acquireTokenSilent({ account: ada, scopes: READ });
      const homeAccountId = spelling === "in capitals" ? ada.homeAccountId.toUpperCase() : ada.homeAccountId;
      const outcome = await web.client.removeAccount({ ...ada, homeAccountId });
      expect(outcome).toEqual({ status: "done", durable: true });
      for (const node of [web, other]) {
        await node.client.acquireTokenSilent({ account: ben, scopes: TASKS });
        const again = [node.client.acquireTokenSilent({ account: ada, scopes: READ })];
        expect(await outcomesOf(again)).toEqual({ no_tokens_found: 1 });
        const accounts = await node.client.getTokenCache().getAllAccounts();
        expect(accounts.map(({ username }) => username)).toEqual([BEN]);
      }
      expect(await storedFor(world, ADA)).toBeUndefined();
      expect(ownersOf(await storedFor(world, BEN))).toEqual(new Set([ben.homeAccountId]));
    },
  );
});

describe("the same user signs in again from another browser", () => {
  test("vendor: the tokens gathered so far are overwritten", async () => {
    const authority = createLocalAuthority();
    const store = vendorStore();
    const account = await seed(authority, store, ADA);
    const client = perRequest(authority, store, account.homeAccountId);
    await client.acquireTokenSilent({ account, scopes: TASKS });
    expect(entries(store.values.get(account.homeAccountId), "AccessToken")).toHaveLength(2);
    // Before the answer nobody knows whose session this will be.
    await vendorSignIn(sharedClient(authority, store, bySession({ key: "" })), authority, ADA);
    expect(entries(store.values.get(account.homeAccountId), "AccessToken")).toHaveLength(1);
  });

  test("tokenkeep: the tokens gathered so far are kept beside the new ones", async () => {
    const world = createWorld();
    const web = world.node();
    const account = (await web.signIn(ADA)).account!;
    await web.client.acquireTokenSilent({ account, scopes: TASKS });
    const tasks = world.authority.count({ grant: "refresh_token" });
    const other = world.node();
    await other.signIn(ADA);
    const hit = await other.client.acquireTokenSilent({ account, scopes: TASKS });
    expect(hit.metadata.tokenSource).toBe("cache");
    expect(world.authority.count({ grant: "refresh_token" })).toBe(tasks);
  });
});
