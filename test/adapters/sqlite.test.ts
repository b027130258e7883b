import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { describe, expect, test } from "vitest";
import { sqliteFailure } from "../../src/adapters/sqlite-errors.ts";
import { sqliteStore } from "../../src/adapters/sqlite.ts";
import {
  activityStoreContract,
  backplaneContract,
  blobAdminContract,
  blobStoreContract,
  refreshLeaseContract,
} from "../../src/testing/contract/index.ts";
import { temporaryFolder } from "./children.ts";
import { fakeRuntime } from "./fake-runtime.ts";

const runner = { name: "sqlite", test, expect, describe };
let writes = 0;

async function open() {
  const folder = temporaryFolder();
  const runtime = fakeRuntime();
  const path = join(folder.path, "tokens.db");
  const [store, second] = [sqliteStore({ path, runtime }), sqliteStore({ path, runtime })];
  return {
    store,
    second,
    advance: (ms: number) => runtime.advance(ms),
    fail: () => store.close(),
    async close() {
      await store.close();
      await second.close();
      folder.remove();
    },
  };
}

blobStoreContract({ ...runner, open, capabilities: { canFail: true } });

activityStoreContract({
  ...runner,
  open: async () => {
    const opened = await open();
    return { ...opened, activity: opened.store.activity, second: opened.second.activity };
  },
});

blobAdminContract({
  ...runner,
  open: async () => {
    const opened = await open();
    return { ...opened, admin: opened.store.admin };
  },
});

refreshLeaseContract({
  ...runner,
  capabilities: { canFail: true },
  open: async () => {
    const opened = await open();
    return { ...opened, lease: opened.store.lease, second: opened.second.lease };
  },
});

backplaneContract({
  ...runner,
  capabilities: { messagesReachOthers: false },
  open: async () => {
    const { store, second, ...opened } = await open();
    const options = { ifVersion: null, ttlMs: 60_000 };
    const write = () => store.put(`key ${(writes += 1)}`, Uint8Array.of(1), { version: "v", ...options });
    return { ...opened, backplane: store.backplane, second: second.backplane, write };
  },
});

describe("sqlite store", () => {
  test("close may be called twice, and every call after it fails with ERR_CLOSED", async () => {
    const { store, second, ...opened } = await open();
    await store.close();
    await store.close();
    const row = { limit: 1 };
    const calls: readonly (() => Promise<unknown>)[] = [
      () => store.get("key"),
      () => store.put("key", Uint8Array.of(1), { version: "v", ifVersion: null, ttlMs: 1 }),
      () => store.touch("key", { ifVersion: "v", ttlMs: 1 }),
      () => store.delete("key", { ifVersion: "v" }),
      () => store.inspect(),
      () => store.activity.get("key"),
      () => store.activity.list(row),
      () => store.admin.keys({ prefix: "", limit: 1 }),
      () => store.admin.purgeExpired({ limit: 1 }),
      () => store.lease.acquire("key", { owner: "o", ttlMs: 1 }),
      () => store.lease.renew("key", { owner: "o", ttlMs: 1 }),
      () => store.lease.release("key", { owner: "o" }),
      () => store.backplane.changeCounter(),
      () => store.backplane.publish({ key: "key", version: "v" }),
      async () => store.backplane.subscribe(() => {}),
    ];
    for (const call of calls) await expect(call()).rejects.toMatchObject({ code: "ERR_CLOSED" });
    expect(await second.get("key")).toBe(undefined);
    await opened.close();
  });

  test("a key that is not well-formed Unicode is refused, because SQLite would take it for another", async () => {
    const { store, ...opened } = await open();
    const options = { version: "v", ifVersion: null, ttlMs: 60_000 };
    for (const key of ["half \ud800", "half \udc00 other", "nul \0"]) {
      const refused = store.put(key, Uint8Array.of(1), options);
      await expect(refused).rejects.toMatchObject({ code: "ERR_OPTION_INVALID", option: "key" });
      await expect(refused).rejects.not.toThrow(key);
      await expect(store.get(key)).rejects.toMatchObject({ code: "ERR_OPTION_INVALID" });
    }
    await opened.close();
  });

  test("the change counter does not move for an ordinary write of the same store", async () => {
    const { store, ...opened } = await open();
    const before = await store.backplane.changeCounter();
    await store.put("key", Uint8Array.of(1), { version: "v", ifVersion: null, ttlMs: 60_000 });
    expect(await store.backplane.changeCounter()).toBe(before);
    await opened.close();
  });

  test("the change counter of another store moves by the removal itself, announced or not", async () => {
    const { store, second, ...opened } = await open();
    await store.put("key", Uint8Array.of(1), { version: "v", ifVersion: null, ttlMs: 60_000 });
    const before = await second.backplane.changeCounter();
    await store.delete("key", { ifVersion: "v" });
    expect(await second.backplane.changeCounter()).not.toBe(before);
    await opened.close();
  });

  test("rejects what is no page size, before it touches the database", async () => {
    const { store, ...opened } = await open();
    for (const limit of [0, 1_001, Number.NaN]) {
      await expect(store.activity.list({ limit })).rejects.toMatchObject({ option: "limit" });
    }
    await expect(store.admin.purgeExpired({ limit: 0 })).rejects.toMatchObject({ option: "limit" });
    await opened.close();
  });

  test("a refused write leaves nothing behind that holds up the next one", async () => {
    const { store, second, ...opened } = await open();
    const options = { version: "v", ifVersion: null, ttlMs: 60_000 };
    const refused = store.put("key", Uint8Array.of(1), { ...options, ttlMs: Number.NaN });
    await expect(refused).rejects.toMatchObject({ option: "ttlMs" });
    expect(await second.put("key", Uint8Array.of(1), options)).toEqual({ stored: true });
    expect(await store.put("other", Uint8Array.of(1), options)).toEqual({ stored: true });
    await opened.close();
  });

  test("a full disk is ERR_STORE_FULL, anything else ERR_STORE_UNAVAILABLE; both may be retried", () => {
    const db = new DatabaseSync(":memory:");
    db.exec("CREATE TABLE full (bytes); PRAGMA max_page_count = 4");
    expect(failureOf(() => db.exec("INSERT INTO full VALUES (zeroblob(1000000))"))).toMatchObject({
      code: "ERR_STORE_FULL",
      retryable: true,
    });
    expect(failureOf(() => db.exec("SELECT * FROM absent"))).toMatchObject({
      code: "ERR_STORE_UNAVAILABLE",
      retryable: true,
    });
    db.close();
  });
});

/** What a caller of the store is told of the error. */
function failureOf(work: () => void): Error | undefined {
  try {
    work();
  } catch (error) {
    return sqliteFailure("put", error);
  }
  return undefined;
}
