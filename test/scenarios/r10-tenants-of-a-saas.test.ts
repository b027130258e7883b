import { expect, test } from "vitest";
import { DEFAULT_TENANTS, DEFAULT_USERS } from "../../src/testing/authority/options.ts";
import { collect } from "../support/collect.ts";
import { claimsOf } from "../support/network.ts";
import { ADA, BEN, CLEO, createWorld, READ, WEB } from "../support/world.ts";

const CONTOSO = DEFAULT_TENANTS["contoso"]!;
const FABRIKAM = DEFAULT_TENANTS["fabrikam"]!;
const DAN = "dan@fabrikam.example";
const EVE = "eve@stranger.example";

test("R10: customers sign up, are listed by tenant and purged by tenant; the other tenant notices nothing", async () => {
  const world = createWorld({
    tenants: { ...DEFAULT_TENANTS, stranger: "57a46e40-0000-4000-8000-000000000003" },
    users: [
      ...DEFAULT_USERS,
      { username: DAN, name: "Dan Reyes", tenant: "fabrikam" },
      { username: EVE, name: "Eve Lund", tenant: "stranger" },
    ],
  });
  const { authority } = world;
  const customers = new Set([CONTOSO, FABRIKAM]);
  const options = {
    auth: authority.msalAuth("organizations", WEB),
    tenants: (tenantId: string) => Promise.resolve(customers.has(tenantId)),
  };
  const [a, b] = [world.node({}, options), world.node({}, options)];
  const accounts = new Map<string, NonNullable<Awaited<ReturnType<typeof a.signIn>>["account"]>>();
  for (const user of [ADA, BEN, CLEO, DAN]) accounts.set(user, (await a.signIn(user)).account!);
  // Not a customer: nothing is left behind.
  await expect(a.signIn(EVE)).rejects.toMatchObject({ code: "ERR_TENANT_NOT_ALLOWED" });
  const usersOf = async (tenantId: string): Promise<string[]> =>
    (await collect(b.cache.accounts({ tenantId }))).map(({ username }) => username).toSorted();
  expect(await usersOf(CONTOSO)).toEqual([ADA, BEN]);
  expect(await usersOf(FABRIKAM)).toEqual([CLEO, DAN]);
  for (const [user, account] of accounts) {
    const { accessToken } = await b.client.acquireTokenSilent({ account, scopes: READ });
    expect(claimsOf(accessToken)["preferred_username"]).toBe(user);
  }

  customers.delete(CONTOSO);
  expect(await a.cache.purgeTenant(CONTOSO)).toEqual({ accounts: 2, pending: 0, done: true });
  expect(await usersOf(CONTOSO)).toEqual([]);
  expect(await usersOf(FABRIKAM)).toEqual([CLEO, DAN]);
  for (const node of [a, b]) {
    for (const [user, account] of accounts) {
      const silent = node.client.acquireTokenSilent({ account, scopes: READ });
      if ([ADA, BEN].includes(user))
        await expect(silent).rejects.toMatchObject({ code: "ERR_TENANT_NOT_ALLOWED" });
      else expect((await silent).metadata.tokenSource).toBe("cache");
    }
  }
  await expect(a.signIn(ADA)).rejects.toMatchObject({ code: "ERR_TENANT_NOT_ALLOWED" });
  expect(authority.count({ grant: "authorization_code" })).toBe(6);
  expect(authority.count({ grant: "refresh_token" })).toBe(0);
});
