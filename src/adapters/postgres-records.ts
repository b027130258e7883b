/** The records table as a blob store. */
import { checkTextKey, expiryAt } from "./shared/arguments.ts";
import { asBase64, fromBase64, guard, statement, type Connection } from "./postgres-connection.ts";
import type { BlobStore, PutResult, Stored } from "../store/blob-store.ts";

/** Some three thousand years; later times are none that PostgreSQL can hold. */
const LONGEST_TTL_MS = 1e14;

const EXPIRES_MS = "extract(epoch FROM expires_at)::float8 * 1000 AS expires_ms";

function statements({ records }: Connection["names"]) {
  const until = (parameter: number): string => `now() + $${parameter}::float8 * interval '1 millisecond'`;
  // The bytes are left out where the caller has them.
  const found = (caller: number): string =>
    `version, CASE WHEN version = $${caller}::text THEN NULL ELSE ${asBase64("bytes")} END AS bytes, ${EXPIRES_MS}`;
  const swap = (wins: string): string =>
    [
      `version = CASE WHEN ${wins} THEN $2 ELSE old.version END`,
      `bytes = CASE WHEN ${wins} THEN $3::bytea ELSE old.bytes END`,
      `expires_at = CASE WHEN ${wins} THEN ${until(4)} ELSE old.expires_at END`,
    ].join(", ");
  const answer = `RETURNING old.version, CASE WHEN old.version = $2 THEN NULL ELSE ${asBase64("old.bytes")} END AS bytes,
extract(epoch FROM old.expires_at)::float8 * 1000 AS expires_ms, old.expires_at > now() AS is_live`;
  return {
    get: statement(`SELECT ${found(2)} FROM ${records} WHERE key = $1 AND expires_at > now()`),
    // A conflict writes the row as it is: only so does RETURNING show the row that is really there. A SELECT in
    // the same statement would show the one from before the wait for whoever won.
    create: statement(`WITH ${guard(5)}
INSERT INTO ${records} AS old (key, version, bytes, expires_at)
SELECT $1, $2, $3::bytea, ${until(4)} FROM guard WHERE guard.is_set IS NOT NULL
ON CONFLICT (key) DO UPDATE SET ${swap("old.expires_at <= now()")}
${answer}`),
    replace: statement(`WITH ${guard(6)}
UPDATE ${records} AS old SET ${swap("old.version = $5 AND old.expires_at > now()")}
FROM guard WHERE old.key = $1 AND guard.is_set IS NOT NULL
${answer}`),
    touch: statement(`WITH ${guard(4)}
UPDATE ${records} AS old SET expires_at = greatest(old.expires_at, ${until(2)})
FROM guard WHERE guard.is_set IS NOT NULL AND old.key = $1 AND old.version = $3 AND old.expires_at > now()`),
    delete: statement(`WITH ${guard(3)}
DELETE FROM ${records} AS old USING guard
WHERE guard.is_set IS NOT NULL AND old.key = $1 AND old.version = $2 AND old.expires_at > now()`),
  };
}

/** The {@link BlobStore} methods that speak to the table: one statement each, also for a conflict. */
export function postgresRecords(connection: Connection): Pick<BlobStore, "get" | "put" | "touch" | "delete"> {
  const { run, lockTimeout } = connection;
  const sql = statements(connection.names);
  return {
    async get(key, { unlessVersion, signal } = {}) {
      checkTextKey("key", key);
      const { rows } = await run("get", sql.get, [key, unlessVersion ?? null], signal);
      const [row] = rows;
      if (row === undefined) return undefined;
      return row["bytes"] === null ? "unchanged" : storedRow(row);
    },
    async put(key, bytes, { version, ifVersion, ttlMs, signal }) {
      checkTextKey("key", key);
      // A copy, because the caller may reuse the bytes while this waits for a connection.
      const written = [key, version, Buffer.from(bytes), checkedTtl(ttlMs)];
      const { rows } =
        ifVersion === null
          ? await run("put", sql.create, [...written, lockTimeout], signal)
          : await run("put", sql.replace, [...written, ifVersion, lockTimeout], signal);
      return putResult(rows[0], version);
    },
    async touch(key, { ifVersion, ttlMs }) {
      checkTextKey("key", key);
      return (await run("touch", sql.touch, [key, checkedTtl(ttlMs), ifVersion, lockTimeout])).rowCount === 1;
    },
    async delete(key, { ifVersion }) {
      checkTextKey("key", key);
      return (await run("delete", sql.delete, [key, ifVersion, lockTimeout])).rowCount === 1;
    },
  };
}

function putResult(row: Record<string, unknown> | undefined, version: string): PutResult {
  if (row === undefined) return { stored: false };
  if (row["version"] === version) return { stored: true };
  return row["is_live"] === true ? { stored: false, current: storedRow(row) } : { stored: false };
}

function storedRow(row: Record<string, unknown>): Stored {
  const { version, bytes, expires_ms } = row;
  return {
    bytes: fromBase64(bytes),
    version: version as string,
    expiresAtMs: Math.round(Number(expires_ms)),
  };
}

/** @throws {OptionsError} if it is not a number above 0. */
export function checkedTtl(ttlMs: number): number {
  return Math.min(expiryAt(0, ttlMs), LONGEST_TTL_MS);
}
