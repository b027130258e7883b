import { describe, expect, test } from "vitest";
import type { AccountRef } from "../../src/activity/account-ref.ts";
import type { AllowedTenants } from "../../src/client/tenants.ts";
import { DEFAULT_CLIENT_IDS, DEFAULT_TENANTS } from "../../src/testing/authority/options.ts";
import { chaosStore } from "../support/chaos.ts";
import { collect } from "../support/collect.ts";
import { passTime, steerDates } from "../support/dates.ts";
import { ADA, BEN, CLEO, createWorld, READ, WEB, type Node, type World } from "../support/world.ts";

steerDates();

const CONTOSO = DEFAULT_TENANTS["contoso"]!;
const FABRIKAM = DEFAULT_TENANTS["fabrikam"]!;
const REFUSED = { code: "ERR_TENANT_NOT_ALLOWED", retryable: false };

/** An application for the users of several tenants. */
function app(world: World, tenants?: AllowedTenants, tenant = "organizations"): Node {
  return world.node({}, { auth: world.authority.msalAuth(tenant, WEB), ...(tenants && { tenants }) });
}

async function stored(world: World): Promise<string[]> {
  const { keys } = await world.store.admin.keys({ prefix: "", limit: 100 });
  const { rows } = await world.store.activity.list({ limit: 100 });
  return [...keys, ...rows.map(({ row }) => row.accountKey)];
}

const ALLOW_LISTS: [string, AllowedTenants][] = [
  ["a list", [CONTOSO.toUpperCase()]],
  ["a function", (tenantId) => tenantId === CONTOSO],
  ["a function that takes its time", (tenantId) => Promise.resolve(tenantId === CONTOSO)],
];

describe.each(ALLOW_LISTS)("tenants that are served, by %s", (_, tenants) => {
  test("let their users in; a sign-in from another leaves the store empty", async () => {
    const world = createWorld();
    const node = app(world, tenants);
    await expect(node.signIn(CLEO)).rejects.toMatchObject(REFUSED);
    expect(await stored(world)).toEqual([]);
    expect((await node.signIn(ADA)).account?.tenantId).toBe(CONTOSO);
  });

  test("also decide about a tenant that a silent request names, before the refresh token is spent", async () => {
    const world = createWorld();
    const node = app(world, tenants);
    const { account } = await node.signIn(ADA);
    const asked = world.authority.calls.length;
    const inFabrikam = { account: { ...account!, tenantId: FABRIKAM }, scopes: READ };
    await expect(node.client.acquireTokenSilent(inFabrikam)).rejects.toMatchObject(REFUSED);
    expect(world.authority.calls.length).toBe(asked);
  });
});

describe("tenants that are served", () => {
  test("are asked for assertions too, and for long-running processes", async () => {
    const world = createWorld();
    const web = app(world);
    const [cleo, ada] = [await web.signIn(CLEO), await web.signIn(ADA)];
    const auth = world.authority.msalAuth("organizations", DEFAULT_CLIENT_IDS.notes);
    const { client } = world.node({ namespace: "api" }, { auth, tenants: [CONTOSO] });
    const scopes = ["api://tasks/read"];
    const before = await stored(world);
    const refused = { oboAssertion: cleo.accessToken, scopes };
    await expect(client.acquireTokenOnBehalfOf(refused)).rejects.toMatchObject(REFUSED);
    await expect(client.initiateLongRunningProcessInWebApi(refused, "job")).rejects.toMatchObject(REFUSED);
    expect(await stored(world)).toEqual(before);
    const allowed = { oboAssertion: ada.accessToken, scopes };
    expect((await client.acquireTokenOnBehalfOf(allowed))?.metadata.saved).toBe(true);
  });

  test("may depend on who it is; a function that throws fails the sign-in with its own error", async () => {
    const world = createWorld();
    const seen: AccountRef[] = [];
    const node = app(world, (_, account) => {
      seen.push(account);
      throw new Error("the table of customers is down");
    });
    await expect(node.signIn(BEN)).rejects.toThrow("the table of customers is down");
    expect(seen).toEqual([expect.objectContaining({ username: BEN, tenantId: CONTOSO })]);
    expect(Object.keys(seen[0]!)).toHaveLength(5);
    expect(await stored(world)).toEqual([]);
  });

  test.each([[["contoso.example"]], [["contoso"]], ["contoso"], [[7]]])("are ids: not %j", (tenants) => {
    const world = createWorld();
    expect(() => app(world, tenants as never)).toThrow(expect.objectContaining({ option: "tenants" }));
  });
});

describe("purging a tenant", () => {
  async function twoTenants(): Promise<{ world: World; nodes: Node[]; accounts: AccountRef[] }> {
    const world = createWorld();
    const nodes = [app(world), app(world)];
    const accounts: AccountRef[] = [];
    for (const user of [ADA, BEN, CLEO]) accounts.push((await nodes[0]!.signIn(user)).account!);
    for (const account of accounts) await nodes[1]!.client.acquireTokenSilent({ account, scopes: READ });
    return { world, nodes, accounts };
  }

  test("ends its accounts on every node, and leaves those of others", async () => {
    const { nodes, accounts } = await twoTenants();
    const [a, b] = nodes as [Node, Node];
    expect(await a.cache.purgeTenant(CONTOSO)).toEqual({ accounts: 2, pending: 0, done: true });
    for (const node of [a, b]) {
      for (const account of accounts.slice(0, 2)) {
        const silent = node.client.acquireTokenSilent({ account, scopes: READ });
        await expect(silent).rejects.toMatchObject({ code: "ERR_INTERACTION_REQUIRED" });
      }
      const kept = await node.client.acquireTokenSilent({ account: accounts[2]!, scopes: READ });
      expect(kept.metadata.tokenSource).toBe("cache");
    }
    const left = await collect(a.cache.accounts());
    expect(left.map(({ username }) => username)).toEqual([CLEO]);
    expect(await collect(a.cache.accounts({ tenantId: CONTOSO }))).toEqual([]);
  });

  test("ends processes and assertions of its users too", async () => {
    const world = createWorld();
    const assertions: string[] = [];
    for (const user of [ADA, CLEO]) assertions.push((await app(world).signIn(user)).accessToken);
    const auth = world.authority.msalAuth("organizations", DEFAULT_CLIENT_IDS.notes);
    const { client, cache } = world.node({ namespace: "api" }, { auth });
    const scopes = ["api://tasks/read"];
    for (const [at, oboAssertion] of assertions.entries()) {
      await client.acquireTokenOnBehalfOf({ oboAssertion, scopes });
      await client.initiateLongRunningProcessInWebApi({ oboAssertion, scopes }, `job-${at}`);
    }
    passTime(2_000);
    expect(await cache.purgeTenant(CONTOSO)).toEqual({ accounts: 1, pending: 0, done: true });
    const resume = (key: string): Promise<unknown> =>
      client.acquireTokenInLongRunningProcess({ longRunningProcessSessionKey: key, scopes });
    await expect(resume("job-0")).rejects.toMatchObject({ code: "ERR_PROCESS_UNKNOWN" });
    const ended = client.acquireTokenOnBehalfOf({ oboAssertion: assertions[0]!, scopes });
    await expect(ended).rejects.toMatchObject({ code: "ERR_SIGNED_OUT" });
    await expect(resume("job-1")).resolves.toMatchObject({ metadata: { tokenSource: "cache" } });
  });

  test("that was aborted, or met a store that was down, goes on when called again", async () => {
    const world = createWorld();
    const link = chaosStore(world.store);
    const node = world.node(
      { store: link, storeBreaker: false },
      { auth: world.authority.msalAuth("organizations", WEB) },
    );
    for (const user of [ADA, BEN]) await node.signIn(user);
    const aborted = { signal: AbortSignal.abort() };
    expect(await node.cache.purgeTenant(CONTOSO, aborted)).toEqual({ accounts: 0, pending: 0, done: false });
    link.fail("put", { times: Infinity });
    expect(await node.cache.purgeTenant(CONTOSO)).toEqual({ accounts: 0, pending: 2, done: false });
    link.heal();
    expect(await node.cache.purgeTenant(CONTOSO)).toEqual({ accounts: 2, pending: 0, done: true });
    expect(await node.cache.purgeTenant(CONTOSO)).toEqual({ accounts: 0, pending: 0, done: true });
  });

  test("is of that tenant however its id is written, and so is a list of its accounts", async () => {
    const node = createWorld().node();
    const { account } = await node.signIn(ADA);
    const tenantId = CONTOSO.toUpperCase();
    expect(await collect(node.cache.accounts({ tenantId }))).toHaveLength(1);
    const homeAccountId = account!.homeAccountId.toUpperCase();
    expect(await collect(node.cache.accounts({ homeAccountId }))).toHaveLength(1);
    expect(await node.cache.purgeTenant(tenantId)).toEqual({ accounts: 1, pending: 0, done: true });
  });

  test("says which argument is wrong", async () => {
    const { cache } = app(createWorld());
    await expect(async () => cache.purgeTenant("")).rejects.toMatchObject({ option: "tenantId" });
    await expect(async () => cache.purgeTenant(CONTOSO, { sgnal: 1 } as never)).rejects.toThrow(/signal/);
  });
});
