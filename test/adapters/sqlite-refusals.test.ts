/** What the system does not allow: said at start, in words, with nothing left behind. */
import { spawnSync } from "node:child_process";
import {
  accessSync,
  chmodSync,
  chownSync,
  closeSync,
  existsSync,
  openSync,
  readFileSync,
  readdirSync,
  readlinkSync,
  unlinkSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { setImmediate } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { sqliteFailure } from "../../src/adapters/sqlite-errors.ts";
import { describeFailure } from "../../src/adapters/sqlite-open.ts";
import { sqliteStore } from "../../src/adapters/sqlite.ts";
import { exitOf, startFixture, temporaryFolder } from "./children.ts";

const FIXTURE = fileURLToPath(new URL("fixtures/try-opening.ts", import.meta.url));
const NOBODY = 65_534;

/** Root may do everything, so root tries as somebody else; anybody else tries as themselves. */
const isRoot = process.getuid?.() === 0;
const asUser = isRoot ? { uid: NOBODY, gid: NOBODY } : {};

/** Somebody else may not be able to read these sources, e.g. under /root. Windows has no mode bits. */
const canBeRefused =
  process.platform !== "win32" &&
  spawnSync(process.execPath, ["--check", FIXTURE], { ...asUser, cwd: "/" }).status === 0;

let folder = temporaryFolder();
folder.remove();
let path = "";

beforeEach(() => {
  folder = temporaryFolder();
  path = join(folder.path, "tokens.db");
});
afterEach(() => folder.remove());

interface Outcome {
  readonly stored?: boolean;
  readonly code?: string;
  readonly message?: string;
  readonly retryable?: boolean;
}

/** Opens and writes in a process that is bound by permissions. */
function tryAsUser(): Outcome {
  const { stdout, stderr } = spawnSync(
    process.execPath,
    ["--disable-warning=ExperimentalWarning", FIXTURE, path],
    { ...asUser, cwd: "/", encoding: "utf8" },
  );
  if (stdout === "") throw new Error(stderr);
  return JSON.parse(stdout) as Outcome;
}

const names = (): string[] => readdirSync(folder.path).sort();

function giveAway(): void {
  if (!isRoot) return;
  for (const name of names()) chownSync(join(folder.path, name), NOBODY, NOBODY);
  chownSync(folder.path, NOBODY, NOBODY);
}

describe.skipIf(!canBeRefused)("what this process may not write to is refused at start", () => {
  test("but not what it may", async () => {
    await sqliteStore({ path }).close();
    giveAway();
    expect(tryAsUser()).toEqual({ stored: true });
  });

  test("a read-only file, naming its permission, leaving nothing beside it", async () => {
    await sqliteStore({ path }).close();
    giveAway();
    chmodSync(path, 0o400);
    const outcome = tryAsUser();
    expect(outcome).toMatchObject({ code: "ERR_STORE_OPEN", retryable: false });
    expect(outcome.message).toContain("EACCES: permission denied");
    expect(outcome.message).toContain(`chmod 600 ${path}`);
    expect(names()).toEqual(["tokens.db"]);
    chmodSync(path, 0o600);
    expect(tryAsUser()).toEqual({ stored: true });
  });

  test.each(["-wal", "-shm"])("a read-only %s, naming it", async (suffix) => {
    const store = sqliteStore({ path });
    giveAway();
    chmodSync(path + suffix, 0o400);
    expect(tryAsUser()).toMatchObject({
      code: "ERR_STORE_OPEN",
      message: expect.stringContaining(`chmod 600 ${path}${suffix}`),
    });
    await store.close();
  });

  test.each([
    ["without files beside the database", async () => sqliteStore({ path }).close()],
    ["while another process has the database open", async () => void openStores.push(sqliteStore({ path }))],
    ["without a database", async () => undefined],
  ])("a read-only folder %s, naming its permission", async (_when, make) => {
    await make();
    giveAway();
    const before = names();
    chmodSync(folder.path, 0o500);
    const outcome = tryAsUser();
    chmodSync(folder.path, 0o700);
    expect(outcome).toMatchObject({ code: "ERR_STORE_OPEN", retryable: false });
    expect(outcome.message).toContain("EACCES: permission denied");
    expect(outcome.message).toContain(`chmod 700 ${folder.path}`);
    expect(names()).toEqual(before);
  });

  test("a folder that it may not enter", () => {
    giveAway();
    chmodSync(folder.path, 0o200);
    const outcome = tryAsUser();
    chmodSync(folder.path, 0o700);
    expect(outcome).toMatchObject({
      code: "ERR_STORE_OPEN",
      message: expect.stringContaining("EACCES: permission denied"),
    });
  });
});

const openStores: ReturnType<typeof sqliteStore>[] = [];
afterEach(async () => {
  for (const store of openStores.splice(0)) await store.close();
});

test("a database that SQLite itself will only read is refused at start", async () => {
  await sqliteStore({ path }).close();
  const bytes = readFileSync(path);
  // The write version of the file format; above 2 a file is read-only (https://www.sqlite.org/fileformat.html#file_format_version_numbers).
  bytes[18] = 3;
  writeFileSync(path, bytes);
  expect(() => sqliteStore({ path })).toThrow(
    expect.objectContaining({
      code: "ERR_STORE_OPEN",
      message: expect.stringContaining("may not write to"),
    }),
  );
});

describe.skipIf(process.platform === "win32")("a file that could not be made into a database", () => {
  /** No file may grow: what a full disk does, for anybody and everywhere. */
  function tryWithoutRoom(): Outcome {
    const command = `trap "" XFSZ; ulimit -f 0; exec "$0" --disable-warning=ExperimentalWarning "$@"`;
    const { stdout } = spawnSync("/bin/sh", ["-c", command, process.execPath, FIXTURE, path], {
      encoding: "utf8",
    });
    return JSON.parse(stdout) as Outcome;
  }

  test("is not left behind empty, and the error says why", () => {
    const outcome = tryWithoutRoom();
    expect(outcome).toMatchObject({ code: "ERR_STORE_OPEN", retryable: false });
    expect(outcome.message).toContain("(disk I/O error)");
    expect(names()).toEqual([]);
  });

  test("is left if it was there before", () => {
    writeFileSync(path, "", { mode: 0o600 });
    expect(tryWithoutRoom()).toMatchObject({ code: "ERR_STORE_OPEN" });
    expect(names()).toEqual(["tokens.db"]);
  });
});

describe.skipIf(!existsSync("/proc/self/fd"))("a process that opens the file another one gives up", () => {
  test("makes a new one, private, instead of writing to what is gone", async () => {
    closeSync(openSync(path, "wx", 0o600));
    const other = new DatabaseSync(path);
    other.exec("PRAGMA journal_mode = MEMORY; BEGIN EXCLUSIVE");
    const child = startFixture("open-fresh.ts", [path, "key"]);
    const exit = exitOf(child);
    child.stdin?.write("go\n");
    while (!hasOpen(child.pid, path) && child.exitCode === null) await setImmediate();
    unlinkSync(path);
    other.close();
    expect(await exit).toBe(0);
    const store = sqliteStore({ path });
    expect(await store.get("key")).toMatchObject({ version: "key" });
    await store.close();
  });
});

function hasOpen(pid: number | undefined, file: string): boolean {
  const descriptors = `/proc/${pid}/fd`;
  return readdirSync(descriptors).some((name) => {
    try {
      return readlinkSync(join(descriptors, name)) === file;
    } catch {
      return false;
    }
  });
}

describe("the reason", () => {
  /** What SQLite itself throws where there is no room. */
  function fullError(): unknown {
    closeSync(openSync(path, "wx", 0o600));
    const db = new DatabaseSync(path);
    db.exec("PRAGMA max_page_count = 2; CREATE TABLE t (a)");
    try {
      db.exec("INSERT INTO t VALUES (zeroblob(100000))");
    } catch (error) {
      return error;
    } finally {
      db.close();
    }
    return undefined;
  }

  const noRoomForShm = (): unknown => Object.assign(new Error("disk I/O error"), { errcode: 4_874 });

  test.each([
    ["database", fullError],
    ["-shm", noRoomForShm],
  ])("of a full disk, met in the %s, is said at start and later", (_file, make) => {
    const error = make();
    expect(describeFailure(path, error)).toMatchObject({
      code: "ERR_STORE_OPEN",
      message: expect.stringContaining("the disk is full"),
    });
    expect(sqliteFailure("put", error)).toMatchObject({ code: "ERR_STORE_FULL", retryable: true });
  });

  test("of the system is said in words", () => {
    let error: unknown;
    try {
      accessSync(join(folder.path, "none"));
    } catch (caught) {
      error = caught;
    }
    expect(describeFailure(path, error).message).toContain("(ENOENT: no such file or directory)");
  });

  test("of a write that has come to be forbidden is said, and it is a matter of waiting", async () => {
    await sqliteStore({ path }).close();
    const db = new DatabaseSync(path, { readOnly: true });
    let error: unknown;
    try {
      db.exec("DELETE FROM records");
    } catch (caught) {
      error = caught;
    }
    db.close();
    expect(sqliteFailure("put", error)).toMatchObject({
      code: "ERR_STORE_UNAVAILABLE",
      retryable: true,
      message: expect.stringContaining("may not write to the database"),
    });
    expect(describeFailure(path, error)).toMatchObject({
      code: "ERR_STORE_OPEN",
      message: expect.stringContaining("mode 600"),
    });
  });
});
