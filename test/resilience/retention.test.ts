import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { afterEach, expect, test } from "vitest";
import { sqliteStore } from "../../src/adapters/sqlite.ts";
import { createTokenCache } from "../../src/token-cache.ts";
import { collect } from "../support/collect.ts";
import { passTime, steerDates } from "../support/dates.ts";
import { claimsOf } from "../support/network.ts";
import { settle } from "../support/settle.ts";
import { ADA, BEN, createWorld, READ, testKeys, type Node } from "../support/world.ts";

steerDates();

const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;
const DAY_MS = 24 * HOUR_MS;

const folders: string[] = [];
afterEach(() => {
  for (const folder of folders.splice(0)) rmSync(folder, { recursive: true, force: true });
});

/** A real file, and what really stands in it. */
function sqliteWorld() {
  const folder = mkdtempSync(join(tmpdir(), "tokenkeep-retention-"));
  folders.push(folder);
  const path = join(folder, "tokens.db");
  const world = createWorld();
  const store = sqliteStore({ path });
  return {
    ...world,
    node: (...[options, client]: Parameters<typeof world.node>) => world.node({ store, ...options }, client),
    /** How long each record is still kept, ms, by kind. */
    keptMs(): Record<string, number> {
      const db = new DatabaseSync(path, { readOnly: true });
      const rows = db.prepare("SELECT key, expires_at FROM records").all() as {
        key: string;
        expires_at: number;
      }[];
      db.close();
      return Object.fromEntries(
        rows.map(({ key, expires_at }) => [key.split(":")[1] ?? "", expires_at - Date.now()]),
      );
    },
  };
}

const silent = (node: Node, account: Parameters<Node["client"]["acquireTokenSilent"]>[0]["account"]) =>
  node.client.acquireTokenSilent({ account, scopes: READ });

test("R30: the times that stand in the store are those of the policy", async () => {
  const world = sqliteWorld();
  const node = world.node({ retention: { userTtlMs: 30 * DAY_MS, removalMarkerTtlMs: 2 * DAY_MS } });
  const { account } = await node.signIn(ADA);
  await node.client.acquireTokenByClientCredential({ scopes: ["api://notes/.default"] });
  expect(world.keptMs()).toEqual({ user: 30 * DAY_MS, app: HOUR_MS });
  await node.client.removeAccount(account!);
  expect(world.keptMs()["user"]).toBe(2 * DAY_MS);
});

test("R30: a user who comes back within the window is still signed in, however long ago the last write was", async () => {
  const world = sqliteWorld();
  world.authority.setLifetimes({ accessTokenSeconds: 30 * 86_400 });
  const node = world.node({ retention: { userTtlMs: 10 * DAY_MS } });
  const { account } = await node.signIn(ADA);
  for (let days = 0; days < 28; days += 7) {
    passTime(7 * DAY_MS);
    expect((await silent(node, account!)).metadata.tokenSource).toBe("cache");
    await settle();
    expect(world.keptMs()["user"]).toBe(10 * DAY_MS);
  }
  expect(world.authority.count({ grant: "refresh_token" })).toBe(0);
});

test("R30: a user who stays away for longer is asked to sign in, and nothing else", async () => {
  const world = sqliteWorld();
  const node = world.node({ retention: { userTtlMs: 10 * DAY_MS } });
  const { account } = await node.signIn(ADA);
  passTime(10 * DAY_MS);
  await expect(silent(node, account!)).rejects.toMatchObject({ errorCode: "no_tokens_found" });
  expect((await node.signIn(ADA)).metadata.saved).toBe(true);
});

test("R30: without sliding only a write renews how long a record is kept", async () => {
  const world = sqliteWorld();
  world.authority.setLifetimes({ accessTokenSeconds: 30 * 86_400 });
  const fixed = world.node({ retention: { userTtlMs: 10 * DAY_MS, sliding: false } });
  const { account } = await fixed.signIn(ADA);
  passTime(9 * DAY_MS);
  await silent(fixed, account!);
  await settle();
  expect(world.keptMs()["user"]).toBe(DAY_MS);
});

test("R30: an absolute limit ends also what is in use, so long after the sign-in", async () => {
  const world = sqliteWorld();
  world.authority.setLifetimes({ accessTokenSeconds: 30 * 86_400 });
  const node = world.node({ retention: { userTtlMs: 10 * DAY_MS, absoluteTtlMs: 15 * DAY_MS } });
  const { account } = await node.signIn(ADA);
  expect(world.keptMs()["user"]).toBe(10 * DAY_MS);
  passTime(7 * DAY_MS);
  await silent(node, account!);
  await settle();
  expect(world.keptMs()["user"]).toBe(8 * DAY_MS);
  passTime(7 * DAY_MS);
  await silent(node, account!);
  await settle();
  expect(world.keptMs()["user"]).toBe(DAY_MS);
  passTime(DAY_MS);
  await expect(silent(node, account!)).rejects.toMatchObject({ errorCode: "no_tokens_found" });
});

test("R30: a record that the store has evicted is a clean challenge to who comes next", async () => {
  const world = createWorld();
  const { account } = await world.node().signIn(ADA);
  const keys = (await world.store.admin.keys({ prefix: "tokenkeep:user:", limit: 10 })).keys;
  const there = await world.store.get(keys[0]!);
  if (!there || there === "unchanged") throw new Error("nothing was stored");
  await world.store.delete(keys[0]!, { ifVersion: there.version });
  await expect(silent(world.node(), account!)).rejects.toMatchObject({ errorCode: "no_tokens_found" });
});

test("what has expired is deleted when asked, in batches, and what lives stays", async () => {
  const world = sqliteWorld();
  const node = world.node({ retention: { userTtlMs: HOUR_MS } });
  const store = sqliteStore({ path: join(folders[0]!, "tokens.db") });
  for (let i = 0; i < 1_200; i += 1) {
    const bytes = new Uint8Array([1]);
    await store.put(`tokenkeep:obo:${i}`, bytes, { version: `v${i}`, ifVersion: null, ttlMs: MINUTE_MS });
  }
  passTime(MINUTE_MS);
  await node.signIn(ADA);
  expect(await node.cache.purgeExpired()).toEqual({ records: 1_200, accounts: 0 });
  expect(Object.keys(world.keptMs())).toEqual(["user"]);
  expect(await node.cache.purgeExpired()).toEqual({ records: 0, accounts: 0 });
});

test("a row that a sign-in made and never confirmed goes with it, and no other", async () => {
  const world = createWorld();
  const node = world.node();
  const { account } = await node.signIn(ADA);
  const { account: ben } = await node.signIn(BEN);
  const rows = world.store.activity;
  const { rows: found } = await rows.list({ limit: 10 });
  const adas = found.find(({ row }) => row.homeAccountId === account!.homeAccountId)!;
  await rows.delete(adas.row.accountKey, { ifRevision: adas.revision });
  const unconfirmed = { ...adas.row, confirmed: false };
  await rows.put(unconfirmed, { revision: "r1", ifRevision: null });

  passTime(2 * HOUR_MS);
  expect(await node.cache.purgeExpired()).toMatchObject({ accounts: 0 });
  await node.client.removeAccount(account!);
  await rows.put(unconfirmed, { revision: "r2", ifRevision: null }).catch(() => undefined);
  expect(await node.cache.purgeExpired()).toMatchObject({ accounts: 1 });
  const left = await collect(node.cache.accounts());
  expect(left.map(({ homeAccountId }) => homeAccountId)).toEqual([ben!.homeAccountId]);
});

test("without a store a sign-in, a hit, a sign-out and a new sign-in go as they do with one", async () => {
  const world = createWorld();
  const node = world.node({ store: undefined, keys: undefined, l1: { maxBytes: 1_000_000 } } as never);
  const { account } = await node.signIn(ADA);
  const served = await silent(node, account!);
  expect(served.metadata).toMatchObject({ tokenSource: "cache", cacheLevel: "L1" });
  expect(claimsOf(served.accessToken)["oid"]).toBeDefined();
  await node.client.removeAccount(account!);
  await expect(silent(node, account!)).rejects.toMatchObject({ errorCode: "no_tokens_found" });
  expect((await node.signIn(ADA)).metadata.saved).toBe(true);
});

test("L1 cannot be switched off where it is all there is", () => {
  expect(() => createTokenCache({ l1: false })).toThrow(/`l1` must not be false without a store/);
  expect(() => createTokenCache({ l1: false, store: createWorld().store, keys: testKeys() })).not.toThrow();
});
