import { describe, expect, test } from "vitest";
import { DEFAULT_CLIENT_IDS } from "../../src/testing/authority/options.ts";
import { chaosStore } from "../support/chaos.ts";
import { collect } from "../support/collect.ts";
import { ADA, BEN, READ, createWorld } from "../support/world.ts";

describe("MSAL's token cache, over a cache shared by many users", () => {
  test("getAccountByHomeId reads one user's partition and no other", async () => {
    const world = createWorld();
    const node = world.node();
    const { account } = await node.signIn(ADA);
    await node.signIn(BEN);
    const link = chaosStore(world.store);
    const other = world.node({ store: link });
    const found = await other.client.getTokenCache().getAccountByHomeId(account!.homeAccountId);
    expect(found).toMatchObject({
      homeAccountId: account!.homeAccountId,
      username: ADA,
      environment: account!.environment,
      tenantId: account!.tenantId,
      localAccountId: account!.localAccountId,
      name: account!.name,
    });
    expect(link.calls.filter((call) => call.operation === "get")).toHaveLength(1);
  });

  test("getAccountByHomeId is null for whoever has not signed in, or has signed out", async () => {
    const node = createWorld().node();
    const cache = node.client.getTokenCache();
    expect(await cache.getAccountByHomeId("nobody.at-all")).toBeNull();
    expect(await cache.getAccountByHomeId("")).toBeNull();
    const { account } = await node.signIn(ADA);
    await node.client.removeAccount(account!);
    expect(await cache.getAccountByHomeId(account!.homeAccountId)).toBeNull();
  });

  test("getAccountByHomeId fails, and is not null, where the store cannot answer", async () => {
    const world = createWorld();
    const { account } = await world.node().signIn(ADA);
    const link = chaosStore(world.store);
    link.fail("all", { times: Infinity });
    const node = world.node({ store: link });
    await expect(
      node.client.getTokenCache().getAccountByHomeId(account!.homeAccountId),
    ).rejects.toMatchObject({ retryable: true });
  });

  test("getAllAccounts lists this application's users from the index, and getAccountByLocalId finds one", async () => {
    const node = createWorld().node();
    const { account } = await node.signIn(ADA);
    await node.signIn(BEN);
    const cache = node.client.getTokenCache();
    expect((await cache.getAllAccounts()).map((each) => each.username).toSorted()).toEqual([ADA, BEN]);
    expect(await cache.getAccountByLocalId(account!.localAccountId)).toMatchObject({ username: ADA });
    expect(await cache.getAccountByLocalId("nobody")).toBeNull();
  });

  test("getAllAccounts leaves another application's users out", async () => {
    const world = createWorld();
    const node = world.node();
    await node.signIn(ADA);
    const other = world.node({}, { auth: world.authority.msalAuth("contoso", DEFAULT_CLIENT_IDS.notes) });
    expect(await other.client.getTokenCache().getAllAccounts()).toEqual([]);
  });

  test("removeAccount signs out; with the store down it fails with a retryable error", async () => {
    const world = createWorld();
    const link = chaosStore(world.store);
    const node = world.node({ store: link });
    const { account } = await node.signIn(ADA);
    link.fail("all", { times: Infinity });
    await expect(node.client.getTokenCache().removeAccount(account!)).rejects.toMatchObject({
      retryable: true,
    });
    link.heal();
    await node.client.getTokenCache().removeAccount(account!);
    expect(await node.client.getTokenCache().getAccountByHomeId(account!.homeAccountId)).toBeNull();
    expect(await collect(node.cache.accounts())).toEqual([]);
  });

  test.each(["serialize", "deserialize", "getKVStore", "getCacheSnapshot"] as const)(
    "%s is refused: there is no memory of one client",
    (method) => {
      const cache = createWorld().node().client.getTokenCache();
      expect(() => (cache[method] as (text: string) => unknown)("{}")).toThrow(
        expect.objectContaining({ code: "ERR_NOT_SUPPORTED" }),
      );
    },
  );

  test("says that it has no unsaved changes of its own", () => {
    expect(createWorld().node().client.getTokenCache().hasChanged()).toBe(false);
  });
});

test("clearCache empties memory and nothing else", async () => {
  const world = createWorld();
  const node = world.node();
  const { account, accessToken } = await node.signIn(ADA);
  node.client.clearCache();
  const hit = await node.client.acquireTokenSilent({ account: account!, scopes: READ });
  expect(hit).toMatchObject({ accessToken, metadata: { cacheLevel: "L2" } });
});

test("a sign-out that had to wait takes the activity row with it when the account is next asked for", async () => {
  const world = createWorld();
  const link = chaosStore(world.store);
  const node = world.node({ store: link });
  const { account } = await node.signIn(ADA);
  link.fail("all", { times: Infinity });
  expect(await node.client.removeAccount(account!)).toMatchObject({ status: "pending" });
  link.heal();
  await node.cache.close();
  const worker = world.node({}, { role: "worker" });
  expect(await collect(worker.cache.accounts())).toHaveLength(1);
  await expect(worker.client.acquireTokenSilent({ account: account!, scopes: READ })).rejects.toMatchObject({
    errorCode: "no_tokens_found",
  });
  expect(await collect(worker.cache.accounts())).toEqual([]);
});
