/** What SQLite's result codes mean for a caller of the store. */
import { storeFailure, TokenkeepError } from "../errors.ts";

const SQLITE_BUSY = 5;
const SQLITE_LOCKED = 6;
const SQLITE_FULL = 13;

/** The primary result code (the low byte of an extended one), if SQLite threw this. */
export function sqliteCode(error: unknown): number | undefined {
  if (!(error instanceof Error) || !("errcode" in error) || typeof error.errcode !== "number")
    return undefined;
  return error.errcode & 0xff;
}

/** True if another connection holds the lock: nothing has happened, and the same call may be made again. */
export function isLocked(error: unknown): boolean {
  const code = sqliteCode(error);
  return code === SQLITE_BUSY || code === SQLITE_LOCKED;
}

/** SQLite's own messages name tables and columns, never values, so they may stay as the cause. */
export function sqliteFailure(operation: string, cause: unknown): Error {
  // A wrong argument is the caller's and says so itself.
  if (cause instanceof TypeError && "option" in cause) return cause;
  if (sqliteCode(cause) !== SQLITE_FULL) return storeFailure("sqlite", operation, cause);
  const message = `store sqlite: ${operation} failed, the disk is full`;
  return new TokenkeepError("ERR_STORE_FULL", message, { cause, retryable: true });
}
