import {
  chmodSync,
  closeSync,
  existsSync,
  mkdirSync,
  openSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { join, relative } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { sqliteStore } from "../../src/adapters/sqlite.ts";
import { temporaryFolder } from "./children.ts";

let folder = temporaryFolder();
folder.remove();
let path = "";

beforeEach(() => {
  folder = temporaryFolder();
  path = join(folder.path, "tokens.db");
});
afterEach(() => folder.remove());

const modeOf = (file: string): string => (statSync(file).mode & 0o777).toString(8);
const put = (store: ReturnType<typeof sqliteStore>, key = "key") =>
  store.put(key, Uint8Array.of(1), { version: "v", ifVersion: null, ttlMs: 3_600_000 });

/** Makes a database with node:sqlite itself, as another program would. */
function foreignDatabase(sql: string): void {
  closeSync(openSync(path, "wx", 0o600));
  const db = new DatabaseSync(path);
  db.exec(sql);
  db.close();
}

const keysOf = (count: number): string[] => Array.from({ length: count }, (_, index) => `secret ${index}`);

/** Makes a database of many pages. @returns how many keys it has. */
async function fill(count = 100): Promise<number> {
  const store = sqliteStore({ path, durability: "normal" });
  const bytes = new Uint8Array(2_000);
  for (const key of keysOf(count)) {
    await store.put(key, bytes, { version: "v", ifVersion: null, ttlMs: 3_600_000 });
  }
  await store.close();
  return count;
}

function damage(change: (bytes: Buffer) => Uint8Array): void {
  writeFileSync(path, change(readFileSync(path)));
}

describe("the file", () => {
  test("and its -wal and -shm are created with mode 0600, whatever the umask", async () => {
    const umask = process.umask(0);
    try {
      const store = sqliteStore({ path });
      await put(store);
      expect([path, `${path}-wal`, `${path}-shm`].map(modeOf)).toEqual(["600", "600", "600"]);
      await store.close();
    } finally {
      process.umask(umask);
    }
  });

  test.each(["640", "604", "666"])("with mode %s is refused, naming chmod 600, and left as it is", (mode) => {
    writeFileSync(path, "");
    chmodSync(path, Number.parseInt(mode, 8));
    expect(() => sqliteStore({ path })).toThrow(
      expect.objectContaining({
        code: "ERR_STORE_OPEN",
        message: expect.stringContaining(`chmod 600 ${path}`),
      }),
    );
    expect(modeOf(path)).toBe(mode);
  });

  test("is refused if others may read its -wal", async () => {
    const store = sqliteStore({ path });
    await put(store);
    chmodSync(`${path}-wal`, 0o644);
    expect(() => sqliteStore({ path })).toThrow(`chmod 600 ${path}-wal`);
    await store.close();
  });

  test("may be empty and private already", async () => {
    writeFileSync(path, "", { mode: 0o600 });
    const store = sqliteStore({ path });
    expect(await put(store)).toEqual({ stored: true });
    await store.close();
  });

  test.each([
    ["a symbolic link", () => symlinkSync(join(folder.path, "elsewhere.db"), path), "symbolic link"],
    ["a folder", () => mkdirSync(path, { mode: 0o700 }), "not a regular file"],
    ["text", () => writeFileSync(path, "not a database ".repeat(500), { mode: 0o600 }), "not a database"],
    [
      "another application's database",
      () => foreignDatabase("CREATE TABLE orders (id)"),
      "another application",
    ],
    ["another application's id", () => foreignDatabase("PRAGMA application_id = 7"), "another application"],
    [
      "another application's version",
      () => foreignDatabase("PRAGMA user_version = 7"),
      "another application",
    ],
  ])("is refused if it is %s, and is not changed", (_what, make, problem) => {
    make();
    const before = existsSync(path) && statSync(path).isFile() ? readFileSync(path) : undefined;
    expect(() => sqliteStore({ path })).toThrow(
      expect.objectContaining({
        code: "ERR_STORE_OPEN",
        retryable: false,
        message: expect.stringContaining(problem),
      }),
    );
    if (before !== undefined) expect(readFileSync(path).equals(before)).toBe(true);
    expect(existsSync(join(folder.path, "elsewhere.db"))).toBe(false);
  });

  test("of a newer tokenkeep is refused, saying to upgrade, and is not changed", async () => {
    await sqliteStore({ path }).close();
    const db = new DatabaseSync(path);
    db.exec("PRAGMA user_version = 99");
    db.close();
    const before = readFileSync(path);
    expect(() => sqliteStore({ path })).toThrow(/schema version 99.*upgrade/);
    expect(readFileSync(path).equals(before)).toBe(true);
  });

  test("with a damaged page is a failure when read, never a miss, and says that trying again is no help", async () => {
    const count = await fill();
    damage((bytes) => bytes.fill(0xa5, 16 * 4_096));
    const damaged = sqliteStore({ path });
    const outcomes = await Promise.allSettled(keysOf(count).map((key) => damaged.get(key)));
    const failures = outcomes.flatMap((outcome) => (outcome.status === "rejected" ? [outcome.reason] : []));
    const misses = outcomes.filter(
      (outcome) => outcome.status === "fulfilled" && outcome.value === undefined,
    );
    expect(failures.length).toBeGreaterThan(0);
    expect(misses).toEqual([]);
    for (const error of failures) {
      expect(error).toMatchObject({
        code: "ERR_STORE_UNAVAILABLE",
        // A store that fails says nothing about who is signed in, for whatever reason it fails.
        retryable: true,
        message: expect.stringMatching(/damaged.*trying again will not mend it.*restore it or move it away/),
      });
    }
    await damaged.close();
  });

  test.each([
    ["cut off after the schema", (bytes: Buffer) => bytes.subarray(0, 4_096)],
    ["damaged where its tables begin", (bytes: Buffer) => bytes.fill(0xa5, 4_096)],
  ])("is refused at start if it is %s", async (_how, change) => {
    await fill();
    damage(change);
    expect(() => sqliteStore({ path })).toThrow(
      expect.objectContaining({ code: "ERR_STORE_OPEN", message: expect.stringContaining("damaged") }),
    );
  });

  test("needs its folder to exist", () => {
    expect(() => sqliteStore({ path: join(folder.path, "none", "tokens.db") })).toThrow(
      expect.objectContaining({ code: "ERR_STORE_OPEN", message: expect.stringContaining("does not exist") }),
    );
  });

  test("stays the same one when the process changes its folder", async () => {
    const before = process.cwd();
    const store = sqliteStore({ path: relative(before, path) });
    // Deep, so that the relative path does not happen to lead to the same place.
    const elsewhere = join(folder.path, "a/b/c/d/e/f/g/h");
    mkdirSync(elsewhere, { recursive: true });
    process.chdir(elsewhere);
    try {
      expect((await store.inspect()).map(({ code }) => code)).not.toContain("file-replaced");
    } finally {
      process.chdir(before);
    }
    await store.close();
  });

  test("keeps what was written when it is opened again", async () => {
    const store = sqliteStore({ path });
    await put(store);
    await store.close();
    const again = sqliteStore({ path });
    expect(await again.get("key")).toMatchObject({ version: "v", bytes: Uint8Array.of(1) });
    await again.close();
  });
});

describe("options", () => {
  test.each([
    [{ path: "" }, "path"],
    [{ path: ":memory:" }, "path"],
    [{ path: "file:tokens.db?mode=memory" }, "path"],
    [{ path: "x.db", busyTimeoutMs: -1 }, "busyTimeoutMs"],
    [{ path: "x.db", lockTimeoutMs: 1.5 }, "lockTimeoutMs"],
    [{ path: "x.db", durability: "off" as "full" }, "durability"],
  ])("%j is refused, naming the option", (options, option) => {
    expect(() => sqliteStore(options)).toThrow(
      expect.objectContaining({ code: "ERR_OPTION_INVALID", option }),
    );
  });
});

describe("inspect", () => {
  const codes = async (store: ReturnType<typeof sqliteStore>) =>
    (await store.inspect()).map(({ severity, code }) => `${severity} ${code}`);

  test("finds nothing wrong with a database as it was made", async () => {
    const store = sqliteStore({ path });
    await put(store);
    expect(await codes(store)).toEqual([
      "info permissions",
      "info journal-mode",
      "info durability",
      "info size",
      "info integrity",
    ]);
    await store.close();
  });

  test("finds that others may read the file or write to its folder", async () => {
    const store = sqliteStore({ path });
    await put(store);
    chmodSync(path, 0o644);
    chmodSync(`${path}-wal`, 0o660);
    chmodSync(folder.path, 0o777);
    const found = await codes(store);
    expect(found.filter((finding) => finding === "error permissions")).toHaveLength(2);
    expect(found).toContain("warning folder-permissions");
    await store.close();
  });

  test.each([
    ["renamed", () => renameSync(path, `${path}.old`)],
    ["removed", () => rmSync(path)],
    ["removed with its folder", () => rmSync(folder.path, { recursive: true })],
    [
      "replaced",
      () => {
        renameSync(path, `${path}.old`);
        writeFileSync(path, "", { mode: 0o600 });
      },
    ],
  ])("finds that the file was %s while it was open", async (_how, change) => {
    const store = sqliteStore({ path });
    change();
    const found = await codes(store);
    expect(found).toContain("error file-replaced");
    expect(found).not.toContain("info permissions");
    await store.close();
  });

  test.each([
    ["full" as const, "a power failure"],
    ["normal" as const, "not a power failure"],
  ])("says what durability %s survives", async (durability, words) => {
    const store = sqliteStore({ path, durability });
    const found = await store.inspect();
    expect(found.find(({ code }) => code === "durability")?.message).toContain(words);
    await store.close();
  });

  test.each([
    ["in its rows", (bytes: Buffer) => bytes.fill(0xa5, bytes.length - 4_096)],
    ["to the point where it cannot be read", (bytes: Buffer) => bytes.fill(0xa5)],
  ])("finds damage %s, without repeating what is damaged", async (_where, change) => {
    await fill();
    const damaged = sqliteStore({ path });
    // What another process writes makes this one read the file again.
    const other = new DatabaseSync(path);
    other.exec("DELETE FROM leases; UPDATE records SET version = 'w'; PRAGMA wal_checkpoint(TRUNCATE)");
    other.close();
    damage(change);
    const found = await damaged.inspect();
    expect(found.find(({ code }) => code === "integrity")).toMatchObject({
      severity: "error",
      message: expect.stringContaining("restore the file or move it away"),
    });
    expect(JSON.stringify(found)).not.toContain("secret");
    await damaged.close();
  });
});
