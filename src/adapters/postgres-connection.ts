/** One statement a call, on a connection of the caller's pool. */
import { createHash } from "node:crypto";
import { TokenkeepError } from "../errors.ts";
import { isUnprepared, postgresFailure, sqlStateOf } from "./postgres-errors.ts";
import { checkSchema, type Names } from "./postgres-schema.ts";
import type { PgClient, PgPool, PgResult, PgTypes } from "./postgres-pool.ts";

/** A statement whose text is fixed; its name says which text, so that it is the same on every connection. */
export interface Statement {
  readonly name: string;
  readonly text: string;
}

/** What the records, the activity, the leases and the admin part share. */
export interface Connection {
  readonly names: Names;
  /** For the guard of writes, see {@link GUARD}; milliseconds as PostgreSQL takes them. */
  readonly lockTimeout: string;
  /**
   * Runs one statement after the first call has looked at the schema's version.
   * @throws {TokenkeepError} ERR_STORE_UNAVAILABLE, ERR_STORE_OPEN, ERR_STORE_FULL, all retryable; ERR_CLOSED.
   */
  readonly run: (
    operation: string,
    statement: Statement,
    values: readonly unknown[],
    signal?: AbortSignal,
  ) => Promise<PgResult>;
  /** Runs a text as it is, whatever the schema is. */
  readonly query: (text: string) => Promise<PgResult>;
  /** @throws {TokenkeepError} ERR_CLOSED. */
  readonly checkOpen: () => void;
  readonly close: () => void;
}

/**
 * Begins every statement that changes a row: the server itself gives up waiting for another transaction's lock
 * in time, so that a write cannot come to life after its caller has stopped waiting. It holds for this one
 * statement only, also behind a transaction pooler. The parameter with the milliseconds is the last one.
 */
export function guard(parameter: number): string {
  return `guard AS MATERIALIZED (SELECT set_config('lock_timeout', $${parameter}, true) AS is_set)`;
}

/** The types by their number in pg_type that our statements answer with; everything else is text. */
const READ: Readonly<Record<number, (value: string) => unknown>> = Object.freeze({
  16: (value: string) => value === "t",
  701: Number,
});

const OWN_TYPES: PgTypes = Object.freeze({
  getTypeParser: (oid: number) => READ[oid] ?? ((value: string) => value),
});

/** Bytes on their way here: base64 is a third longer than they are, the server's own text twice as long. */
export function asBase64(column: string): string {
  return `encode(${column}, 'base64')`;
}

export function fromBase64(text: unknown): Uint8Array {
  return new Uint8Array(Buffer.from(text as string, "base64"));
}

export function statement(text: string): Statement {
  const hash = createHash("sha256").update(text).digest("hex").slice(0, 24);
  return { name: `tokenkeep_${hash}`, text };
}

/**
 * How long an answer may take beyond any wait for a lock, ms: longer than anybody waits for it. A firewall that has
 * forgotten a connection tells nobody, and TCP goes on trying for a quarter of an hour; meanwhile the pool would fill up
 * with connections that are busy for nobody.
 */
const SILENT_MS = 15_000;

export function createConnection(pool: PgPool, names: Names, lockTimeoutMs: number): Connection {
  let open = true;
  let namesStatements = true;
  let schemaChecked: Promise<void> | undefined;
  const ignore = (): void => undefined;
  const query_timeout = pool.options?.query_timeout || lockTimeoutMs + SILENT_MS;
  // An idle connection that breaks would otherwise end a process whose pool nobody listens to.
  pool.on("error", ignore);

  const checkOpen = (): void => {
    if (!open) throw new TokenkeepError("ERR_CLOSED", "store postgres: has been closed");
  };

  async function send(
    { name, text }: Statement,
    values: readonly unknown[],
    signal?: AbortSignal,
  ): Promise<PgResult> {
    const query = (isNamed: boolean): Promise<PgResult> =>
      onClient(
        pool,
        (client) =>
          client.query({
            text,
            values: [...values],
            types: OWN_TYPES,
            query_timeout,
            ...(isNamed ? { name } : {}),
          }),
        signal,
      );
    if (!namesStatements) return query(false);
    try {
      return await query(true);
    } catch (error) {
      if (!isUnprepared(error)) throw error;
      // A transaction pooler has sent it to a server that was not told: it has not run, and names are no use here.
      namesStatements = false;
      signal?.throwIfAborted();
      return query(false);
    }
  }

  const query = (text: string): Promise<PgResult> =>
    onClient(pool, (client) => client.query({ text, query_timeout }));

  function schemaIsOurs(): Promise<void> {
    schemaChecked ??= checkSchema(names, query).catch((error: unknown) => {
      schemaChecked = undefined;
      throw error;
    });
    return schemaChecked;
  }

  return {
    names,
    lockTimeout: String(lockTimeoutMs),
    checkOpen,
    async run(operation, which, values, signal) {
      checkOpen();
      try {
        await schemaIsOurs();
        return await send(which, values, signal);
      } catch (error) {
        throw postgresFailure(operation, error);
      }
    },
    async query(text) {
      checkOpen();
      return query(text);
    },
    close() {
      open = false;
      pool.removeListener("error", ignore);
    },
  };
}

/** Takes a connection, does `work` and gives it back; closes it instead if it may not be usable any more. */
async function onClient<T>(
  pool: PgPool,
  work: (client: PgClient) => Promise<T>,
  signal?: AbortSignal,
): Promise<T> {
  signal?.throwIfAborted();
  const client = await orAborted(pool.connect(), signal, (late) => late.release());
  const ignore = (): void => undefined;
  // Without a listener the loss of this connection would end the process.
  client.on("error", ignore);
  let isSound = false;
  try {
    // Whoever gave up while waiting for a connection has written nothing.
    signal?.throwIfAborted();
    const result = await orAborted(work(client), signal);
    isSound = true;
    return result;
  } catch (error) {
    isSound = keepsConnection(error);
    throw error;
  } finally {
    client.removeListener("error", ignore);
    // The answer of a statement that was given up must not be taken for that of the next one.
    client.release(!isSound);
  }
}

/** The server has answered with an error of the statement, and goes on listening. */
function keepsConnection(error: unknown): boolean {
  const code = sqlStateOf(error);
  return code !== undefined && !/^(08|57P|XX)/.test(code);
}

/** Stops waiting when `signal` is aborted; `late` then takes what comes nevertheless. */
function orAborted<T>(
  pending: Promise<T>,
  signal: AbortSignal | undefined,
  late?: (value: T) => void,
): Promise<T> {
  if (signal === undefined) return pending;
  return new Promise<T>((resolve, reject) => {
    let given = false;
    const abort = (): void => {
      given = true;
      reject(signal.reason as Error);
    };
    signal.addEventListener("abort", abort, { once: true });
    pending
      .then(
        (value) => (given ? late?.(value) : resolve(value)),
        (error: unknown) => reject(error as Error),
      )
      .finally(() => signal.removeEventListener("abort", abort));
  });
}
