import { describe, expect, test } from "vitest";
import type { AccountActivity } from "../../src/activity/account-activity.ts";
import type { TokenCacheOptions } from "../../src/options.ts";
import { DEFAULT_CLIENT_IDS } from "../../src/testing/authority/options.ts";
import { chaosStore } from "../support/chaos.ts";
import { passTime, steerDates } from "../support/dates.ts";
import { claimsOf } from "../support/network.ts";
import { ADA, BEN, createWorld, type Node, type World } from "../support/world.ts";

steerDates();

const TASKS = ["api://tasks/read"];
const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;
const PREFIX = "tokenkeep:long-running";

/** The API that goes on for its callers. */
function api(world: World, options: Partial<TokenCacheOptions<never>> = {}): Node {
  return world.node(options, { auth: world.authority.msalAuth("contoso", DEFAULT_CLIENT_IDS.notes) });
}

async function assertionOf(world: World, user = ADA): Promise<string> {
  return (await world.node({ namespace: "web" }).signIn(user)).accessToken;
}

const processes = (node: Node): Promise<AccountActivity[]> =>
  Array.fromAsync(node.cache.accounts({ kind: "long-running" }));

const resume = (
  node: Node,
  longRunningProcessSessionKey: string,
  scopes = TASKS,
): ReturnType<Node["client"]["acquireTokenInLongRunningProcess"]> =>
  node.client.acquireTokenInLongRunningProcess({ longRunningProcessSessionKey, scopes });

async function begun(
  node: Node,
  world: World,
  key?: string,
  user = ADA,
): Promise<{ readonly key: string; readonly oboAssertion: string }> {
  const oboAssertion = await assertionOf(world, user);
  const request = { oboAssertion, scopes: TASKS };
  const result = await node.client.initiateLongRunningProcessInWebApi(request, key);
  return { key: result.longRunningProcessSessionKey, oboAssertion };
}

const UNKNOWN = { code: "ERR_PROCESS_UNKNOWN", retryable: false };

describe("a long-running process", () => {
  test("begins with one exchange, and answers from the cache under the key it was given", async () => {
    const world = createWorld();
    const node = api(world);
    const { key } = await begun(node, world, "job-7");
    expect(key).toBe("job-7");
    const hit = await resume(node, key);
    expect(hit.metadata).toMatchObject({ tokenSource: "cache", cacheLevel: "L1" });
    expect(world.authority.count({ grant: "on_behalf_of" })).toBe(1);
    expect(world.authority.count({ grant: "refresh_token" })).toBe(0);
  });

  test("gets a key that nobody can guess where none is given", async () => {
    const world = createWorld();
    const node = api(world);
    const keys = [await begun(node, world), await begun(node, world)].map(({ key }) => key);
    expect(new Set(keys).size).toBe(2);
    for (const key of keys) expect(key.length).toBeGreaterThanOrEqual(22);
  });

  test("goes on in another process after the assertion has expired, for other scopes too, as the same user", async () => {
    const world = createWorld();
    const { key, oboAssertion } = await begun(api(world), world);
    passTime(2 * HOUR_MS);
    const expired = { oboAssertion, scopes: TASKS, skipCache: true };
    await expect(api(world).client.acquireTokenOnBehalfOf(expired)).rejects.toThrow();
    const node = api(world);
    const renewed = await resume(node, key);
    const other = await resume(node, key, ["User.Read"]);
    expect(renewed.metadata).toMatchObject({ tokenSource: "identity-provider", saved: true });
    expect(claimsOf(renewed.accessToken)["oid"]).toBe(claimsOf(oboAssertion)["oid"]);
    expect(other.scopes).toContain("User.Read");
    expect(world.authority.count({ grant: "refresh_token" })).toBe(2);
  });

  test("is renewed by one call, however many ask in however many processes", async () => {
    const world = createWorld();
    const { key } = await begun(api(world), world);
    passTime(2 * HOUR_MS);
    const nodes = [api(world), api(world)];
    const results = await Promise.all(Array.from({ length: 20 }, (_, at) => resume(nodes[at % 2]!, key)));
    expect(world.authority.count({ grant: "refresh_token" })).toBe(1);
    expect(new Set(results.map(({ accessToken }) => accessToken)).size).toBe(1);
  });

  test("is kept for as long as it is used, and its entry in the account record with it", async () => {
    const world = createWorld();
    const node = api(world);
    const { key } = await begun(node, world);
    for (let round = 0; round < 4; round += 1) {
      passTime(60 * DAY_MS);
      await resume(node, key);
    }
    const [account] = await processes(node);
    const { rows } = await world.store.activity.list({ limit: 1 });
    await world.store.activity.delete(rows[0]!.row.accountKey, { ifRevision: rows[0]!.revision });
    passTime(2_000);
    await node.client.signOutEverywhere(account!);
    await expect(resume(api(world), key)).rejects.toMatchObject(UNKNOWN);
  });

  test("belongs to one user: another one's assertion under its key stores nothing", async () => {
    const world = createWorld();
    const node = api(world);
    const { key, oboAssertion } = await begun(node, world);
    await expect(begun(api(world), world, key, BEN)).rejects.toMatchObject({
      code: "ERR_PARTITION_MISMATCH",
    });
    const result = await resume(api(world), key);
    expect(claimsOf(result.accessToken)["oid"]).toBe(claimsOf(oboAssertion)["oid"]);
  });

  test("of two users who begin under one key at once one is refused", async () => {
    const world = createWorld();
    const [a, b] = [api(world), api(world)];
    const assertions = [await assertionOf(world, ADA), await assertionOf(world, BEN)];
    const outcomes = await Promise.allSettled(
      [a, b].map((node, at) =>
        node.client.initiateLongRunningProcessInWebApi(
          { oboAssertion: assertions[at]!, scopes: TASKS },
          "shared",
        ),
      ),
    );
    expect(outcomes.map(({ status }) => status).toSorted()).toEqual(["fulfilled", "rejected"]);
    const winner = outcomes.findIndex(({ status }) => status === "fulfilled");
    const { accessToken } = await resume(api(world), "shared");
    expect(claimsOf(accessToken)["oid"]).toBe(claimsOf(assertions[winner]!)["oid"]);
  });

  test("does not begin while the store is down: the provider is not asked, and the error is retryable", async () => {
    const world = createWorld();
    const link = chaosStore(world.store);
    const node = api(world, { store: link });
    link.fail("all", { times: Infinity });
    await expect(begun(node, world)).rejects.toMatchObject({
      code: "ERR_STORE_UNAVAILABLE",
      retryable: true,
    });
    expect(world.authority.count({ grant: "on_behalf_of" })).toBe(0);
  });

  test("has a key that no store and no event shows", async () => {
    const world = createWorld();
    const node = api(world);
    const { key } = await begun(node, world, "a-key-to-be-kept-secret");
    const { keys } = await world.store.admin.keys({ prefix: "", limit: 100 });
    const { rows } = await world.store.activity.list({ limit: 100 });
    expect(JSON.stringify([keys, rows, node.events])).not.toContain(key);
  });

  test.each([undefined, "", 7, "x".repeat(5_000)])("has no key like %s", async (key) => {
    const node = api(createWorld());
    const named = { option: "longRunningProcessSessionKey" };
    await expect(resume(node, key as string)).rejects.toMatchObject(named);
    await expect(node.client.stopLongRunningProcessInWebApi(key as string)).rejects.toMatchObject(named);
  });

  test("has an activity row of its own kind, which a worker for users does not see", async () => {
    const world = createWorld();
    const node = api(world);
    const { key } = await begun(node, world);
    expect(await Array.fromAsync(node.cache.accounts())).toEqual([]);
    expect(await node.client.getTokenCache().getAllAccounts()).toEqual([]);
    const [row] = await processes(node);
    expect(row).toMatchObject({ kind: "long-running", status: "ok", username: ADA });
    world.authority.revokeUser(ADA);
    passTime(2 * HOUR_MS);
    await expect(resume(node, key)).rejects.toMatchObject({ code: "ERR_INTERACTION_REQUIRED" });
    const [after] = await processes(node);
    expect(after).toMatchObject({ status: "needs-interaction" });
  });
});

describe("stopping a process", () => {
  test("removes it on every node; later calls fail with an error of their own", async () => {
    const world = createWorld();
    const [a, b] = [api(world), api(world)];
    const { key } = await begun(a, world);
    await resume(b, key);
    expect(await a.client.stopLongRunningProcessInWebApi(key)).toEqual({ status: "done", durable: true });
    const before = world.authority.calls.length;
    for (const node of [a, b, api(world)]) await expect(resume(node, key)).rejects.toMatchObject(UNKNOWN);
    expect(world.authority.calls.length).toBe(before);
    expect(await processes(a)).toEqual([]);
  });

  test("is not undone by a renewal that was at the provider", async () => {
    const world = createWorld();
    const [a, b] = [api(world), api(world)];
    const { key } = await begun(a, world);
    passTime(2 * HOUR_MS);
    world.authority.pause();
    const late = resume(b, key);
    await world.authority.whenHeld(1);
    await a.client.stopLongRunningProcessInWebApi(key);
    world.authority.resume();
    expect((await late).metadata.saved).toBe(false);
    await expect(resume(b, key)).rejects.toMatchObject(UNKNOWN);
  });

  test("is not undone by a beginning that was at the provider; one that comes after it begins anew", async () => {
    const world = createWorld();
    const [a, b] = [api(world), api(world)];
    const oboAssertion = await assertionOf(world);
    world.authority.pause();
    const late = b.client.initiateLongRunningProcessInWebApi({ oboAssertion, scopes: TASKS }, "job");
    await world.authority.whenHeld(1);
    await a.client.stopLongRunningProcessInWebApi("job");
    world.authority.resume();
    await expect(late).rejects.toMatchObject({ code: "ERR_SIGNED_OUT" });
    await expect(resume(a, "job")).rejects.toMatchObject(UNKNOWN);
    await begun(a, world, "job");
    expect((await resume(b, "job")).metadata.tokenSource).toBe("cache");
  });

  test("of one that is not there is no error", async () => {
    const node = api(createWorld());
    expect(await node.client.stopLongRunningProcessInWebApi("none")).toMatchObject({ status: "done" });
  });

  test("takes it off the account record, which does not grow by processes that have ended", async () => {
    const world = createWorld();
    const node = api(world);
    const { key } = await begun(node, world);
    await node.client.stopLongRunningProcessInWebApi(key);
    const { keys } = await world.store.admin.keys({ prefix: "tokenkeep:account", limit: 10 });
    const stored = await world.store.get(keys[0]!);
    const bytes = (stored as { bytes: Uint8Array }).bytes.length;
    for (let round = 0; round < 5; round += 1) {
      const next = await begun(node, world);
      await node.client.stopLongRunningProcessInWebApi(next.key);
    }
    const after = (await world.store.get(keys[0]!)) as { bytes: Uint8Array };
    expect(Math.abs(after.bytes.length - bytes)).toBeLessThan(8);
  });

  test("waits for a store that is down, and takes effect in this process at once", async () => {
    const world = createWorld();
    const link = chaosStore(world.store);
    const node = api(world, { store: link });
    const { key } = await begun(node, world);
    link.fail("all", { times: Infinity });
    expect(await node.client.stopLongRunningProcessInWebApi(key)).toMatchObject({ status: "pending" });
    await expect(resume(node, key)).rejects.toThrow();
    link.heal();
    await node.cache.close();
    await expect(resume(api(world), key)).rejects.toMatchObject(UNKNOWN);
  });
});

describe("signing out", () => {
  test("everywhere ends the user's processes on every node, and a stale assertion begins none", async () => {
    const world = createWorld();
    const [a, b] = [api(world), api(world)];
    const { key } = await begun(a, world);
    const { key: bens } = await begun(a, world, undefined, BEN);
    await resume(b, key);
    const old = await assertionOf(world);
    const [account] = (await processes(a)).filter((one) => one.username === ADA);
    passTime(2_000);
    expect(await a.client.signOutEverywhere(account!)).toEqual({ status: "done", durable: true });
    for (const node of [a, b]) await expect(resume(node, key)).rejects.toMatchObject(UNKNOWN);
    const stale = a.client.initiateLongRunningProcessInWebApi({ oboAssertion: old, scopes: TASKS });
    await expect(stale).rejects.toMatchObject({ code: "ERR_SIGNED_OUT" });
    expect((await resume(b, bens)).metadata.tokenSource).toBe("cache");
    const left = await processes(a);
    expect(left.map(({ username }) => username)).toEqual([BEN]);
  });

  test("everywhere while a process is being begun leaves nothing of it", async () => {
    const world = createWorld();
    const [a, b] = [api(world), api(world)];
    const { key: other } = await begun(a, world);
    const [account] = await processes(a);
    const oboAssertion = await assertionOf(world);
    world.authority.pause();
    const late = b.client.initiateLongRunningProcessInWebApi({ oboAssertion, scopes: TASKS }, "late");
    await world.authority.whenHeld(1);
    passTime(2_000);
    await a.client.signOutEverywhere(account!);
    world.authority.resume();
    await expect(late).rejects.toMatchObject({ code: "ERR_SIGNED_OUT" });
    for (const key of ["late", other]) await expect(resume(b, key)).rejects.toMatchObject(UNKNOWN);
  });

  test("of this application alone leaves processes to be stopped by their keys", async () => {
    const world = createWorld();
    const node = api(world);
    const { key } = await begun(node, world);
    const [account] = await processes(node);
    await node.client.removeAccount(account!);
    expect((await resume(node, key)).metadata.tokenSource).toBe("cache");
    const { keys } = await world.store.admin.keys({ prefix: PREFIX, limit: 10 });
    expect(keys).toHaveLength(1);
  });
});
