/** Opening the database: ours or fresh, in WAL mode, safe when several processes do so at once. */
import { DatabaseSync } from "node:sqlite";
import { TokenkeepError } from "../errors.ts";
import { openFailure, prepareFile } from "./sqlite-file.ts";
import { isLocked, sqliteCode } from "./sqlite-errors.ts";
import { inTransaction } from "./sqlite-transaction.ts";
import { APPLICATION_ID, CREATE_SCHEMA, SCHEMA_VERSION } from "./sqlite-schema.ts";
import type { Runtime } from "../runtime.ts";

const SQLITE_NOTADB = 26;
const SQLITE_CORRUPT = 11;

/** A checkpoint under load may leave a large `-wal` behind; it is cut back to this. */
const MAX_IDLE_WAL_BYTES = 16 * 1024 * 1024;

export interface OpenOptions {
  readonly path: string;
  readonly runtime: Runtime;
  readonly busyTimeoutMs: number;
  readonly lockTimeoutMs: number;
  readonly durability: "full" | "normal";
}

/**
 * Opens the file, and creates the tables in a fresh one. Synchronous: it happens once, at start, and may
 * wait up to `lockTimeoutMs` for another process that is doing the same.
 * @throws {TokenkeepError} ERR_STORE_OPEN naming what is wrong with the file.
 */
export function openDatabase(options: OpenOptions): DatabaseSync {
  let db: DatabaseSync | undefined;
  try {
    prepareFile(options.path);
    db = new DatabaseSync(options.path);
    setUp(db, options);
    return db;
  } catch (error) {
    db?.close();
    throw describe(options.path, error);
  }
}

/** Reads the one number or text that a pragma answers with. */
export function pragma(db: DatabaseSync, name: string): unknown {
  return Object.values(db.prepare(`PRAGMA ${name}`).get() ?? {})[0];
}

function setUp(db: DatabaseSync, options: OpenOptions): void {
  // By pragma: Node 22.13 ignores the constructor's `timeout`.
  db.exec(`PRAGMA busy_timeout = ${options.lockTimeoutMs}`);
  // In one transaction: between two reads another process may create the tables. Closing undoes it.
  db.exec("BEGIN");
  const fresh = isFresh(db, options.path);
  db.exec("COMMIT");
  if (fresh) createTables(db, options.path);
  useWal(db, options);
  const full = options.durability === "full";
  // fullfsync: on macOS an ordinary fsync leaves the data in the drive's own cache. Nothing elsewhere.
  db.exec(`PRAGMA synchronous = ${full ? "FULL" : "NORMAL"}; PRAGMA fullfsync = ${full ? "ON" : "OFF"}`);
  db.exec(`PRAGMA journal_size_limit = ${MAX_IDLE_WAL_BYTES}; PRAGMA trusted_schema = OFF`);
  db.exec(`PRAGMA busy_timeout = ${options.busyTimeoutMs}`);
}

/** Nothing is written before this has said whose file it is. */
function isFresh(db: DatabaseSync, path: string): boolean {
  const application = pragma(db, "application_id");
  const version = Number(pragma(db, "user_version"));
  if (application === APPLICATION_ID) {
    if (version <= SCHEMA_VERSION) return false;
    const has = `${path} has schema version ${version}, this tokenkeep knows ${SCHEMA_VERSION}`;
    throw openFailure(`${has}: a newer tokenkeep wrote it; upgrade this one`);
  }
  const tables = db.prepare("SELECT count(*) AS n FROM sqlite_schema").get()?.["n"];
  if (application === 0 && version === 0 && tables === 0) return true;
  throw openFailure(`${path} is the database of another application; choose a path of its own`);
}

/** One transaction, so that another process sees all of the schema or nothing, also after a crash. */
function createTables(db: DatabaseSync, path: string): void {
  inTransaction(db, () => {
    // Again, now that nobody else can write: another process may have been first.
    if (isFresh(db, path)) db.exec(CREATE_SCHEMA);
  });
}

/**
 * SQLite does not wait when another process uses the file during the change to WAL: it answers "locked" at
 * once, whatever the busy timeout. An empty exclusive transaction is the wait it does not do.
 */
function useWal(db: DatabaseSync, { path, runtime, lockTimeoutMs }: OpenOptions): void {
  const start = runtime.monotonicNow();
  for (;;) {
    try {
      if (pragma(db, "journal_mode = WAL") === "wal") return;
      throw openFailure(`the file system of ${path} cannot do WAL; use a local disk`);
    } catch (error) {
      if (!isLocked(error) || runtime.monotonicNow() - start >= lockTimeoutMs) throw error;
    }
    db.exec("BEGIN EXCLUSIVE; COMMIT");
  }
}

function describe(path: string, error: unknown): TokenkeepError {
  if (error instanceof TokenkeepError) return error;
  if (isLocked(error)) return openFailure(`${path} is locked by another process`, error);
  const code = sqliteCode(error);
  if (code === SQLITE_NOTADB || code === SQLITE_CORRUPT) {
    return openFailure(`${path} is not a database, or a damaged one; move it away or restore it`, error);
  }
  return openFailure(`${path} cannot be opened`, error);
}
