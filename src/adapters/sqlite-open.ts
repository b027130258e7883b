/** Opening the database: ours or fresh, in WAL mode, safe when several processes do so at once. */
import { statSync, unlinkSync } from "node:fs";
import { DatabaseSync } from "node:sqlite";
import { TokenkeepError } from "../errors.ts";
import { isDamaged, isDiskFull, isLocked, isReadOnly, reasonOf } from "./sqlite-errors.ts";
import { isGone, openFailure, prepareFile } from "./sqlite-file.ts";
import { inTransaction } from "./sqlite-transaction.ts";
import { APPLICATION_ID, CREATE_SCHEMA, SCHEMA_VERSION, TABLES } from "./sqlite-schema.ts";
import type { Runtime } from "../runtime.ts";

/** A checkpoint under load may leave a large `-wal` behind; it is cut back to this. */
const MAX_IDLE_WAL_BYTES = 16 * 1024 * 1024;

/** How often a file may be taken away while it is being opened: each time by another process that gave up. */
const MAX_ATTEMPTS = 3;

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
  for (let attempt = 1; attempt <= MAX_ATTEMPTS; attempt++) {
    const db = openOnce(options);
    if (db !== undefined) return db;
  }
  throw openFailure(`${options.path} was removed again and again while it was being opened`);
}

/** @returns `undefined` if the file was taken away meanwhile: what SQLite has open is nobody's. */
function openOnce(options: OpenOptions): DatabaseSync | undefined {
  const { path } = options;
  let db: DatabaseSync | undefined;
  let created = false;
  let isOurs = (): boolean => true;
  try {
    const file = prepareFile(path);
    if (file === undefined) return undefined;
    created = file.created;
    isOurs = () => !isGone(path, file.inode);
    db = new DatabaseSync(path);
    setUp(db, options);
    // Else SQLite has made a file of its own, which others may read, or has one without a name.
    if (isOurs()) return db;
  } catch (error) {
    if (isOurs()) {
      if (created && db !== undefined) removeUnused(db, path);
      db?.close();
      throw describeFailure(path, error);
    }
  }
  db?.close();
  return undefined;
}

/**
 * Takes away the file that was made for this call and never came to hold anything, e.g. on a full disk.
 * Another process may be about to use it: the lock keeps it from doing so, and afterwards it sees that the
 * file is gone and makes a new one.
 */
function removeUnused(db: DatabaseSync, path: string): void {
  try {
    // No journal file: another process that makes a new database would take it for its own.
    db.exec("PRAGMA journal_mode = MEMORY; BEGIN EXCLUSIVE");
    if (statSync(path).size === 0) unlinkSync(path);
  } catch {
    // In use, or out of reach: left where it is, empty and private.
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
  checkReadable(db);
  db.exec(`PRAGMA busy_timeout = ${options.busyTimeoutMs}`);
  checkWritable(db);
}

/** One row of each table, so that what is damaged at its root is found at start. */
function checkReadable(db: DatabaseSync): void {
  for (const table of TABLES) db.prepare(`SELECT 1 FROM ${table} NOT INDEXED LIMIT 1`).get();
}

/**
 * SQLite opens what it may not write to as read-only, and says so at the first write. This is one; it is
 * undone before anything of it reaches the disk.
 */
function checkWritable(db: DatabaseSync): void {
  try {
    db.exec(`BEGIN IMMEDIATE; PRAGMA user_version = ${SCHEMA_VERSION}; ROLLBACK`);
  } catch (error) {
    // Locked, so somebody is writing. Whether this process may is looked at before the lock is.
    if (!isLocked(error)) throw error;
  }
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

/** What kept the file from being opened, as an ERR_STORE_OPEN that says why. */
export function describeFailure(path: string, error: unknown): TokenkeepError {
  if (error instanceof TokenkeepError) return error;
  if (isLocked(error)) return openFailure(`${path} is locked by another process`, error);
  if (isDamaged(error)) {
    return openFailure(`${path} is not a database, or a damaged one; move it away or restore it`, error);
  }
  if (isDiskFull(error)) return openFailure(`${path} cannot be opened, the disk is full`, error);
  const reason = reasonOf(error);
  if (!isReadOnly(error)) return openFailure(`${path} cannot be opened (${reason})`, error);
  const needs =
    "the user that runs it must own the file, its -wal and -shm (mode 600) and the folder (mode 700)";
  return openFailure(`this process may not write to ${path} (${reason}); ${needs}`, error);
}
