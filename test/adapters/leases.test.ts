/** What the lease contract leaves open and both built-in stores promise: to the millisecond, and tidy. */
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { describe, expect, test } from "vitest";
import { memoryStore } from "../../src/adapters/memory.ts";
import { sqliteStore } from "../../src/adapters/sqlite.ts";
import { exitOf, outputLines, startFixture, temporaryFolder } from "./children.ts";
import { fakeRuntime, type FakeRuntime } from "./fake-runtime.ts";

const folder = temporaryFolder();
let files = 0;

function newPath(): string {
  return join(folder.path, `${(files += 1)}.db`);
}

const backends = [
  ["memory", (runtime: FakeRuntime) => ({ ...memoryStore({ runtime }), close: async () => {} })],
  ["sqlite", (runtime: FakeRuntime) => sqliteStore({ path: newPath(), runtime })],
] as const;

describe.each(backends)("leases of the %s store", (_name, openStore) => {
  test("last to the last millisecond, and not into the next", async () => {
    const runtime = fakeRuntime();
    const { lease, close } = openStore(runtime);
    await lease.acquire("key", { owner: "a", ttlMs: 40_000 });
    await runtime.advance(39_999);
    expect(await lease.acquire("key", { owner: "b", ttlMs: 1 })).toEqual({ held: false, remainingMs: 1 });
    expect(await lease.renew("key", { owner: "a", ttlMs: 10 })).toBe(true);
    await runtime.advance(9);
    expect(await lease.acquire("key", { owner: "b", ttlMs: 1 })).toEqual({ held: false, remainingMs: 1 });
    await runtime.advance(1);
    expect(await lease.renew("key", { owner: "a", ttlMs: 10 })).toBe(false);
    expect(await lease.acquire("key", { owner: "b", ttlMs: 1 })).toEqual({ held: true });
    await close();
  });

  test("are purged with the expired values, within the same limit and count", async () => {
    const runtime = fakeRuntime();
    const { lease, admin, close, ...store } = openStore(runtime);
    const options = { version: "v", ifVersion: null, ttlMs: 1_000 };
    for (const key of ["1", "2", "3"]) await store.put(key, Uint8Array.of(1), options);
    for (const key of ["1", "2", "3"]) await lease.acquire(key, { owner: "dead", ttlMs: 1_000 });
    await lease.acquire("live", { owner: "a", ttlMs: 60_000 });
    expect(await admin.purgeExpired({ limit: 100 })).toBe(0);
    await runtime.advance(1_000);
    const purged = [];
    for (let call = 0; call < 4; call += 1) purged.push(await admin.purgeExpired({ limit: 2 }));
    expect(purged).toEqual([2, 2, 2, 0]);
    expect(await lease.renew("live", { owner: "a", ttlMs: 1 })).toBe(true);
    await close();
  });

  test.each([0, -1, Number.NaN])("are not granted for %s ms", async (ttlMs) => {
    const { lease, close } = openStore(fakeRuntime());
    const refused = { code: "ERR_OPTION_INVALID", option: "ttlMs" };
    await expect(lease.acquire("key", { owner: "a", ttlMs })).rejects.toMatchObject(refused);
    await lease.acquire("key", { owner: "a", ttlMs: 1_000 });
    await expect(lease.renew("key", { owner: "a", ttlMs })).rejects.toMatchObject(refused);
    await close();
  });
});

describe("leases of the sqlite store", () => {
  test("that died are deleted by whoever gives one back; those that live are not", async () => {
    const runtime = fakeRuntime();
    const path = newPath();
    const { lease, close } = sqliteStore({ path, runtime });
    for (const key of ["1", "2", "3"]) await lease.acquire(key, { owner: "dead", ttlMs: 1_000 });
    await runtime.advance(1_000);
    await lease.acquire("live", { owner: "a", ttlMs: 60_000 });
    await lease.acquire("mine", { owner: "b", ttlMs: 60_000 });
    await lease.release("mine", { owner: "b" });
    const db = new DatabaseSync(path);
    expect(db.prepare("SELECT key FROM leases").all()).toEqual([{ key: "live" }]);
    db.close();
    await close();
  });

  test("are refused for a key that is not well-formed Unicode", async () => {
    const { lease, close } = sqliteStore({ path: newPath() });
    const refused = { code: "ERR_OPTION_INVALID", option: "key" };
    const options = { owner: "a", ttlMs: 1_000 };
    await expect(lease.acquire("half \ud800", options)).rejects.toMatchObject(refused);
    await expect(lease.renew("half \ud800", options)).rejects.toMatchObject(refused);
    await expect(lease.release("half \ud800", options)).rejects.toMatchObject(refused);
    await close();
  });

  test("have one holder at a time among 4 real processes", async () => {
    const path = newPath();
    const children = Array.from({ length: 4 }, () => startFixture("take-turns.ts", [path, "25"]));
    expect(await Promise.all(children.map(exitOf))).toEqual([0, 0, 0, 0]);
    const store = sqliteStore({ path });
    const stored = await store.get("counter");
    expect(typeof stored === "object" && Buffer.from(stored.bytes).toString()).toBe("100");
    await store.close();
  });

  test("of a process that was killed last until their time is up, by the clock of whoever waits", async () => {
    const path = newPath();
    const child = startFixture("hold-lease.ts", [path, "60000"]);
    const exit = exitOf(child);
    await outputLines(child, 1);
    child.kill("SIGKILL");
    expect(await exit).toBe("SIGKILL");
    let ahead = 0;
    const runtime = { ...fakeRuntime(), now: () => Date.now() + ahead };
    const { lease, close } = sqliteStore({ path, runtime });
    const mine = { owner: "mine", ttlMs: 1_000 };
    const answer = await lease.acquire("key", mine);
    expect(answer.held).toBe(false);
    ahead = (!answer.held && answer.remainingMs) || 0;
    expect(await lease.acquire("key", mine)).toEqual({ held: true });
    await close();
  });
});
