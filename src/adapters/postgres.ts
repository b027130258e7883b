/** A store in PostgreSQL, on a pool of node-postgres that the caller makes. */
import { checkedChoice, checkedRuntime, checkMethods, checkOptionNames } from "../checks.ts";
import { OptionsError } from "../errors.ts";
import { postgresActivity } from "./postgres-activity.ts";
import { postgresAdmin } from "./postgres-admin.ts";
import { postgresBackplane } from "./postgres-backplane.ts";
import { createConnection } from "./postgres-connection.ts";
import { postgresFailure } from "./postgres-errors.ts";
import { inspectServer } from "./postgres-inspect.ts";
import { postgresLease } from "./postgres-lease.ts";
import { postgresRecords } from "./postgres-records.ts";
import { migrate, namesOf } from "./postgres-schema.ts";
import type { PgPool } from "./postgres-pool.ts";
import type { Runtime } from "../runtime.ts";
import type { Store } from "../store/store.ts";

export type { PgClient, PgPool, PgQuery, PgResult } from "./postgres-pool.ts";

/** What {@link postgresStore} is made from. Only `pool` is required. */
export interface PostgresStoreOptions {
  /** A `pg.Pool` (pg 8), made and ended by the caller. */
  readonly pool: PgPool;
  /** The database schema that the tables are in. 1 to 30 of `a-z 0-9 _`. Default `public`. */
  readonly schema?: string;
  /** Begins the tables' names. 1 to 30 of `a-z 0-9 _`. Default `tokenkeep_`. */
  readonly tablePrefix?: string;
  /**
   * Whether other processes are told of removals by LISTEN and NOTIFY, which takes one connection of the pool
   * while anybody listens. `false` spares it where they do not arrive: behind a transaction pooler. Default true.
   */
  readonly messages?: boolean;
  /** How long the server lets a write wait for another transaction's row lock. Whole milliseconds, default 1,000. */
  readonly lockTimeoutMs?: number;
  /** Timers and jitter, for finding a lost connection again; expiry is by the server's clock. Default: the system's. */
  readonly runtime?: Runtime;
}

/** What {@link postgresStore} makes: a store with every optional capability. */
export interface PostgresStore extends Required<Omit<Store, "replicated">> {
  /**
   * Creates the tables, or brings them up to date, in one transaction. Does nothing if they are. May be called
   * by several processes at once; needs the right to create, which no other call does.
   * @throws {TokenkeepError} ERR_STORE_OPEN if a newer tokenkeep has migrated them; they stay as they are.
   */
  migrate(): Promise<void>;
}

const KNOWN_OPTIONS = new Set(["pool", "schema", "tablePrefix", "messages", "lockTimeoutMs", "runtime"]);

const MAX_TIMEOUT_MS = 0x7fff_ffff;

/**
 * Makes the pool a store with account activity, leases, admin and a backplane. Sends nothing yet; the first call
 * looks at the schema's version, and every later one is one statement.
 *
 * `close()` ends the subscription and nothing of the caller's; any call after it fails with ERR_CLOSED.
 * @throws {OptionsError} naming the option.
 */
export function postgresStore(options: PostgresStoreOptions): PostgresStore {
  const { pool, runtime, messages, lockTimeoutMs, names } = resolveOptions(options);
  const connection = createConnection(pool, names, lockTimeoutMs);
  const { backplane, closeListeners } = postgresBackplane(pool, connection, runtime, messages);
  return {
    name: "postgres",
    patienceMs: lockTimeoutMs + 1_000,
    ...postgresRecords(connection),
    backplane,
    activity: postgresActivity(connection),
    lease: postgresLease(connection),
    admin: postgresAdmin(connection),
    async migrate() {
      connection.checkOpen();
      await migrate(pool, names);
    },
    async inspect() {
      try {
        return await inspectServer(connection);
      } catch (error) {
        throw postgresFailure("inspect", error);
      }
    },
    async close() {
      closeListeners();
      connection.close();
    },
  };
}

function resolveOptions(options: PostgresStoreOptions) {
  checkOptionNames(options, KNOWN_OPTIONS, "postgresStore");
  checkMethods(options.pool, "pool", ["connect", "on", "removeListener"], "a pg.Pool");
  return {
    pool: options.pool,
    names: namesOf(options.schema ?? "public", options.tablePrefix ?? "tokenkeep_"),
    messages: checkedChoice(options.messages, "messages", [true, false]),
    lockTimeoutMs: checkedTimeout(options.lockTimeoutMs),
    runtime: checkedRuntime(options.runtime),
  };
}

function checkedTimeout(value: number | undefined): number {
  if (value === undefined) return 1_000;
  // 0 would mean to PostgreSQL: for ever.
  if (Number.isInteger(value) && value >= 1 && value <= MAX_TIMEOUT_MS) return value;
  throw new OptionsError("lockTimeoutMs", "must be a whole number of milliseconds from 1");
}
