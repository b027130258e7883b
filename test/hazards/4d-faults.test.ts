/** 4d: the store fails, or a sign-out meets a refresh. */
import { AuthError, type ICacheClient } from "@azure/msal-node";
import { describe, expect, test } from "vitest";
import { isRetryable } from "../../src/errors.ts";
import { createLocalAuthority, DEFAULT_CLIENT_IDS } from "../../src/testing/authority/index.ts";
import { ADA, BEN, createNode, createWorld, READ, type Authority } from "../support/world.ts";
import { apis, outcomesOf, scopeOf, storedFor, TASKS, withExpiringTokens } from "./setting.ts";
import { faultyStore } from "./faulty-store.ts";
import { entries, perRequest, seed, vendorSignIn, vendorStore } from "./vendor.ts";

const DOWN = new Error("connection refused");
const APP = { scopes: ["api://tasks/.default"] };
const NOTES = DEFAULT_CLIENT_IDS.notes;

describe("the store cannot be read", () => {
  test("vendor: every flow fails with the store's own error, also when the code has been redeemed already", async () => {
    const authority = createLocalAuthority();
    const store = vendorStore();
    const account = await seed(authority, store, ADA);
    const assertion = await assertionOf(authority, ADA);
    store.getError = DOWN;
    const client = perRequest(authority, store, account.homeAccountId);
    const api = perRequest(authority, store, "obo", { auth: authority.msalAuth("contoso", NOTES) });
    await expect(client.acquireTokenSilent({ account, scopes: READ })).rejects.toBe(DOWN);
    await expect(client.acquireTokenByClientCredential(APP)).rejects.toBe(DOWN);
    const codes = authority.count({ grant: "authorization_code", outcome: "ok" });
    await expect(vendorSignIn(client, authority, BEN)).rejects.toBe(DOWN);
    expect(authority.count({ grant: "authorization_code", outcome: "ok" })).toBe(codes + 1);
    const exchange = api.acquireTokenOnBehalfOf({ oboAssertion: assertion, scopes: TASKS });
    await expect(exchange).rejects.toBe(DOWN);
    expect(authority.count({ grant: "on_behalf_of", outcome: "ok" })).toBe(1);
  });

  test.for(["reusable", "one-time"] as const)(
    "tokenkeep: whoever pays for a token gets it, and who needs the store is told to try again (%s refresh tokens)",
    async (refreshTokens) => {
      const authority = createLocalAuthority();
      const store = faultyStore();
      const warm = createNode(authority, { store, refreshTokens });
      const account = (await warm.signIn(ADA)).account!;
      const assertion = await assertionOf(authority, ADA);
      store.getError = DOWN;
      const cold = createNode(authority, { store, refreshTokens });
      const error: unknown = await cold.client
        .acquireTokenSilent({ account, scopes: READ })
        .catch((reason: unknown) => reason);
      expect(isRetryable(error)).toBe(true);
      expect(error).toMatchObject({ code: "ERR_STORE_UNAVAILABLE", cause: DOWN });
      expect(error).not.toBeInstanceOf(AuthError);
      const hit = await warm.client.acquireTokenSilent({ account, scopes: READ });
      expect(hit.metadata.tokenSource).toBe("cache");
      expect((await cold.client.acquireTokenByClientCredential(APP))?.accessToken).toBeTruthy();
      expect((await cold.signIn(BEN)).metadata).toMatchObject({
        tokenSource: "identity-provider",
        saved: false,
      });
      const api = createNode(
        authority,
        { store, refreshTokens },
        { auth: authority.msalAuth("contoso", NOTES) },
      );
      const obo = await api.client.acquireTokenOnBehalfOf({ oboAssertion: assertion, scopes: TASKS });
      expect(obo?.accessToken).toBeTruthy();
      store.getError = undefined;
      expect(await cold.cache.close()).toEqual({ lost: 0 });
      const later = createNode(authority, { store, refreshTokens });
      const ben = { ...account, homeAccountId: authority.homeAccountId(BEN) };
      const found = await later.client.acquireTokenSilent({ account: ben, scopes: READ });
      expect(found.metadata.cacheLevel).toBe("L2");
    },
  );
});

describe("the store cannot be written", () => {
  test("vendor: the caller gets an error instead of the token that was paid for, and the token is lost", async () => {
    const authority = createLocalAuthority();
    const store = vendorStore();
    const account = await withExpiringTokens(authority, () => seed(authority, store, ADA));
    const before = store.values.get(account.homeAccountId);
    store.setError = DOWN;
    const client = perRequest(authority, store, account.homeAccountId);
    await expect(client.acquireTokenSilent({ account, scopes: READ })).rejects.toBe(DOWN);
    expect(authority.count({ grant: "refresh_token", outcome: "ok" })).toBe(1);
    await expect(vendorSignIn(client, authority, BEN)).rejects.toBe(DOWN);
    expect(authority.count({ grant: "authorization_code", outcome: "ok" })).toBe(2);
    store.setError = undefined;
    expect(store.values.get(account.homeAccountId)).toBe(before);
    expect(store.values.size).toBe(1);
  });

  test("tokenkeep: the caller gets the token, and the store gets it when it answers again", async () => {
    const authority = createLocalAuthority();
    const store = faultyStore();
    const node = createNode(authority, { store });
    const account = (await withExpiringTokens(authority, () => node.signIn(ADA))).account!;
    store.putError = DOWN;
    const renewed = await node.client.acquireTokenSilent({ account, scopes: READ });
    expect(renewed.metadata).toMatchObject({ tokenSource: "identity-provider", saved: false });
    const ben = await node.signIn(BEN);
    expect(ben.metadata.saved).toBe(false);
    store.putError = undefined;
    expect(await node.cache.close()).toEqual({ lost: 0 });
    const other = createNode(authority, { store });
    for (const result of [renewed, ben]) {
      const found = await other.client.acquireTokenSilent({ account: result.account!, scopes: READ });
      expect(found.accessToken).toBe(result.accessToken);
    }
  });
});

describe("a read fails and the write behind it succeeds", () => {
  const COUNT = 6;

  test("vendor: everything the user had is overwritten with nothing", async () => {
    const { authority, store, account } = await vendorWithTokens(COUNT);
    store.getError = DOWN;
    const client = perRequest(authority, store, account.homeAccountId);
    await expect(vendorSignIn(client, authority, ADA, scopeOf(0))).rejects.toBe(DOWN);
    store.getError = undefined;
    expect(entries(store.values.get(account.homeAccountId), "RefreshToken")).toHaveLength(0);
    const after = client.acquireTokenSilent({ account, scopes: scopeOf(0) });
    await expect(after).rejects.toMatchObject({ errorCode: "no_tokens_found" });
  });

  test("vendor: a client that answers a failed read with nothing loses all but the newest token", async () => {
    const { authority, store, account } = await vendorWithTokens(COUNT);
    const forgiving: ICacheClient = { ...store, get: (key) => store.get(key).catch(() => "") };
    store.getError = DOWN;
    const client = perRequest(authority, forgiving, account.homeAccountId);
    const challenged = client.acquireTokenSilent({ account, scopes: scopeOf(0) });
    await expect(challenged).rejects.toMatchObject({ errorCode: "no_tokens_found" });
    await vendorSignIn(client, authority, ADA, scopeOf(0));
    store.getError = undefined;
    expect(entries(store.values.get(account.homeAccountId), "AccessToken")).toHaveLength(1);
  });

  test("tokenkeep: nothing is lost, and what came meanwhile is added", async () => {
    const authority = createLocalAuthority({ resources: apis(COUNT + 1) });
    const store = faultyStore();
    const world = {
      ...createWorld(),
      authority,
      store,
      node: () => createNode(authority, { store, l1: false }),
    };
    const first = world.node();
    const account = (await first.signIn(ADA, scopeOf(0))).account!;
    for (let index = 1; index < COUNT; index += 1) {
      await first.client.acquireTokenSilent({ account, scopes: scopeOf(index) });
    }
    store.getError = DOWN;
    const second = world.node();
    const signedIn = await second.signIn(ADA, scopeOf(COUNT));
    const outcomes = await outcomesOf([
      second.client.acquireTokenSilent({ account, scopes: scopeOf(COUNT) }),
    ]);
    expect(outcomes).toEqual({ ok: 1 });
    expect(signedIn.metadata.saved).toBe(false);
    store.getError = undefined;
    expect(await second.cache.close()).toEqual({ lost: 0 });
    expect(Object.keys((await storedFor(world, ADA))!.AccessToken)).toHaveLength(COUNT + 1);
  });
});

describe("a sign-out during a refresh", () => {
  test("vendor: the refresh brings the account and its tokens back", async () => {
    const authority = createLocalAuthority();
    const store = vendorStore();
    const account = await withExpiringTokens(authority, () => seed(authority, store, ADA));
    authority.pause();
    const refresh = perRequest(authority, store, account.homeAccountId).acquireTokenSilent({
      account,
      scopes: READ,
    });
    await authority.whenHeld(1);
    await perRequest(authority, store, account.homeAccountId).getTokenCache().removeAccount(account);
    expect(entries(store.values.get(account.homeAccountId), "RefreshToken")).toHaveLength(0);
    authority.resume();
    await refresh;
    expect(entries(store.values.get(account.homeAccountId), "RefreshToken")).toHaveLength(1);
    expect(entries(store.values.get(account.homeAccountId), "Account")).toHaveLength(1);
  });

  test.for(["the same process", "another process"])(
    "tokenkeep: the caller gets its token, and the account stays signed out (%s)",
    async (where) => {
      const world = createWorld();
      const node = world.node();
      const account = (await withExpiringTokens(world.authority, () => node.signIn(ADA))).account!;
      world.authority.pause();
      const refresh = node.client.acquireTokenSilent({ account, scopes: READ });
      await world.authority.whenHeld(1);
      const other = where === "the same process" ? node : world.node();
      expect(await other.client.removeAccount(account)).toEqual({ status: "done", durable: true });
      world.authority.resume();
      expect((await refresh).metadata.saved).toBe(false);
      expect(await storedFor(world, ADA)).toBeUndefined();
      const again = [node, other].map(({ client }) => client.acquireTokenSilent({ account, scopes: READ }));
      expect(await outcomesOf(again)).toEqual({ no_tokens_found: 2 });
    },
  );
});

/** An access token for the notes API, which that API exchanges. */
async function assertionOf(authority: Authority, user: string): Promise<string> {
  const store = vendorStore();
  const account = await seed(authority, store, user);
  const client = perRequest(authority, store, account.homeAccountId);
  const result = await client.acquireTokenSilent({ account, scopes: READ });
  authority.reset();
  return result.accessToken;
}

async function vendorWithTokens(count: number): Promise<{
  authority: Authority;
  store: ReturnType<typeof vendorStore>;
  account: Awaited<ReturnType<typeof seed>>;
}> {
  const authority = createLocalAuthority({ resources: apis(count) });
  const store = vendorStore();
  const account = await seed(authority, store, ADA, scopeOf(0));
  for (let index = 1; index < count; index += 1) {
    const client = perRequest(authority, store, account.homeAccountId);
    await client.acquireTokenSilent({ account, scopes: scopeOf(index) });
  }
  expect(entries(store.values.get(account.homeAccountId), "AccessToken")).toHaveLength(count);
  return { authority, store, account };
}
