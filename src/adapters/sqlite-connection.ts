/** One connection: calls that wait for a lock without holding up the event loop, and transactions. */
import type { DatabaseSync, StatementSync } from "node:sqlite";
import { TokenkeepError } from "../errors.ts";
import { isLocked, sqliteFailure } from "./sqlite-errors.ts";
import { inTransaction } from "./sqlite-transaction.ts";
import { sleep, type Runtime } from "../runtime.ts";

/** What the records, the activity and the admin part share. */
export interface Connection {
  /** The time that expiry is reckoned by. */
  readonly now: () => number;
  /**
   * Does `work`, again and again while the database is locked, up to the lock timeout.
   * @throws {TokenkeepError} ERR_STORE_UNAVAILABLE, retryable; ERR_STORE_FULL; ERR_CLOSED after `close`.
   */
  readonly call: <T>(operation: string, work: () => T, signal?: AbortSignal) => Promise<T>;
  /** Does `work` in one write transaction; for use inside {@link Connection.call}. */
  readonly transaction: <T>(work: () => T) => T;
  /** The statement for this text, prepared once. The texts are few and fixed: never put a value in one. */
  readonly statement: (sql: string) => StatementSync;
  /** @throws {TokenkeepError} ERR_CLOSED. */
  readonly checkOpen: () => void;
  readonly close: () => void;
}

interface ConnectionOptions {
  readonly runtime: Runtime;
  readonly lockTimeoutMs: number;
}

const FIRST_WAIT_MS = 5;
const LONGEST_WAIT_MS = 100;

/** Wraps an open database; `close` closes it. */
export function createConnection(db: DatabaseSync, options: ConnectionOptions): Connection {
  const statements = new Map<string, StatementSync>();
  let open = true;
  const connection: Connection = {
    now: () => options.runtime.now(),
    call: (operation, work, signal) => callPatiently(connection, options, operation, work, signal),
    transaction: (work) => inTransaction(db, work),
    statement(sql) {
      let statement = statements.get(sql);
      if (statement === undefined) {
        statement = db.prepare(sql);
        // A number too large for JavaScript would end the reading with an error in the middle, and the open
        // statement would hold on to its snapshot: every later reading would be of the past.
        if (sql.startsWith("SELECT")) statement.setReadBigInts(true);
        statements.set(sql, statement);
      }
      return statement;
    },
    checkOpen() {
      if (!open) throw new TokenkeepError("ERR_CLOSED", "store sqlite: has been closed");
    },
    close() {
      if (!open) return;
      open = false;
      db.close();
    },
  };
  return connection;
}

async function callPatiently<T>(
  connection: Connection,
  options: ConnectionOptions,
  operation: string,
  work: () => T,
  signal: AbortSignal | undefined,
): Promise<T> {
  connection.checkOpen();
  try {
    return work();
  } catch (error) {
    if (!isLocked(error)) throw sqliteFailure(operation, error);
  }
  return waitForLock(connection, options, operation, work, signal);
}

async function waitForLock<T>(
  connection: Connection,
  { runtime, lockTimeoutMs }: ConnectionOptions,
  operation: string,
  work: () => T,
  signal: AbortSignal | undefined,
): Promise<T> {
  const start = runtime.monotonicNow();
  for (let waitMs = FIRST_WAIT_MS; ; waitMs = Math.min(waitMs * 2, LONGEST_WAIT_MS)) {
    const leftMs = lockTimeoutMs - (runtime.monotonicNow() - start);
    await sleep(runtime, Math.min(waitMs * (0.5 + runtime.jitter()), leftMs));
    connection.checkOpen();
    try {
      // A write must not come to life after its caller has given up waiting for the lock.
      signal?.throwIfAborted();
      return work();
    } catch (error) {
      const timeIsUp = runtime.monotonicNow() - start >= lockTimeoutMs;
      if (!isLocked(error) || timeIsUp) throw sqliteFailure(operation, error);
    }
  }
}
