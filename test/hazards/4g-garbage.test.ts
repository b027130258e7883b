/** 4g: tokens that have expired. */
import { expect, test } from "vitest";
import { nowSeconds } from "../../src/blob/lookup.ts";
import { createLocalAuthority } from "../../src/testing/authority/index.ts";
import { ADA, createWorld } from "../support/world.ts";
import { apis, LIFETIME_SECONDS, scopeOf, storedFor } from "./setting.ts";
import { entries, perRequest, seed, vendorStore } from "./vendor.ts";

const COUNT = 8;

test("vendor: expired access tokens stay in the store for ever", async () => {
  const authority = createLocalAuthority({ resources: apis(COUNT) });
  const store = vendorStore();
  authority.setLifetimes({ accessTokenSeconds: 0 });
  const account = await seed(authority, store, ADA, scopeOf(0));
  const renew = (index: number): Promise<unknown> =>
    perRequest(authority, store, account.homeAccountId).acquireTokenSilent({
      account,
      scopes: scopeOf(index),
    });
  for (let index = 1; index < COUNT; index += 1) await renew(index);
  authority.setLifetimes({ accessTokenSeconds: LIFETIME_SECONDS });
  await renew(0);
  // MSAL rounds the present, so an expiry of just now may lie half a second ahead.
  const present = nowSeconds(Date.now());
  const tokens = entries(store.values.get(account.homeAccountId), "AccessToken");
  expect(tokens.filter((token) => Number(token["expires_on"]) <= present)).toHaveLength(COUNT - 1);
});

test("tokenkeep: a write drops what has expired, and a record without anything to live for expires itself", async () => {
  const world = createWorld({ resources: [...apis(COUNT)] });
  const node = world.node();
  world.authority.setLifetimes({ accessTokenSeconds: 0 });
  const account = (await node.signIn(ADA, scopeOf(0))).account!;
  for (let index = 1; index < COUNT; index += 1) {
    await node.client.acquireTokenSilent({ account, scopes: scopeOf(index) });
  }
  world.authority.setLifetimes({ accessTokenSeconds: LIFETIME_SECONDS });
  await node.client.acquireTokenSilent({ account, scopes: scopeOf(0) });
  const blob = await storedFor(world, ADA);
  expect(Object.values(blob!.AccessToken).map((token) => token.target)).toHaveLength(1);
  expect(Object.keys(blob!.RefreshToken)).toHaveLength(1);
  await node.client.acquireTokenByClientCredential({ scopes: ["api://api-1/.default"] });
  const { keys } = await world.store.admin.keys({ prefix: "", limit: 10 });
  const expiries = await Promise.all(
    keys.map(async (key) => {
      const stored = await world.store.get(key);
      return typeof stored === "object" ? stored.expiresAtMs : undefined;
    }),
  );
  expect(expiries).toHaveLength(2);
  for (const expiresAtMs of expiries) expect(expiresAtMs).toBeGreaterThan(Date.now());
});
