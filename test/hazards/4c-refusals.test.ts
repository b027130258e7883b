/** 4c: the provider has said no, and is asked again. */
import { describe, expect, test } from "vitest";
import { createLocalAuthority } from "../../src/testing/authority/index.ts";
import { ADA, createWorld, READ } from "../support/world.ts";
import { outcomesOf, TASKS, withExpiringTokens } from "./setting.ts";
import { perRequest, seed, sharedClient, byKey, vendorStore } from "./vendor.ts";

const CALLS = 5;

describe("a refresh token has been refused", () => {
  test("vendor: every further call presents it again", async () => {
    const authority = createLocalAuthority();
    const store = vendorStore();
    const account = await withExpiringTokens(authority, () => seed(authority, store, ADA));
    authority.revokeUser(ADA);
    const client = sharedClient(authority, store, byKey(account.homeAccountId));
    for (let call = 0; call < CALLS; call += 1) {
      const silent = client.acquireTokenSilent({ account, scopes: READ });
      expect(await outcomesOf([silent])).toEqual({ invalid_grant: 1 });
    }
    expect(authority.count({ grant: "refresh_token" })).toBe(CALLS);
  });

  test("tokenkeep: further calls are refused without asking, and a sign-in ends that", async () => {
    const world = createWorld();
    const node = world.node();
    const account = (await withExpiringTokens(world.authority, () => node.signIn(ADA))).account!;
    world.authority.revokeUser(ADA);
    for (let call = 0; call < CALLS; call += 1) {
      const silent = node.client.acquireTokenSilent({ account, scopes: READ });
      await expect(silent).rejects.toMatchObject({ name: "InteractionRequiredAuthError" });
    }
    expect(world.authority.count({ grant: "refresh_token" })).toBe(1);
    await node.signIn(ADA);
    const tasks = await node.client.acquireTokenSilent({ account, scopes: TASKS });
    expect(tasks.metadata.tokenSource).toBe("identity-provider");
  });
});

describe("the provider says: not so fast", () => {
  const answer = { kind: "429", retryAfterSeconds: 60, count: CALLS } as const;

  test("vendor: what it said is forgotten, and it is asked again at once", async () => {
    const authority = createLocalAuthority();
    const store = vendorStore();
    const account = await withExpiringTokens(authority, () => seed(authority, store, ADA));
    authority.failNext(answer);
    const client = sharedClient(authority, store, byKey(account.homeAccountId));
    for (let call = 0; call < CALLS; call += 1) {
      const silent = client.acquireTokenSilent({ account, scopes: READ });
      expect(await outcomesOf([silent])).not.toHaveProperty("ok");
    }
    expect(authority.count({ grant: "refresh_token" })).toBe(CALLS);
  });

  test("vendor: a client per request forgets it too", async () => {
    const authority = createLocalAuthority();
    const store = vendorStore();
    const account = await withExpiringTokens(authority, () => seed(authority, store, ADA));
    authority.failNext(answer);
    for (let call = 0; call < CALLS; call += 1) {
      const client = perRequest(authority, store, account.homeAccountId);
      const silent = client.acquireTokenSilent({ account, scopes: READ });
      expect(await outcomesOf([silent])).not.toHaveProperty("ok");
    }
    expect(authority.count({ grant: "refresh_token" })).toBe(CALLS);
  });
});

test("tokenkeep: a provider that says `not so fast` is left alone for as long as it said", async () => {
  const world = createWorld();
  const node = world.node();
  const account = (await withExpiringTokens(world.authority, () => node.signIn(ADA))).account!;
  world.authority.failNext({ kind: "429", retryAfterSeconds: 60, count: CALLS });
  for (let call = 0; call < CALLS; call += 1) {
    // What is left of the old token is served meanwhile, where MSAL fails.
    const silent = node.client.acquireTokenSilent({ account, scopes: READ });
    expect(await outcomesOf([silent])).toEqual({ ok: 1 });
  }
  expect(world.authority.count({ grant: "refresh_token" })).toBe(1);
});
