import { chmodSync, statSync } from "node:fs";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { sqliteStore } from "../../src/adapters/sqlite.ts";
import { exitOf, outputLines, startFixture, temporaryFolder } from "./children.ts";
import { fakeRuntime } from "./fake-runtime.ts";

let folder = temporaryFolder();
folder.remove();
let path = "";

beforeEach(() => {
  folder = temporaryFolder();
  path = join(folder.path, "tokens.db");
});
afterEach(() => folder.remove());

const options = { version: "v", ifVersion: null, ttlMs: 3_600_000 };

/** Another process's write lock on the database, until released. */
function lock(): { release(): void } {
  const db = new DatabaseSync(path);
  db.exec("BEGIN IMMEDIATE");
  return {
    release() {
      db.exec("ROLLBACK");
      db.close();
    },
  };
}

describe("several processes", () => {
  test("4 processes doing 100 compare-and-swap increments each make 400", async () => {
    const children = Array.from({ length: 4 }, () => startFixture("increment.ts", [path, "100"]));
    expect(await Promise.all(children.map(exitOf))).toEqual([0, 0, 0, 0]);
    const store = sqliteStore({ path });
    const stored = await store.get("counter");
    expect(typeof stored === "object" && Buffer.from(stored.bytes).toString()).toBe("400");
    await store.close();
  });

  test("may open a fresh file at the same moment", async () => {
    for (let round = 0; round < 3; round += 1) {
      const file = `${path}.${round}`;
      const keys = ["a", "b", "c", "d", "e", "f"];
      const children = keys.map((key) => startFixture("open-fresh.ts", [file, key]));
      await Promise.all(children.map((child) => outputLines(child, 1)));
      const exits = Promise.all(children.map(exitOf));
      for (const child of children) child.stdin?.write("go\n");
      expect(await exits).toEqual([0, 0, 0, 0, 0, 0]);
      const store = sqliteStore({ path: file });
      expect((await store.admin.keys({ prefix: "", limit: 10 })).keys).toEqual(keys);
      expect((statSync(file).mode & 0o777).toString(8)).toBe("600");
      await store.close();
    }
  });

  test("a writer that is killed leaves every acknowledged write whole and readable", async () => {
    const child = startFixture("write-for-ever.ts", [path]);
    let acknowledged = 0;
    let rest = "";
    const exit = exitOf(child);
    await new Promise<void>((resolve) => {
      child.stdout?.on("data", (data: Buffer) => {
        const lines = (rest + data.toString()).split("\n");
        rest = lines.pop() ?? "";
        acknowledged = Number(lines.at(-1) ?? acknowledged);
        if (acknowledged >= 50) resolve();
      });
    });
    child.kill("SIGKILL");
    expect(await exit).toBe("SIGKILL");
    const store = sqliteStore({ path });
    const stored = await store.get("key");
    if (typeof stored !== "object") throw new Error("nothing is stored");
    expect(Number(stored.version)).toBeGreaterThanOrEqual(acknowledged);
    expect(new Set(stored.bytes)).toEqual(new Set([Number(stored.version) % 256]));
    expect(stored.bytes.length).toBe(16_384);
    expect((await store.inspect()).find(({ code }) => code === "integrity")?.severity).toBe("info");
    await store.close();
  });

  test("a process whose last call waits for a lock does not end before it has written", async () => {
    await sqliteStore({ path }).close();
    const held = lock();
    const child = startFixture("write-once.ts", [path]);
    const exit = exitOf(child);
    // Twice, so that the process has outlived one wait.
    await Promise.race([outputLines(child, 2), exit]);
    held.release();
    expect(await exit).toBe(0);
    const store = sqliteStore({ path });
    expect(await store.get("key")).toMatchObject({ version: "v" });
    await store.close();
  });

  test("a file that is not in WAL mode yet is waited for while another process writes to it", async () => {
    await sqliteStore({ path }).close();
    const db = new DatabaseSync(path);
    db.exec("PRAGMA journal_mode = DELETE; BEGIN IMMEDIATE");
    const child = startFixture("open-once.ts", [path]);
    const exit = exitOf(child);
    // Once when it begins, once when the change to WAL has failed.
    await Promise.race([outputLines(child, 2), exit]);
    db.exec("ROLLBACK");
    db.close();
    expect(await exit).toBe(0);
    const store = sqliteStore({ path });
    expect((await store.inspect()).find(({ code }) => code === "journal-mode")?.message).toContain("WAL");
    await store.close();
  });

  test("a relative path is that of the folder the process was in when it opened the store", async () => {
    const child = startFixture("increment.ts", ["relative.db", "1"], folder.path);
    expect(await exitOf(child)).toBe(0);
    const store = sqliteStore({ path: join(folder.path, "relative.db") });
    expect(await store.get("counter")).toMatchObject({ bytes: Uint8Array.of(49) });
    await store.close();
  });
});

describe("a locked database", () => {
  test("is waited for without holding up the event loop, and the write then lands", async () => {
    const runtime = fakeRuntime();
    const store = sqliteStore({ path, runtime, busyTimeoutMs: 0 });
    const held = lock();
    const pending = store.put("key", Uint8Array.of(1), options);
    await runtime.advance(1_000);
    expect(runtime.pendingTimers()).toBe(1);
    held.release();
    await runtime.advance(200);
    expect(await pending).toEqual({ stored: true });
    await store.close();
  });

  test("is ERR_STORE_UNAVAILABLE, retryable, after lockTimeoutMs, and the write does not happen later", async () => {
    const runtime = fakeRuntime();
    const store = sqliteStore({ path, runtime, busyTimeoutMs: 0, lockTimeoutMs: 5_000 });
    const held = lock();
    const failed = expect(store.put("key", Uint8Array.of(1), options)).rejects.toMatchObject({
      code: "ERR_STORE_UNAVAILABLE",
      retryable: true,
      cause: { errcode: 5 },
    });
    await runtime.advance(5_000);
    await failed;
    expect(runtime.pendingTimers()).toBe(0);
    held.release();
    await runtime.advance(10_000);
    expect(await store.get("key")).toBe(undefined);
    await store.close();
  });

  test("is not written to after its caller has given up waiting", async () => {
    const runtime = fakeRuntime();
    const store = sqliteStore({ path, runtime, busyTimeoutMs: 0 });
    const held = lock();
    const abort = new AbortController();
    const pending = store.put("key", Uint8Array.of(1), { ...options, signal: abort.signal });
    const failed = expect(pending).rejects.toMatchObject({ code: "ERR_STORE_UNAVAILABLE" });
    await runtime.advance(100);
    abort.abort();
    held.release();
    await runtime.advance(1_000);
    await failed;
    expect(await store.get("key")).toBe(undefined);
    await store.close();
  });

  test("is not written to after the store has been closed", async () => {
    const runtime = fakeRuntime();
    const store = sqliteStore({ path, runtime, busyTimeoutMs: 0 });
    const held = lock();
    const failed = expect(store.put("key", Uint8Array.of(1), options)).rejects.toMatchObject({
      code: "ERR_CLOSED",
    });
    await store.close();
    held.release();
    await runtime.advance(1_000);
    await failed;
  });

  test("stores the bytes as they were when put was called, not as they are when the lock is free", async () => {
    const runtime = fakeRuntime();
    const store = sqliteStore({ path, runtime, busyTimeoutMs: 0 });
    const held = lock();
    const bytes = Uint8Array.of(1, 2, 3);
    const pending = store.put("key", bytes, options);
    bytes.fill(0);
    held.release();
    await runtime.advance(200);
    await pending;
    expect(await store.get("key")).toMatchObject({ bytes: Uint8Array.of(1, 2, 3) });
    await store.close();
  });

  test("can be read while another process writes", async () => {
    const runtime = fakeRuntime();
    const store = sqliteStore({ path, runtime, busyTimeoutMs: 0 });
    await store.put("key", Uint8Array.of(1), options);
    const held = lock();
    expect(await store.get("key")).toMatchObject({ version: "v" });
    held.release();
    await store.close();
  });

  test("at start is ERR_STORE_OPEN once lockTimeoutMs has passed", () => {
    const db = new DatabaseSync(path);
    chmodSync(path, 0o600);
    db.exec("BEGIN EXCLUSIVE");
    expect(() => sqliteStore({ path, lockTimeoutMs: 20 })).toThrow(
      expect.objectContaining({ code: "ERR_STORE_OPEN", message: expect.stringContaining("locked") }),
    );
    db.exec("ROLLBACK");
    db.close();
  });
});
