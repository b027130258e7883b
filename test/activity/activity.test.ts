import { describe, expect, test } from "vitest";
import { memoryActivity } from "../../src/adapters/memory-activity.ts";
import { createKeyRing, type KeyRing } from "../../src/envelope/key-ring.ts";
import { userPartition } from "../../src/client/partitions.ts";
import type { AccountActivityStore } from "../../src/store/account-activity-store.ts";
import { chaosStore } from "../support/chaos.ts";
import { collect } from "../support/collect.ts";
import { HOUR_MS, MINUTE_MS, passTime, steerDates } from "../support/dates.ts";
import { ADA, BEN, CLEO, READ, WEB, createWorld, type Node, type World } from "../support/world.ts";

steerDates();

const rows = (node: Node) => collect(node.cache.accounts());
const row = async (node: Node) => (await rows(node))[0]!;

/** An activity store whose calls a test can watch and break. */
function watched(inner: AccountActivityStore = memoryActivity()) {
  const calls: string[] = [];
  const state = { broken: false };
  const call = async <R>(name: string, work: () => Promise<R>): Promise<R> => {
    calls.push(name);
    if (state.broken) throw new Error("the activity store is down");
    return work();
  };
  const store: AccountActivityStore = {
    name: "watched",
    get: (key) => call("get", () => inner.get(key)),
    put: (each, options) => call("put", () => inner.put(each, options)),
    delete: (key, options) => call("delete", () => inner.delete(key, options)),
    list: (query) => call("list", () => inner.list(query)),
  };
  return { store, calls, state, inner };
}

describe("the activity is a superset of the tokens", () => {
  test("a sign-in writes the row before the record, and confirms it after", async () => {
    const world = createWorld();
    const order: string[] = [];
    const inner = memoryActivity();
    const activity: AccountActivityStore = {
      ...inner,
      put(each, options) {
        order.push(`row ${each.confirmed ? "confirmed" : "unconfirmed"}`);
        return inner.put(each, options);
      },
    };
    const put = world.store.put;
    world.store.put = (key, bytes, options) => {
      if (key.includes(":user:")) order.push("record");
      return put(key, bytes, options);
    };
    await world.node({ activity: { store: activity } }).signIn(ADA);
    expect(order).toEqual(["row unconfirmed", "record", "row confirmed"]);
  });

  test("a crash between record and confirmation leaves a row that is listed, and works", async () => {
    const world = createWorld();
    const inner = memoryActivity();
    let writes = 0;
    const crashing: AccountActivityStore = {
      ...inner,
      put: (each, options) =>
        (writes += 1) > 1 ? Promise.reject(new Error("crashed")) : inner.put(each, options),
    };
    const node = world.node({ activity: { store: crashing } });
    await node.signIn(ADA);
    const worker = world.node({ activity: { store: inner } }, { role: "worker" });
    const [account] = await rows(worker);
    expect(account).toMatchObject({ username: ADA, status: "ok", lastSignInAt: undefined });
    const hit = await worker.client.acquireTokenSilent({ account: account!, scopes: READ });
    expect(hit.metadata.tokenSource).toBe("cache");
  });

  test("a renewal makes no row: only a sign-in does", async () => {
    const world = createWorld();
    const { account } = await world.node().signIn(ADA);
    const bare = world.node({ activity: { store: memoryActivity() } });
    await bare.client.acquireTokenSilent({ account: account!, scopes: READ, forceRefresh: true });
    expect(await rows(bare)).toEqual([]);
  });

  test("while tokens wait for the store the row is there", async () => {
    const world = createWorld();
    const link = chaosStore(world.store);
    const node = world.node({ store: link });
    link.fail("all", { times: Infinity });
    await node.signIn(ADA);
    expect(await rows(node)).toHaveLength(1);
  });

  test("an activity store that is down breaks no sign-in, no renewal and no sign-out, and is reported", async () => {
    const world = createWorld();
    const { store, state } = watched();
    const node = world.node({ activity: { store } });
    state.broken = true;
    const { account } = await node.signIn(ADA);
    const request = { account: account!, scopes: READ };
    await node.client.acquireTokenSilent({ ...request, forceRefresh: true });
    world.authority.revokeUser(ADA);
    await expect(node.client.acquireTokenSilent({ ...request, forceRefresh: true })).rejects.toMatchObject({
      errorCode: "invalid_grant",
    });
    // Where else the user has signed in, only the index knows.
    expect(await node.client.removeAccount(account!)).toEqual({ status: "done", durable: false });
    expect(node.events.filter((event) => event.type === "activity-failed").length).toBeGreaterThan(3);
  });
});

describe("what a row says", () => {
  test("after a sign-in: who, when, and that all is well", async () => {
    const node = createWorld().node();
    const { account } = await node.signIn(ADA);
    expect(await row(node)).toMatchObject({
      homeAccountId: account!.homeAccountId,
      environment: account!.environment,
      tenantId: account!.tenantId,
      username: ADA,
      clientId: WEB,
      status: "ok",
      failure: undefined,
      createdAt: Date.now(),
      lastActivityAt: Date.now(),
      lastSignInAt: Date.now(),
      lastRefreshAt: undefined,
      lastWorkerRunAt: undefined,
    });
  });

  test("a row is an account reference that a request accepts", async () => {
    const world = createWorld();
    await world.node().signIn(ADA);
    const worker = world.node({}, { role: "worker" });
    const account = JSON.parse(JSON.stringify(await row(worker))) as Awaited<ReturnType<typeof row>>;
    const hit = await worker.client.acquireTokenSilent({ account, scopes: READ });
    expect(hit.account?.username).toBe(ADA);
  });

  test("a worker's renewal is not the user's activity", async () => {
    const world = createWorld();
    const { account } = await world.node().signIn(ADA);
    const signedInAt = Date.now();
    passTime(HOUR_MS);
    const worker = world.node({}, { role: "worker" });
    await worker.client.acquireTokenSilent({ account: account!, scopes: READ });
    expect(await row(worker)).toMatchObject({
      lastActivityAt: signedInAt,
      lastRefreshAt: Date.now(),
      lastWorkerRunAt: Date.now(),
    });
  });

  test("a web app's renewal is", async () => {
    const world = createWorld();
    const node = world.node();
    const { account } = await node.signIn(ADA);
    passTime(HOUR_MS);
    await node.client.acquireTokenSilent({ account: account!, scopes: READ });
    expect(await row(node)).toMatchObject({ lastActivityAt: Date.now(), lastWorkerRunAt: undefined });
  });

  test("failures are counted, have a time for the next try, and end with the next success", async () => {
    const world = createWorld();
    const node = world.node();
    const { account } = await node.signIn(ADA);
    const request = { account: account!, scopes: READ, forceRefresh: true };
    for (const attempts of [1, 2]) {
      world.authority.failNext({ kind: "503", count: 3 });
      await expect(node.client.acquireTokenSilent(request)).rejects.toThrow();
      world.authority.reset();
      const { failure, status } = await row(node);
      expect(status).toBe("retry-later");
      expect(failure).toMatchObject({ attempts, at: Date.now() });
      expect(failure!.nextAttemptAt).toBeGreaterThan(Date.now());
      passTime(MINUTE_MS);
    }
    await node.client.acquireTokenSilent(request);
    expect(await row(node)).toMatchObject({ status: "ok", failure: undefined });
  });

  test("missing consent is told apart from a dead sign-in", async () => {
    const world = createWorld();
    const node = world.node();
    const { account } = await node.signIn(ADA);
    world.authority.requireConsent(ADA, "api://tasks/read");
    await expect(
      node.client.acquireTokenSilent({ account: account!, scopes: ["api://tasks/read"] }),
    ).rejects.toThrow();
    expect(await row(node)).toMatchObject({ status: "consent-required" });
  });

  test("a sign-in benches nobody any more, and an old failure that comes late does not bench them again", async () => {
    const world = createWorld();
    const [a, b] = [world.node({ refreshLease: "off" }), world.node({ refreshLease: "off" })];
    const { account } = await a.signIn(ADA);
    const request = { account: account!, scopes: READ, forceRefresh: true };
    world.authority.revokeUser(ADA);
    await expect(a.client.acquireTokenSilent(request)).rejects.toThrow();
    expect(await row(a)).toMatchObject({ status: "needs-interaction" });
    await a.signIn(ADA);
    expect(await row(a)).toMatchObject({ status: "ok", failure: undefined });
    expect(await row(b)).toMatchObject({ status: "ok" });
  });
});

describe("the application's own properties", () => {
  const hooked = (world: World, onBeforeWrite: (context: never) => unknown): Node =>
    world.node({ activity: { onBeforeWrite: onBeforeWrite as never } });

  test("are added before the write by whoever knows account and request, and come back with the row", async () => {
    const world = createWorld();
    const seen: unknown[] = [];
    const node = hooked(
      world,
      (context: { reason: string; account: { username: string }; properties: unknown }) => {
        seen.push([context.reason, context.account.username, context.properties]);
        return { visits: seen.length };
      },
    );
    const { account } = await node.signIn(ADA);
    await node.client.acquireTokenSilent({ account: account!, scopes: READ, forceRefresh: true });
    expect(seen).toEqual([
      ["sign-in", ADA, undefined],
      ["refresh", ADA, { visits: 1 }],
    ]);
    expect(await row(node)).toMatchObject({ properties: { visits: 2 } });
  });

  test("are sealed in the store, and bound to their row", async () => {
    const world = createWorld();
    const node = hooked(world, () => ({ diagnosis: "confidential" }));
    await node.signIn(ADA);
    await node.signIn(BEN);
    const { rows: stored } = await world.store.activity.list({ limit: 10 });
    const [first, second] = stored;
    for (const { row: each } of stored) {
      expect(Buffer.from(each.sealedProperties!).toString("latin1")).not.toContain("confidential");
    }
    await world.store.activity.put(
      { ...first!.row, sealedProperties: second!.row.sealedProperties },
      { revision: "x", ifRevision: first!.revision },
    );
    const properties = (await rows(node)).map((each) => each.properties);
    expect(properties).toEqual([undefined, { diagnosis: "confidential" }]);
    expect(node.events).toContainEqual(expect.objectContaining({ type: "record-unreadable" }));
  });

  test("stay as they are where the hook says nothing", async () => {
    const world = createWorld();
    let first = true;
    const node = hooked(world, () => {
      const value = first ? { kept: true } : undefined;
      first = false;
      return value;
    });
    const { account } = await node.signIn(ADA);
    await node.client.acquireTokenSilent({ account: account!, scopes: READ, forceRefresh: true });
    expect(await row(node)).toMatchObject({ properties: { kept: true } });
  });

  test("that are sealed under a key this process does not have stay as they are, and the row is written", async () => {
    const world = createWorld();
    const old = { id: "k1", key: new Uint8Array(32).fill(1) };
    const fresh = { id: "k2", key: new Uint8Array(32).fill(2) };
    const asked: unknown[] = [];
    const process = (keys: KeyRing, otherwise: string): Node =>
      world.node({
        keys,
        activity: {
          onBeforeWrite: (({ properties }: { properties?: { plan: string } }) => {
            asked.push(properties);
            return { plan: properties?.plan ?? otherwise };
          }) as never,
        },
      });
    const ahead = process(createKeyRing({ sealing: fresh, opening: [old] }), "gold");
    await ahead.signIn(ADA);
    const { lastSignInAt } = await row(ahead);
    passTime(HOUR_MS);
    const behind = process(createKeyRing({ sealing: old }), "free");
    await behind.signIn(ADA);
    expect(await row(ahead)).toMatchObject({
      properties: { plan: "gold" },
      lastSignInAt: lastSignInAt! + HOUR_MS,
    });
    expect(asked).toEqual([undefined]);
    expect(behind.events).toContainEqual(
      expect.objectContaining({ type: "record-unreadable", reason: "unknown-key" }),
    );
  });

  test("a hook that throws breaks neither the sign-in nor the row", async () => {
    const world = createWorld();
    const node = hooked(world, () => {
      throw new Error("a bug of the application");
    });
    await node.signIn(ADA);
    expect(await row(node)).toMatchObject({ username: ADA, properties: undefined, lastSignInAt: Date.now() });
    expect(node.events).toContainEqual(expect.objectContaining({ type: "activity-failed" }));
  });
});

describe("signing out", () => {
  test("takes the row along", async () => {
    const node = createWorld().node();
    const { account } = await node.signIn(ADA);
    await node.client.removeAccount(account!);
    expect(await rows(node)).toEqual([]);
  });

  test("leaves the row of a sign-in that came after it", async () => {
    const world = createWorld();
    const node = world.node();
    const { account } = await node.signIn(ADA);
    const { accountKey } = await row(node);
    const before = Date.now();
    passTime(1_000);
    await node.signIn(ADA);
    await node.cache.parts.activity.remove(accountKey, before);
    expect(await rows(node)).toHaveLength(1);
    await node.cache.parts.activity.remove(accountKey, Date.now());
    expect(await rows(node)).toEqual([]);
    expect(account).not.toBeNull();
  });

  test("leaves the row of a sign-in that has only just begun", async () => {
    const world = createWorld();
    const node = world.node();
    const before = Date.now();
    passTime(1_000);
    const { activity, partitions } = node.cache.parts;
    const authority = world.authority.msalAuth("contoso", WEB).authority;
    const partition = userPartition({ clientId: WEB, authority }, "h.t");
    const accountKey = partitions.key(partition);
    const account = {
      homeAccountId: "h.t",
      environment: "e",
      tenantId: "t",
      localAccountId: "l",
      username: "ada",
    };
    await activity.beforeSignIn({ accountKey, clientId: WEB, account, role: "web", request: {} });
    await activity.remove(accountKey, before);
    expect(await rows(node)).toHaveLength(1);
  });

  test("tries again where somebody has written the row meanwhile", async () => {
    const world = createWorld();
    const inner = memoryActivity();
    let raced = false;
    const store: AccountActivityStore = {
      ...inner,
      async delete(key, options) {
        if (!raced) {
          raced = true;
          const there = await inner.get(key);
          await inner.put(there!.row, { revision: "raced", ifRevision: there!.revision });
        }
        return inner.delete(key, options);
      },
    };
    const node = world.node({ activity: { store } });
    const { account } = await node.signIn(ADA);
    await node.client.removeAccount(account!);
    expect(await rows(node)).toEqual([]);
  });
});

describe("listing", () => {
  test("pages through everybody, each once", async () => {
    const users = Array.from({ length: 7 }, (_, i) => ({
      username: `u${i}@contoso.example`,
      name: `U ${i}`,
      tenant: "contoso",
    }));
    const world = createWorld({ users });
    const inner = memoryActivity();
    let pages = 0;
    const small: AccountActivityStore = {
      ...inner,
      list: (query) => ((pages += 1), inner.list({ ...query, limit: 3 })),
    };
    const node = world.node({ activity: { store: small } });
    for (const { username } of users) await node.signIn(username);
    const listed = (await rows(node)).map((each) => each.username);
    expect(listed.toSorted()).toEqual(users.map((user) => user.username));
    expect(pages).toBe(3);
  });

  test("filters by status, time and tenant, and keeps to its own namespace", async () => {
    const world = createWorld();
    const node = world.node({}, { auth: { ...world.authority.msalAuth("organizations", WEB) } });
    await node.signIn(ADA);
    const between = Date.now() + 500;
    passTime(1_000);
    await node.signIn(CLEO);
    await world.node({ namespace: "other" }).signIn(BEN);
    const names = async (filter: Parameters<typeof node.cache.accounts>[0]): Promise<string[]> =>
      (await collect(node.cache.accounts(filter))).map((each) => each.username).toSorted();
    expect(await names({})).toEqual([ADA, CLEO]);
    expect(await names({ activeSince: between })).toEqual([CLEO]);
    expect(await names({ idleSince: between })).toEqual([ADA]);
    expect(await names({ status: ["needs-interaction", "retry-later"] })).toEqual([]);
    expect(await names({ status: "ok", clientId: "somebody else's" })).toEqual([]);
    const fabrikam = world.authority.tenants.find((tenant) => tenant.name === "fabrikam")!.tenantId;
    expect(await names({ tenantId: fabrikam })).toEqual([CLEO]);
  });
});
