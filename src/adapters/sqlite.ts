/** A store in one SQLite file, shared by the processes of one machine. Needs nothing but Node itself. */
import { resolve } from "node:path";
import { checkedChoice, checkedRuntime, checkOptionNames } from "../checks.ts";
import { OptionsError } from "../errors.ts";
import type { Runtime } from "../runtime.ts";
import { createListeners } from "./shared/listeners.ts";
import { sqliteActivity } from "./sqlite-activity.ts";
import { sqliteAdmin } from "./sqlite-admin.ts";
import { createConnection, type Connection } from "./sqlite-connection.ts";
import { inodeOf } from "./sqlite-file.ts";
import { inspectDatabase } from "./sqlite-inspect.ts";
import { sqliteLease } from "./sqlite-lease.ts";
import { openDatabase } from "./sqlite-open.ts";
import { sqliteRecords } from "./sqlite-records.ts";
import type { Backplane } from "../store/backplane.ts";
import type { Store } from "../store/store.ts";

/** What {@link sqliteStore} is made from. Only `path` is required. */
export interface SqliteStoreOptions {
  /** The database file; created with mode 0600 if there is none. Its folder must exist, on a local disk. */
  readonly path: string;
  /** Clocks, timers and jitter. Default: the system's. */
  readonly runtime?: Runtime;
  /**
   * How long one attempt waits for another process's lock. Such a wait holds up the event loop, so keep it
   * short. Whole milliseconds, default 50.
   */
  readonly busyTimeoutMs?: number;
  /**
   * How long a call keeps trying, without holding up the event loop between attempts, before it fails with
   * ERR_STORE_UNAVAILABLE. Opening waits as long, and does hold it up. Whole milliseconds, default 5,000.
   */
  readonly lockTimeoutMs?: number;
  /**
   * What an acknowledged write survives. `"full"`, the default: a power failure; every write waits for the
   * disk. `"normal"`: a crash of the process; the last writes before a power failure may be lost.
   */
  readonly durability?: "full" | "normal";
}

/** What {@link sqliteStore} makes: a store with every optional capability. */
export type SqliteStore = Required<Omit<Store, "replicated">>;

const KNOWN_OPTIONS = new Set(["path", "runtime", "busyTimeoutMs", "lockTimeoutMs", "durability"]);

/** SQLite takes its busy timeout as a 32-bit number. */
const MAX_TIMEOUT_MS = 0x7fff_ffff;

/**
 * Opens the database, at once and synchronously, and makes it a store with account activity, admin and a
 * backplane. Several processes of one machine may share the file; so may several caches of one process,
 * by sharing the object.
 *
 * The change counter notices every write of another process; messages reach only listeners on the same
 * object. `close()` closes the database and may be called twice; any call after it fails with ERR_CLOSED.
 * @throws {OptionsError} naming the option.
 * @throws {TokenkeepError} ERR_STORE_OPEN: no such folder; a symbolic link or not a regular file; readable by
 * others; not a database, another application's, or a newer tokenkeep's.
 */
export function sqliteStore(options: SqliteStoreOptions): SqliteStore {
  const { runtime, ...settings } = resolveOptions(options);
  // Absolute, so that it stays the same file when the process changes its folder.
  const path = resolve(settings.path);
  const db = openDatabase({ ...settings, path, runtime });
  const inode = inodeOf(path);
  const connection = createConnection(db, { runtime, lockTimeoutMs: settings.lockTimeoutMs });
  const { backplane, closeListeners } = sqliteBackplane(connection);
  return {
    name: "sqlite",
    // A call that waits for another process's lock has not failed, and is made to wait no longer than this.
    patienceMs: settings.lockTimeoutMs + 1_000,
    ...sqliteRecords(connection),
    inspect: () => connection.call("inspect", () => inspectDatabase(db, path, inode)),
    backplane,
    activity: sqliteActivity(connection),
    lease: sqliteLease(connection),
    admin: sqliteAdmin(connection),
    async close() {
      closeListeners();
      connection.close();
    },
  };
}

/**
 * `data_version` moves when another connection has committed anything, so a removal raises the counter by
 * the very write that removes, also if its process dies before it can announce it. It does not move for
 * this connection's own writes: those are counted as they are announced.
 */
function sqliteBackplane(connection: Connection) {
  const listeners = createListeners();
  const backplane: Backplane = {
    changeCounter: () =>
      connection.call("change counter", () => {
        const others = connection.statement("PRAGMA data_version").get()?.["data_version"];
        return `${Number(others)}.${listeners.told()}`;
      }),
    publish: (message) => connection.call("publish", () => listeners.tell(message)),
    subscribe(listener) {
      connection.checkOpen();
      return listeners.add(listener);
    },
  };
  return { backplane, closeListeners: () => listeners.clear() };
}

function resolveOptions(options: SqliteStoreOptions): Required<SqliteStoreOptions> {
  checkOptionNames(options, KNOWN_OPTIONS, "sqliteStore");
  return {
    path: checkedPath(options.path),
    runtime: checkedRuntime(options.runtime),
    busyTimeoutMs: checkedTimeout(options.busyTimeoutMs, "busyTimeoutMs", 50),
    lockTimeoutMs: checkedTimeout(options.lockTimeoutMs, "lockTimeoutMs", 5_000),
    durability: checkedChoice(options.durability, "durability", ["full", "normal"]),
  };
}

function checkedPath(path: string): string {
  if (typeof path !== "string" || path === "" || path.includes("\0")) {
    throw new OptionsError("path", "must be the path of a file");
  }
  if (path !== ":memory:" && !path.startsWith("file:")) return path;
  throw new OptionsError("path", "must be the plain path of a file; for a store in memory use memoryStore()");
}

function checkedTimeout(value: number | undefined, option: string, fallback: number): number {
  if (value === undefined) return fallback;
  if (Number.isInteger(value) && value >= 0 && value <= MAX_TIMEOUT_MS) return value;
  throw new OptionsError(option, "must be a whole number of milliseconds from 0");
}
