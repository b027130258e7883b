/** What SQLite's result codes (https://www.sqlite.org/rescode.html) mean for a caller of the store. */
import { storeFailure, TokenkeepError } from "../errors.ts";

const SQLITE_BUSY = 5;
const SQLITE_LOCKED = 6;
const SQLITE_READONLY = 8;
const SQLITE_CORRUPT = 11;
const SQLITE_FULL = 13;
const SQLITE_NOTADB = 26;
/** There is no room for another page of `-shm`: what a full disk looks like to a reader or the first writer. */
const SQLITE_IOERR_SHMSIZE = 4874;

/** The primary result code (the low byte of an extended one), if SQLite threw this. */
function sqliteCode(error: unknown): number | undefined {
  const code = extendedCode(error);
  return code === undefined ? undefined : code & 0xff;
}

function extendedCode(error: unknown): number | undefined {
  if (!(error instanceof Error) || !("errcode" in error)) return undefined;
  return typeof error.errcode === "number" ? error.errcode : undefined;
}

/** True if another connection holds the lock: nothing has happened, and the same call may be made again. */
export function isLocked(error: unknown): boolean {
  const code = sqliteCode(error);
  return code === SQLITE_BUSY || code === SQLITE_LOCKED;
}

/** True if the file is not, or is no longer, a sound database. Nothing but a person can mend that. */
export function isDamaged(error: unknown): boolean {
  const code = sqliteCode(error);
  return code === SQLITE_CORRUPT || code === SQLITE_NOTADB;
}

/** True if the file, one beside it or the folder may not be written to. */
export function isReadOnly(error: unknown): boolean {
  return sqliteCode(error) === SQLITE_READONLY;
}

export function isDiskFull(error: unknown): boolean {
  return sqliteCode(error) === SQLITE_FULL || extendedCode(error) === SQLITE_IOERR_SHMSIZE;
}

/**
 * Why, in words: the system's for a failed call to it, else SQLite's own, which name tables and columns and
 * never a value.
 */
export function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return "no reason given";
  if (!("syscall" in error)) return error.message;
  // "EACCES: permission denied, open '/the/path'": the path is said already.
  return error.message.split(`, ${String(error.syscall)}`, 1).join("");
}

/**
 * Every failure is retryable, damage too, although trying again does not help before somebody has acted:
 * it says nothing about whether a user is signed in. Were it final, a sign-out would throw instead of
 * waiting for the store, and a token that was just bought on behalf of a user would be thrown away.
 */
export function sqliteFailure(operation: string, cause: unknown): Error {
  // A wrong argument is the caller's and says so itself.
  if (cause instanceof TypeError && "option" in cause) return cause;
  const failed = `store sqlite: ${operation} failed`;
  const options = { cause, retryable: true };
  if (isDiskFull(cause)) return new TokenkeepError("ERR_STORE_FULL", `${failed}, the disk is full`, options);
  if (isDamaged(cause)) {
    const advice =
      "trying again will not mend it: stop all processes that use the file, then restore it or move it away " +
      "with its -wal and -shm (its users sign in again)";
    const message = `${failed}, the database is damaged; ${advice}`;
    return new TokenkeepError("ERR_STORE_UNAVAILABLE", message, options);
  }
  if (isReadOnly(cause)) {
    const message = `${failed}, this process may not write to the database any more`;
    return new TokenkeepError("ERR_STORE_UNAVAILABLE", message, options);
  }
  return storeFailure("sqlite", operation, cause);
}
