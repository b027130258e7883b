/** `tokenCache.rekey()`: everything that is sealed, under today's key, while the cache is in use. */
import { describe, expect, test } from "vitest";

import { createSealer, keyIdOf } from "../../src/envelope/sealer.ts";
import {
  createKeyRing,
  createTokenCache,
  type KeyRing,
  type RekeyResult,
  type Store,
} from "../../src/index.ts";
import { systemRuntime } from "../../src/runtime.ts";
import { DEFAULT_CLIENT_IDS } from "../../src/testing/authority/options.ts";
import { createSignIn } from "../../src/web/sign-in.ts";
import { virtualTime } from "../support/virtual-time.ts";
import { ADA, BEN, createWorld, READ, REDIRECT_URI, type World } from "../support/world.ts";

const NAMESPACE = "tokenkeep";
const HOUR_MS = 3_600_000;
const TASKS = ["api://tasks/read"];

const key = (id: string): { id: string; key: Uint8Array } => ({
  id,
  key: new Uint8Array(32).fill(id.charCodeAt(0)),
});
const ring = (sealing: string, ...opening: string[]): KeyRing =>
  createKeyRing({ sealing: key(sealing), opening: opening.map(key) });
const OLD = ring("a");
const NEW = ring("b", "a");
const hooks = { activity: { onBeforeWrite: () => ({ plan: "gold" }) } } as object;

/** What lies in the store under each key. */
async function recordsOf(store: Store) {
  const { keys } = await store.admin!.keys({ prefix: "", limit: 10_000 });
  const all = await Promise.all(
    keys.map(async (at) => {
      const stored = await store.get(at);
      if (typeof stored !== "object") throw new Error("gone");
      return [at, stored] as const;
    }),
  );
  return new Map(all);
}

/** The key ids that anything in the store is sealed under: records, and rows' properties. */
async function keyIdsIn(store: Store): Promise<Record<string, number>> {
  const bytes = [...(await recordsOf(store)).values()].map((stored) => stored.bytes);
  const { rows } = await store.activity!.list({ limit: 1_000 });
  const sealed = rows.flatMap(({ row }) => row.sealedProperties ?? []);
  const counts: Record<string, number> = {};
  for (const each of [...bytes, ...sealed]) {
    const id = keyIdOf(each) ?? "none";
    counts[id] = (counts[id] ?? 0) + 1;
  }
  return counts;
}

function textIn(at: string, bytes: Uint8Array): string {
  const context = { namespace: NAMESPACE, key: at, kind: at.split(":")[1] ?? "" };
  const opened = createSealer(NEW, systemRuntime).open(bytes, context);
  if (!opened.ok) throw new Error(opened.reason);
  return opened.plaintext.toString("utf8");
}

/** One of everything that a cache seals into a store, under the old key. */
async function oneOfEach(world: World) {
  const node = world.node({ keys: OLD, ...hooks });
  const { account, accessToken } = await node.signIn(ADA);
  const ben = await node.signIn(BEN);
  await node.client.removeAccount(ben.account!);
  await node.client.acquireTokenByClientCredential({ scopes: ["api://notes/.default"] });
  const notes = world.node(
    { keys: OLD },
    { auth: world.authority.msalAuth("contoso", DEFAULT_CLIENT_IDS.notes) },
  );
  await notes.client.acquireTokenOnBehalfOf({ oboAssertion: accessToken, scopes: TASKS });
  const signIn = createSignIn({ client: node.client, redirectUri: REDIRECT_URI, scopes: READ });
  const { url, flow } = await signIn.beginSignIn();
  const { params } = await world.authority.authorize(url, { user: ADA });
  await signIn.completeSignIn({ url: `${REDIRECT_URI}?${new URLSearchParams(params).toString()}`, flow });
  return { account: account!, accessToken };
}

/** Records of no content, which is nobody's business here. */
async function plantUsers(store: Store, count: number, keys = OLD): Promise<void> {
  const sealer = createSealer(keys, systemRuntime);
  for (let index = 0; index < count; index += 1) {
    const at = `${NAMESPACE}:user:client:issuer:u${String(index).padStart(5, "0")}`;
    const bytes = sealer.seal(Buffer.from("{}"), { namespace: NAMESPACE, key: at, kind: "user" });
    await store.put(at, bytes, { version: `v${index}`, ifVersion: null, ttlMs: HOUR_MS });
  }
}

describe("a rekey", () => {
  test("brings everything that is sealed under today's key: records, markers, lists, marks, rows", async () => {
    const world = createWorld();
    await oneOfEach(world);
    const before = await recordsOf(world.store);
    const kinds = new Set([...before.keys()].map((at) => at.split(":")[1]));
    expect(kinds).toEqual(new Set(["account", "app", "flow", "obo", "user"]));
    expect(Object.keys(await keyIdsIn(world.store))).toEqual(["a"]);

    const node = world.node({ keys: NEW });
    const progress: RekeyResult[] = [];
    const result = await node.cache.rekey({
      onProgress: (now) => void progress.push({ ...now, done: false }),
    });
    const rows = (await world.store.activity.list({ limit: 9 })).rows.length;
    expect(result).toEqual({
      scanned: before.size + rows,
      resealed: before.size + rows,
      skipped: 0,
      unreadable: 0,
      conflicts: 0,
      done: true,
    });
    expect(Object.keys(await keyIdsIn(world.store))).toEqual(["b"]);
    expect(progress.at(-1)).toMatchObject({ resealed: result.resealed });
    expect(node.events).toEqual([]);
  });

  test("leaves every text as it was, and nothing shorter kept", async () => {
    const world = createWorld();
    await oneOfEach(world);
    const before = await recordsOf(world.store);
    await world.node({ keys: NEW }).cache.rekey();
    const after = await recordsOf(world.store);
    expect([...after.keys()]).toEqual([...before.keys()]);
    for (const [at, stored] of after) {
      const was = before.get(at)!;
      expect(textIn(at, stored.bytes)).toBe(textIn(at, was.bytes));
      expect(stored.version).not.toBe(was.version);
      expect(stored.expiresAtMs).toBeGreaterThanOrEqual(was.expiresAtMs!);
      expect(stored.expiresAtMs! - was.expiresAtMs!).toBeLessThan(60_000);
    }
  });

  test("does nothing the second time, and needs the old key no more", async () => {
    const world = createWorld();
    const { account, accessToken } = await oneOfEach(world);
    await world.node({ keys: NEW }).cache.rekey();
    const before = await recordsOf(world.store);
    const second = await world.node({ keys: NEW }).cache.rekey();
    expect(second).toMatchObject({ resealed: 0, skipped: second.scanned });
    expect(await recordsOf(world.store)).toEqual(before);
    const node = world.node({ keys: ring("b") });
    const found = await node.client.acquireTokenSilent({ account, scopes: READ });
    expect(found.fromCache).toBe(true);
    expect(typeof accessToken).toBe("string");
    for await (const listed of node.cache.accounts()) expect(listed.properties).toEqual({ plan: "gold" });
    expect(node.events).toEqual([]);
  });

  test("is noticed by nobody who has a copy in memory, or is renewing from one", async () => {
    const world = createWorld();
    const busy = world.node({ keys: NEW });
    const { account } = await world.node({ keys: OLD }).signIn(ADA);
    const request = { account: account!, scopes: READ };
    const { accessToken } = await busy.client.acquireTokenSilent(request);
    await world.node({ keys: NEW }).cache.rekey();
    expect(await busy.client.acquireTokenSilent(request)).toMatchObject({ accessToken });
    const renewed = await busy.client.acquireTokenSilent({ ...request, forceRefresh: true });
    expect(renewed.metadata.saved).toBe(true);
    expect(world.authority.count({ grant: "refresh_token" })).toBe(1);
  });

  test("leaves what it cannot open as it is, and says so", async () => {
    const world = createWorld();
    await plantUsers(world.store, 3);
    const [first, second] = [...(await recordsOf(world.store)).keys()];
    const forged = Buffer.from((await recordsOf(world.store)).get(first!)!.bytes);
    forged[forged.length - 1]! ^= 1;
    await world.store.put(first!, forged, { version: "forged", ifVersion: "v0", ttlMs: HOUR_MS });
    const stranger = createSealer(ring("z"), systemRuntime);
    const context = { namespace: NAMESPACE, key: second!, kind: "user" };
    const unknown = stranger.seal(Buffer.from("{}"), context);
    await world.store.put(second!, unknown, { version: "unknown", ifVersion: "v1", ttlMs: HOUR_MS });

    const node = world.node({ keys: NEW });
    expect(await node.cache.rekey()).toMatchObject({ scanned: 3, resealed: 1, unreadable: 2, done: true });
    expect(node.events).toMatchObject([
      { type: "record-unreadable", reason: "refused" },
      { type: "record-unreadable", reason: "unknown-key" },
    ]);
    const after = await recordsOf(world.store);
    expect([after.get(first!)!.version, after.get(second!)!.version]).toEqual(["forged", "unknown"]);
  });

  test("reads what a newer release wrote inside the envelope no more than it must, and keeps it", async () => {
    const world = createWorld();
    const at = `${NAMESPACE}:user:client:issuer:u`;
    const text = JSON.stringify({ f: 99, t: "dreams" });
    const bytes = createSealer(OLD, systemRuntime).seal(Buffer.from(text), {
      namespace: NAMESPACE,
      key: at,
      kind: "user",
    });
    await world.store.put(at, bytes, { version: "v", ifVersion: null, ttlMs: HOUR_MS });
    expect(await world.node({ keys: NEW }).cache.rekey()).toMatchObject({ resealed: 1 });
    expect(textIn(at, (await recordsOf(world.store)).get(at)!.bytes)).toBe(text);
  });
});

describe("beside others who write", () => {
  /** A store in which somebody else writes just before each of our first `times` writings. */
  function contended(store: Store, times: number, keys: KeyRing): Store {
    const sealer = createSealer(keys, systemRuntime);
    let left = times;
    return {
      ...store,
      async put(at, bytes, options) {
        if (left > 0) {
          left -= 1;
          const theirs = sealer.seal(Buffer.from('{"theirs":1}'), {
            namespace: NAMESPACE,
            key: at,
            kind: "user",
          });
          await store.put(at, theirs, { ...options, version: `theirs-${left}` });
        }
        return store.put(at, bytes, options);
      },
    };
  }

  test.each([
    ["under the old key: seals theirs", 1, OLD, { resealed: 1, conflicts: 0, skipped: 0 }, "b"],
    ["under the new key: finds it done", 1, NEW, { resealed: 0, conflicts: 0, skipped: 1 }, "b"],
    ["under the old key all the time: leaves it", 99, OLD, { resealed: 0, conflicts: 1, skipped: 0 }, "a"],
  ])("%s, and never writes over it", async (_name, times, keys, counts, keyId) => {
    const world = createWorld();
    await plantUsers(world.store, 1);
    const node = world.node({ keys: NEW, store: contended(world.store, times, keys) });
    expect(await node.cache.rekey()).toMatchObject({ scanned: 1, ...counts, done: true });
    const [found] = await recordsOf(world.store);
    const [at, { bytes }] = found!;
    expect(textIn(at, bytes)).toBe('{"theirs":1}');
    expect(keyIdOf(bytes)).toBe(keyId);
  });

  test("a row that an application writes meanwhile keeps what that wrote", async () => {
    const world = createWorld();
    await world.node({ keys: OLD, ...hooks }).signIn(ADA);
    const { activity } = world.store;
    let isFirst = true;
    const store: Store = {
      ...world.store,
      activity: {
        ...activity,
        async put(row, how) {
          if (isFirst) {
            isFirst = false;
            const { revision: ifRevision, row: there } = (await activity.get(row.accountKey))!;
            await activity.put({ ...there, name: "Somebody" }, { revision: "theirs", ifRevision });
          }
          return activity.put(row, how);
        },
      },
    };
    expect(await world.node({ keys: NEW, store }).cache.rekey()).toMatchObject({ resealed: 2, conflicts: 0 });
    expect((await activity.list({ limit: 2 })).rows).toMatchObject([{ row: { name: "Somebody" } }]);
    expect(Object.keys(await keyIdsIn(world.store))).toEqual(["b"]);
  });
});

describe("a rekey that ends early", () => {
  test("goes on from its cursor, in another process", async () => {
    const world = createWorld();
    await plantUsers(world.store, 250);
    const controller = new AbortController();
    const fast = { perSecond: 1e9 };
    const first = await world.node({ keys: NEW }).cache.rekey({
      ...fast,
      signal: controller.signal,
      onProgress: () => controller.abort(),
    });
    expect(first).toMatchObject({ scanned: 100, resealed: 100, done: false });
    expect(await keyIdsIn(world.store)).toEqual({ a: 150, b: 100 });
    const second = await world.node({ keys: NEW }).cache.rekey({ ...fast, cursor: first.cursor! });
    expect(second).toMatchObject({ scanned: 150, resealed: 150, done: true });
    expect(await keyIdsIn(world.store)).toEqual({ b: 250 });
  });

  test("names nobody in its cursor, and takes none of somebody's making", async () => {
    const world = createWorld();
    await plantUsers(world.store, 101);
    const controller = new AbortController();
    const node = world.node({ keys: NEW });
    const { cursor = "" } = await node.cache.rekey({
      signal: controller.signal,
      perSecond: 1e9,
      onProgress: () => controller.abort(),
    });
    expect(cursor).not.toBe("");
    expect(Buffer.from(cursor, "base64url").toString("latin1")).not.toContain("user:client");
    for (const made of ["", "x", Buffer.from('{"pass":0}').toString("base64url")]) {
      await expect(node.cache.rekey({ cursor: made })).rejects.toThrow(/cursor/);
    }
  });

  test("goes on over the same stores only", async () => {
    const world = createWorld();
    await oneOfEach(world);
    const settings = { keys: NEW, activity: { store: world.store.activity } };
    const caches = [createTokenCache({ ...settings, store: world.store }), createTokenCache(settings)];
    // After the first page: of the cache with records that is among its rows.
    const cursors = await Promise.all(
      caches.map(async (cache) => {
        const ending = new AbortController();
        const { cursor } = await cache.rekey({ signal: ending.signal, onProgress: () => ending.abort() });
        return cursor ?? (await cache.rekey({ signal: AbortSignal.abort() })).cursor!;
      }),
    );
    for (const [at, cache] of caches.entries()) {
      const others = cache.rekey({ cursor: cursors[1 - at]! });
      await expect(others).rejects.toMatchObject({ name: "OptionsError", option: "cursor" });
      expect(await cache.rekey({ cursor: cursors[at]! })).toMatchObject({ done: true });
    }
  });

  test("after the store has failed goes on from the last progress", async () => {
    const world = createWorld();
    await plantUsers(world.store, 250);
    let reads = 0;
    const store: Store = {
      ...world.store,
      get: (at, how) => (++reads > 150 ? Promise.reject(new Error("down")) : world.store.get(at, how)),
    };
    let cursor: string | undefined;
    const failed = world.node({ keys: NEW, store }).cache.rekey({
      perSecond: 1e9,
      onProgress: (progress) => (cursor = progress.cursor),
    });
    await expect(failed).rejects.toMatchObject({ code: "ERR_STORE_UNAVAILABLE", retryable: true });
    const rest = await world.node({ keys: NEW }).cache.rekey({ perSecond: 1e9, cursor: cursor! });
    expect(rest).toMatchObject({ scanned: 150, resealed: 100, skipped: 50, done: true });
  });

  test("because the cache closes keeps nobody waiting", async () => {
    const world = createWorld();
    await plantUsers(world.store, 50);
    const node = world.node({ keys: NEW });
    // One in an hour: closing must not wait for the second.
    const running = node.cache.rekey({ perSecond: 1 / 3_600 });
    await node.cache.close();
    expect(await running).toMatchObject({ done: false });
  });
});

test("a rekey takes no more of the store than it is given", async () => {
  const time = virtualTime();
  const world = createWorld({ runtime: time.runtime });
  await plantUsers(world.store, 60);
  const node = world.node({ keys: NEW, runtime: time.runtime });
  const { value, tookMs } = await time.until(node.cache.rekey({ perSecond: 10 }));
  expect(value).toMatchObject({ resealed: 60, done: true });
  expect(tookMs).toBeGreaterThanOrEqual(5_900);
  expect(tookMs).toBeLessThan(8_000);
});

describe("a rekey is refused", () => {
  test("over a store that cannot list its keys", async () => {
    const world = createWorld();
    const { admin: _admin, ...store } = world.store;
    await expect(world.node({ keys: NEW, store }).cache.rekey()).rejects.toMatchObject({
      code: "ERR_NOT_SUPPORTED",
      message: expect.stringContaining("admin") as string,
    });
  });

  test("where nothing is sealed", async () => {
    await expect(createWorld().node({ keys: "unsealed" }).cache.rekey()).rejects.toMatchObject({
      code: "ERR_NOT_SUPPORTED",
    });
  });

  test.each([[{ perSecond: 0 }], [{ signal: {} }], [{ onProgress: 1 }], [{ persecond: 1 }], [null]])(
    "with wrong options: %j",
    async (options) => {
      await expect(
        createWorld()
          .node({ keys: NEW })
          .cache.rekey(options as never),
      ).rejects.toMatchObject({
        code: "ERR_OPTION_INVALID",
      });
    },
  );
});

describe("without a rekey", () => {
  test("a record goes over to the new key with its next write, whatever kind of write", async () => {
    const world = createWorld();
    const { account } = await oneOfEach(world);
    const node = world.node({ keys: NEW, ...hooks });
    const keyIdAt = async (kind: string, text: string) => {
      const records = [...(await recordsOf(world.store))];
      const [, stored] = records.find(
        ([at]) => at.includes(`:${kind}:`) && decodeURIComponent(at).includes(text),
      )!;
      return keyIdOf(stored.bytes);
    };
    await node.client.acquireTokenSilent({ account, scopes: READ });
    expect(await keyIdAt("user", account.homeAccountId)).toBe("a");
    await node.client.acquireTokenSilent({ account, scopes: READ, forceRefresh: true });
    expect(await keyIdAt("user", account.homeAccountId)).toBe("b");
    const ben = await node.signIn(BEN);
    expect(await keyIdAt("user", ben.account!.homeAccountId)).toBe("b");
    await node.client.signOutEverywhere(account);
    expect(await keyIdAt("account", account.homeAccountId)).toBe("b");
    const { rows } = await world.store.activity.list({ limit: 9 });
    expect(rows.map(({ row }) => keyIdOf(row.sealedProperties!))).toEqual(["b"]);
  });
});
