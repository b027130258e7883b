import { readdirSync, readFileSync, rmdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { filesystemFailure } from "../../src/adapters/filesystem-errors.ts";
import { filesystemStore } from "../../src/adapters/filesystem.ts";
import {
  activityStoreContract,
  backplaneContract,
  blobAdminContract,
  blobStoreContract,
  refreshLeaseContract,
} from "../../src/testing/contract/index.ts";
import { temporaryFolder } from "./children.ts";
import { shiftedRuntime } from "./shifted-runtime.ts";

const runner = { name: "filesystem", test, expect, describe };
const KEPT = { ifVersion: null, ttlMs: 3_600_000 };
let writes = 0;

function open() {
  const temporary = temporaryFolder();
  const runtime = shiftedRuntime();
  const folder = join(temporary.path, "store");
  const [store, second] = [filesystemStore({ folder, runtime }), filesystemStore({ folder, runtime })];
  return {
    folder,
    store,
    second,
    advance: (ms: number) => runtime.advance(ms),
    fail: () => store.close(),
    async close() {
      await store.close();
      await second.close();
      temporary.remove();
    },
  };
}

blobStoreContract({ ...runner, open: async () => open(), capabilities: { canFail: true } });

activityStoreContract({
  ...runner,
  async open() {
    const opened = open();
    return { ...opened, activity: opened.store.activity, second: opened.second.activity };
  },
});

blobAdminContract({
  ...runner,
  async open() {
    const opened = open();
    return { ...opened, admin: opened.store.admin };
  },
});

refreshLeaseContract({
  ...runner,
  capabilities: { canFail: true },
  async open() {
    const opened = open();
    return { ...opened, lease: opened.store.lease, second: opened.second.lease };
  },
});

backplaneContract({
  ...runner,
  async open() {
    const { store, second, ...opened } = open();
    const write = () => store.put(`key ${(writes += 1)}`, Uint8Array.of(1), { version: "v", ...KEPT });
    return { ...opened, backplane: store.backplane, second: second.backplane, write };
  },
});

describe("filesystem store", () => {
  test("close may be called twice, and every call after it fails with ERR_CLOSED", async () => {
    const { store, second, ...opened } = open();
    await store.close();
    await store.close();
    const calls: readonly (() => Promise<unknown>)[] = [
      () => store.get("key"),
      () => store.put("key", Uint8Array.of(1), { version: "v", ...KEPT }),
      () => store.touch("key", { ifVersion: "v", ttlMs: 1 }),
      () => store.delete("key", { ifVersion: "v" }),
      () => store.inspect(),
      () => store.activity.get("key"),
      () => store.activity.list({ limit: 1 }),
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

  test("a key that is not well-formed Unicode is refused, because two of them would have one name", async () => {
    const { store, ...opened } = open();
    for (const key of ["half \ud800", "half \udc00 other", "nul \0"]) {
      const refused = store.put(key, Uint8Array.of(1), { version: "v", ...KEPT });
      await expect(refused).rejects.toMatchObject({ code: "ERR_OPTION_INVALID", option: "key" });
      await expect(refused).rejects.not.toThrow(key);
      await expect(store.get(key)).rejects.toMatchObject({ code: "ERR_OPTION_INVALID" });
    }
    await opened.close();
  });

  test("no file's name, nor a lock's, says whose it is", async () => {
    const { store, folder, ...opened } = open();
    const key = "tk:user:ada.contoso";
    await store.put(key, Uint8Array.of(1), { version: "v", ...KEPT });
    await store.lease.acquire(key, { owner: "o", ttlMs: 60_000 });
    const names = readdirSync(folder, { recursive: true }).map(String);
    expect(names.filter((name) => /ada|contoso|tk:/.test(name))).toEqual([]);
    expect(names.filter((name) => /^records\/[0-9a-f]{64}$/.test(name))).toHaveLength(1);
    await opened.close();
  });

  test("a whole call leaves nothing behind but the file itself", async () => {
    const { store, folder, ...opened } = open();
    await store.put("key", Uint8Array.of(1), { version: "v", ...KEPT });
    await store.put("key", Uint8Array.of(2), { version: "w", ...KEPT });
    await store.touch("key", { ifVersion: "v", ttlMs: 7_200_000 });
    await store.put("other", Uint8Array.of(2), { version: "w", ...KEPT });
    await store.delete("other", { ifVersion: "w" });
    expect(remains(folder)).toEqual([]);
    expect(readdirSync(join(folder, "records"))).toHaveLength(1);
    await opened.close();
  });

  test("a conflict that is there already writes nothing to the disk", async () => {
    const { store, folder, ...opened } = open();
    await store.put("key", Uint8Array.of(1), { version: "v", ...KEPT });
    // Nothing can be written while there is no folder to write in.
    rmdirSync(join(folder, "work"));
    const late = await store.put("key", Uint8Array.of(2), { version: "w", ...KEPT });
    expect(late).toMatchObject({ stored: false, current: { version: "v" } });
    await opened.close();
  });

  test("a damaged or cut file, a newer one and one from another key are errors, never a miss", async () => {
    const { store, folder, ...opened } = open();
    await store.put("key", new Uint8Array(100).fill(7), { version: "v", ...KEPT });
    await store.put("other", Uint8Array.of(1), { version: "v", ...KEPT });
    const [file, otherFile] = readdirSync(join(folder, "records")).map((name) =>
      join(folder, "records", name),
    );
    if (file === undefined || otherFile === undefined) throw new Error("unreachable");
    const whole = readFileSync(file);
    const key = whole.includes('"other"') ? "other" : "key";
    const newer = Buffer.from(whole);
    newer[4] = 9;
    const wrong = [
      whole.subarray(0, -1),
      whole.subarray(0, 20),
      whole.subarray(0, 3),
      Buffer.alloc(0),
      Buffer.concat([whole, Buffer.of(0)]),
      Buffer.from("not ours at all, but long enough"),
      newer,
      readFileSync(otherFile),
    ];
    for (const content of wrong) {
      writeFileSync(file, content);
      const failure = { code: "ERR_STORE_UNAVAILABLE", retryable: true };
      await expect(store.get(key)).rejects.toMatchObject(failure);
      await expect(store.get(key, { unlessVersion: "v" })).rejects.toMatchObject(failure);
      await expect(store.put(key, Uint8Array.of(1), { version: "w", ...KEPT })).rejects.toMatchObject(
        failure,
      );
      expect(readFileSync(file)).toEqual(Buffer.from(content));
    }
    writeFileSync(file, whole);
    expect(await store.get(key, { unlessVersion: "v" })).toBe("unchanged");
    await opened.close();
  });

  test("purging goes on where it stopped, and takes expired leases with it", async () => {
    const { store, advance, ...opened } = open();
    for (let index = 0; index < 7; index += 1) {
      await store.put(`short ${index}`, Uint8Array.of(1), { version: "v", ifVersion: null, ttlMs: 10 });
    }
    await store.put("long", Uint8Array.of(1), { version: "v", ...KEPT });
    await store.lease.acquire("key", { owner: "o", ttlMs: 10 });
    advance(20);
    const purged = [];
    for (let call = 0; call < 4; call += 1) purged.push(await store.admin.purgeExpired({ limit: 3 }));
    expect(purged).toEqual([3, 3, 2, 0]);
    await opened.close();
  });

  test("two processes' messages and counters meet, and a removed messages file loses no counter", async () => {
    const { store, second, folder, ...opened } = open();
    const before = await second.backplane.changeCounter();
    await store.backplane.publish({ key: "a", version: "v" });
    rmSync(join(folder, "signals", "messages"));
    expect(await second.backplane.changeCounter()).not.toBe(before);
    await opened.close();
  });

  test("a full disk is ERR_STORE_FULL, anything else ERR_STORE_UNAVAILABLE; both may be retried", () => {
    // A device that answers every write with "no space left".
    expect(failureOf(() => writeFileSync("/dev/full", "x"))).toMatchObject({
      code: "ERR_STORE_FULL",
      retryable: true,
    });
    expect(failureOf(() => readFileSync("/"))).toMatchObject({
      code: "ERR_STORE_UNAVAILABLE",
      retryable: true,
    });
  });
});

/** Half-written files and locks. */
function remains(folder: string): string[] {
  return ["work", "locks"].flatMap((name) =>
    readdirSync(join(folder, name), { recursive: true }).map(String),
  );
}

/** What a caller of the store is told of the error. */
function failureOf(work: () => void): Error | undefined {
  try {
    work();
  } catch (error) {
    return filesystemFailure("put", error);
  }
  return undefined;
}
