import type { ChildProcess } from "node:child_process";
import { mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { filesystemStore } from "../../src/adapters/filesystem.ts";
import { exitOf, startFixture, temporaryFolder } from "./children.ts";
import { shiftedRuntime } from "./shifted-runtime.ts";

let temporary = temporaryFolder();
temporary.remove();
let folder = "";

beforeEach(() => {
  temporary = temporaryFolder();
  folder = join(temporary.path, "store");
});
afterEach(() => temporary.remove());

const FIRST = { version: "first", ifVersion: null, ttlMs: 3_600_000 };

/** The numbers a child has printed so far, and a promise for the next so many lines. */
function watchOutput(child: ChildProcess) {
  let text = "";
  const waiting: { readonly lines: number; readonly resolve: () => void }[] = [];
  const lines = (): string[] => text.split("\n").slice(0, -1);
  child.stdout?.on("data", (data: Buffer) => {
    text += data.toString();
    for (const { lines: wanted, resolve } of waiting) if (lines().length >= wanted) resolve();
  });
  return {
    lines,
    atLeast: (wanted: number) =>
      new Promise<void>((resolve) => {
        if (lines().length >= wanted) resolve();
        else waiting.push({ lines: wanted, resolve });
      }),
  };
}

function remains(): string[] {
  return ["work", "locks"].flatMap((name) =>
    readdirSync(join(folder, name), { recursive: true }).map(String),
  );
}

async function counterIn(store: ReturnType<typeof filesystemStore>): Promise<number> {
  const stored = await store.get("counter");
  if (typeof stored !== "object") throw new Error("nothing is stored");
  const value = Number(Buffer.from(stored.bytes.subarray(0, 10)).toString());
  // Whole: all of it is of one write.
  expect(new Set(stored.bytes.subarray(10))).toEqual(new Set([value % 256]));
  expect(stored.bytes.length).toBe(64 * 1_024);
  return value;
}

describe("several processes", () => {
  test("4 processes doing 50 compare-and-swap increments each make 200, and leave nothing behind", async () => {
    const children = Array.from({ length: 4 }, () => startFixture("files-increment.ts", [folder, "50"]));
    for (const child of children) child.stdout?.resume();
    expect(await Promise.all(children.map(exitOf))).toEqual([0, 0, 0, 0]);
    const store = filesystemStore({ folder });
    expect(await counterIn(store)).toBe(200);
    expect(remains()).toEqual([]);
    await store.close();
  });

  test("processes that are killed in the middle of writing lose no acknowledged write, leave every file whole and no lock that holds anybody up", async () => {
    for (let round = 1; round <= 6; round += 1) {
      const children = Array.from({ length: 3 }, () =>
        startFixture("files-increment.ts", [folder, "100000"]),
      );
      const outputs = children.map(watchOutput);
      const exits = Promise.all(children.map(exitOf));
      // A different moment every time: after so many writes, wherever the others are then.
      await Promise.all(outputs.map((output, at) => output.atLeast(1 + ((round * 3 + at) % 5))));
      for (const child of children) child.kill("SIGKILL");
      expect(await exits).toEqual(["SIGKILL", "SIGKILL", "SIGKILL"]);
      const acknowledged = outputs.flatMap((output) => output.lines().map(Number));
      expect(new Set(acknowledged).size).toBe(acknowledged.length);
      // It does not wait for a lock at all: those who had one are dead.
      const store = filesystemStore({ folder, lockTimeoutMs: 0 });
      const value = await counterIn(store);
      expect(value).toBeGreaterThanOrEqual(Math.max(...acknowledged));
      const stored = await store.get("counter");
      const ifVersion = typeof stored === "object" ? stored.version : null;
      const bytes = typeof stored === "object" ? stored.bytes : new Uint8Array();
      expect(
        await store.put("counter", bytes, { version: `round ${round}`, ifVersion, ttlMs: 3_600_000 }),
      ).toEqual({
        stored: true,
      });
      await store.admin.purgeExpired({ limit: 1 });
      expect(remains()).toEqual([]);
      await store.close();
    }
  });

  test("a process that is killed inside the lock holds nobody up: the old value is there, and the next write succeeds without waiting", async () => {
    for (const purpose of ["put", "remove"]) {
      const store = filesystemStore({ folder, lockTimeoutMs: 0 });
      const present = await store.get("key");
      const ifVersion = typeof present === "object" ? present.version : null;
      await store.put("key", Buffer.from("old"), { ...FIRST, version: purpose, ifVersion });
      const child = startFixture("files-hold.ts", [folder, purpose]);
      const exit = exitOf(child);
      await watchOutput(child).atLeast(1);
      expect(remains().length).toBeGreaterThan(0);
      child.kill("SIGKILL");
      await exit;
      expect(await store.get("key", { unlessVersion: purpose })).toBe("unchanged");
      const next = { ...FIRST, version: "next", ifVersion: purpose };
      expect(await store.put("key", Buffer.from("new"), next)).toEqual({ stored: true });
      expect(remains()).toEqual([]);
      await store.close();
    }
  });

  test("of many who find a dead holder's lock at once, each takes its turn and no write is lost", async () => {
    const store = filesystemStore({ folder });
    await store.put(
      "counter",
      Buffer.concat([Buffer.from("0000000000"), Buffer.alloc(64 * 1_024 - 10)]),
      FIRST,
    );
    const [record = ""] = readdirSync(join(folder, "records"));
    const dead = startFixture("files-hold.ts", [folder, "put"]);
    await watchOutput(dead).atLeast(1);
    const exit = exitOf(dead);
    dead.kill("SIGKILL");
    await exit;
    const [abandoned = ""] = readdirSync(join(folder, "locks"));
    const [token = ""] = readdirSync(join(folder, "locks", abandoned));
    for (let round = 0; round < 5; round += 1) {
      mkdirSync(join(folder, "locks", `record-${record}`), { recursive: true });
      writeFileSync(join(folder, "locks", `record-${record}`, token.replace(/[^.]+$/, `again${round}`)), "");
      const before = await counterIn(store);
      const children = Array.from({ length: 3 }, () => startFixture("files-increment.ts", [folder, "4"]));
      for (const child of children) child.stdout?.resume();
      expect(await Promise.all(children.map(exitOf))).toEqual([0, 0, 0]);
      expect(await counterIn(store)).toBe(before + 12);
    }
    await store.close();
  });

  test("a writer that is stopped inside the lock loses it after a while, and its late write fails instead of winning", async () => {
    const runtime = shiftedRuntime();
    const store = filesystemStore({ folder, runtime });
    await store.put("key", Buffer.from("old"), FIRST);
    const child = startFixture("files-hold.ts", [folder, "put"]);
    const output = watchOutput(child);
    const exit = exitOf(child);
    await output.atLeast(1);
    const pending = store.put("key", Buffer.from("new"), { ...FIRST, version: "new", ifVersion: "first" });
    // It has seen the holder once before its clock moves on.
    await new Promise((resolve) => setTimeout(resolve, 50));
    runtime.advance(3_000);
    expect(await pending).toEqual({ stored: true });
    child.stdin?.end("go");
    await exit;
    expect(output.lines()[1]).toContain("lost it; nothing was written");
    expect(await store.get("key")).toMatchObject({ version: "new" });
    expect(remains()).toEqual([]);
    await store.close();
  });

  test("a living process that removes keeps its lock however long it takes: others give up, and write nothing", async () => {
    const runtime = shiftedRuntime();
    const store = filesystemStore({ folder, runtime });
    await store.put("key", Buffer.from("old"), FIRST);
    const child = startFixture("files-hold.ts", [folder, "remove"]);
    const output = watchOutput(child);
    const exit = exitOf(child);
    await output.atLeast(1);
    const pending = store.put("key", Buffer.from("new"), { ...FIRST, version: "new", ifVersion: "first" });
    const failed = expect(pending).rejects.toMatchObject({ code: "ERR_STORE_UNAVAILABLE", retryable: true });
    await new Promise((resolve) => setTimeout(resolve, 50));
    runtime.advance(90_000);
    await failed;
    child.stdin?.end("go");
    await exit;
    expect(output.lines()[1]).toBe("true");
    expect(await store.get("key")).toBe(undefined);
    await store.close();
  });

  test("a caller that gives up while it waits for the lock has written nothing, now or later", async () => {
    const store = filesystemStore({ folder });
    await store.put("key", Buffer.from("old"), FIRST);
    const child = startFixture("files-hold.ts", [folder, "remove"]);
    const exit = exitOf(child);
    await watchOutput(child).atLeast(1);
    const abort = new AbortController();
    const late = store.put("key", Buffer.from("new"), {
      ...FIRST,
      version: "late",
      ifVersion: "first",
      signal: abort.signal,
    });
    abort.abort();
    await expect(late).rejects.toMatchObject({ retryable: true });
    child.kill("SIGKILL");
    await exit;
    expect(await store.get("key")).toMatchObject({ version: "first" });
    await store.close();
  });

  test("what a dead process left half written goes when the folder is next opened; a living one's stays", async () => {
    await filesystemStore({ folder }).close();
    const child = startFixture("files-hold.ts", [folder, "put"]);
    const exit = exitOf(child);
    await watchOutput(child).atLeast(1);
    const [lock = ""] = readdirSync(join(folder, "locks"));
    const [token = ""] = readdirSync(join(folder, "locks", lock));
    mkdirSync(join(folder, "work", token));
    writeFileSync(join(folder, "work", token, token), "half");
    await filesystemStore({ folder }).close();
    expect(remains()).toContain(token);
    child.kill("SIGKILL");
    await exit;
    await filesystemStore({ folder }).close();
    expect(remains()).toEqual([]);
  });

  test("a process whose number another one has now counts as ended", async () => {
    await filesystemStore({ folder }).close();
    const child = startFixture("files-hold.ts", [folder, "put"]);
    const exit = exitOf(child);
    await watchOutput(child).atLeast(1);
    const [lock = ""] = readdirSync(join(folder, "locks"));
    const [token = ""] = readdirSync(join(folder, "locks", lock));
    child.kill("SIGKILL");
    await exit;
    const [purpose = "", host = "", , start = "", madeAt = ""] = token.split(".");
    // This very process, but as if it had started at the other one's time.
    const reused = [purpose, host, process.pid, start, madeAt, "nonce"].join(".");
    mkdirSync(join(folder, "work", reused));
    await filesystemStore({ folder }).close();
    expect(readdirSync(join(folder, "work"))).toEqual([]);
  });

  test("every file has mode 600 and every folder 700, whatever the umask", async () => {
    const before = process.umask(0);
    try {
      const store = filesystemStore({ folder });
      await store.put("key", Buffer.from("x"), FIRST);
      await store.lease.acquire("key", { owner: "o", ttlMs: 60_000 });
      await store.backplane.publish({ key: "key", version: "v" });
      await store.close();
    } finally {
      process.umask(before);
    }
    for (const name of ["", ...readdirSync(folder, { recursive: true }).map(String)]) {
      const stats = statSync(join(folder, name));
      expect([name, (stats.mode & 0o777).toString(8)]).toEqual([name, stats.isDirectory() ? "700" : "600"]);
    }
    expect(readFileSync(join(folder, "format"), "utf8")).toBe("tokenkeep filesystem store, version 1\n");
  });
});
