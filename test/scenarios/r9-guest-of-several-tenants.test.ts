import { expect, test } from "vitest";
import { DEFAULT_TENANTS } from "../../src/testing/authority/options.ts";
import { claimsOf } from "../support/network.ts";
import { ADA, CLEO, createWorld, READ, WEB } from "../support/world.ts";

const CONTOSO = DEFAULT_TENANTS["contoso"]!;
const FABRIKAM = DEFAULT_TENANTS["fabrikam"]!;

test("R9: a guest's tokens of both tenants lie in one record side by side; the tenant asked for is the one answered", async () => {
  const world = createWorld();
  const { authority } = world;
  const auth = authority.msalAuth("organizations", WEB);
  const [a, b] = [world.node({}, { auth }), world.node({}, { auth })];
  const { account } = await a.signIn(ADA);
  expect(account?.tenantId).toBe(CONTOSO);
  const guest = {
    account: { ...account!, tenantId: FABRIKAM },
    scopes: READ,
  };
  const home = { account: account!, scopes: READ };
  const first = await a.client.acquireTokenSilent(guest);
  expect(claimsOf(first.accessToken)).toMatchObject({ tid: FABRIKAM, preferred_username: ADA });
  for (const node of [a, b, a, b]) {
    const [inFabrikam, inContoso] = [
      await node.client.acquireTokenSilent(guest),
      await node.client.acquireTokenSilent(home),
    ];
    expect(claimsOf(inFabrikam.accessToken)["tid"]).toBe(FABRIKAM);
    expect(claimsOf(inContoso.accessToken)["tid"]).toBe(CONTOSO);
    expect([inFabrikam, inContoso].map(({ metadata }) => metadata.tokenSource)).toEqual(["cache", "cache"]);
  }
  const { keys } = await world.store.admin.keys({ prefix: "tokenkeep:user", limit: 10 });
  expect(keys).toHaveLength(1);
  expect(authority.calls.map(({ grant }) => grant)).toEqual([
    "authorize",
    "authorization_code",
    "refresh_token",
  ]);
});

test("R9: a sign-in from a tenant that is not served leaves the store empty, and so does a guest's token there", async () => {
  const world = createWorld();
  const auth = world.authority.msalAuth("organizations", WEB);
  const node = world.node({}, { auth, tenants: [CONTOSO] });
  await expect(node.signIn(CLEO)).rejects.toMatchObject({ code: "ERR_TENANT_NOT_ALLOWED" });
  expect((await world.store.admin.keys({ prefix: "", limit: 10 })).keys).toEqual([]);
  expect((await world.store.activity.list({ limit: 10 })).rows).toEqual([]);

  const { account } = await node.signIn(ADA);
  const guest = { account: { ...account!, tenantId: FABRIKAM }, scopes: READ };
  await expect(node.client.acquireTokenSilent(guest)).rejects.toMatchObject({
    code: "ERR_TENANT_NOT_ALLOWED",
  });
  expect(world.authority.count({ grant: "refresh_token" })).toBe(0);
});

test.each(["organizations", "contoso"])(
  "R9: the tenant of an account is asked also where the client's authority is %s, or where the request names it",
  async (tenant) => {
    const world = createWorld();
    const { authority } = world;
    const node = world.node({}, { auth: authority.msalAuth(tenant, WEB) });
    const { account } = await node.signIn(ADA);
    const there = { account: { ...account!, tenantId: FABRIKAM }, scopes: READ };
    const named = {
      account: account!,
      scopes: READ,
      authority: `https://${authority.authorityHost}/${FABRIKAM}`,
    };
    const renewed = await node.client.acquireTokenSilent({ ...there, forceRefresh: true });
    for (const result of [renewed, await node.client.acquireTokenSilent(there)])
      expect(claimsOf(result.accessToken)["tid"]).toBe(FABRIKAM);
    expect((await node.client.acquireTokenSilent(named)).accessToken).toBe(renewed.accessToken);
    const home = await node.client.acquireTokenSilent({
      account: account!,
      scopes: READ,
      forceRefresh: true,
    });
    expect(claimsOf(home.accessToken)["tid"]).toBe(CONTOSO);
    expect(authority.count({ grant: "refresh_token" })).toBe(2);
  },
);
