/** 4c: one user, several resources at once, and refresh tokens that can be redeemed once. */
import { expect, test } from "vitest";
import { createLocalAuthority } from "../../src/testing/authority/index.ts";
import { ADA, createWorld } from "../support/world.ts";
import { apis, atOnce, outcomesOf, scopeOf } from "./setting.ts";
import { byKey, seed, sharedClient, vendorStore } from "./vendor.ts";

const RESOURCES = 10;

test("vendor: ten resources at once in one client, and nine of ten calls are refused", async () => {
  const authority = createLocalAuthority({ refreshTokens: "one-time", resources: apis(RESOURCES + 1) });
  const store = vendorStore();
  const account = await seed(authority, store, ADA, scopeOf(RESOURCES));
  const client = sharedClient(authority, store, byKey(account.homeAccountId));
  authority.pause();
  const calls = atOnce(RESOURCES, (index) => client.acquireTokenSilent({ account, scopes: scopeOf(index) }));
  await authority.whenHeld(RESOURCES);
  authority.resume();
  expect(await outcomesOf(calls)).toEqual({ ok: 1, invalid_grant: RESOURCES - 1 });
});

test.for([1, 2])(
  "tokenkeep: ten resources at once all get their token, in %i processes of one store",
  async (processes) => {
    const world = createWorld({ refreshTokens: "one-time", resources: apis(RESOURCES + 1) });
    const nodes = Array.from({ length: processes }, () => world.node({ refreshTokens: "one-time" }));
    const account = (await nodes[0]!.signIn(ADA, scopeOf(RESOURCES))).account!;
    const calls = atOnce(RESOURCES, (index) =>
      nodes[index % processes]!.client.acquireTokenSilent({ account, scopes: scopeOf(index) }),
    );
    expect(await outcomesOf(calls)).toEqual({ ok: RESOURCES });
    expect(world.authority.count({ outcome: "invalid_grant" })).toBe(0);
  },
);
