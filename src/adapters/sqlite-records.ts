/** The records table as a blob store. */
import { checkTextKey, expiryAt } from "./shared/arguments.ts";
import type { Connection } from "./sqlite-connection.ts";
import type { BlobStore, GetOptions, PutOptions, PutResult, Stored } from "../store/blob-store.ts";

// Bytes are left out where the caller has them; a NULL version to compare with leaves nothing out. The cast
// changes no bytes: a hand on the file may have left text in their place.
const SELECT = `SELECT version, CASE WHEN version = ? THEN NULL ELSE CAST(bytes AS BLOB) END AS bytes, expires_at
FROM records WHERE key = ? AND expires_at > ?`;

const CREATE = `INSERT INTO records (key, version, bytes, expires_at) VALUES (?, ?, ?, ?)
ON CONFLICT (key) DO UPDATE SET version = excluded.version, bytes = excluded.bytes, expires_at = excluded.expires_at
WHERE records.expires_at <= ?`;

const REPLACE = `UPDATE records SET version = ?, bytes = ?, expires_at = ?
WHERE key = ? AND version = ? AND expires_at > ?`;

const TOUCH = `UPDATE records SET expires_at = max(expires_at, ?)
WHERE key = ? AND version = ? AND expires_at > ?`;

const DELETE = `DELETE FROM records WHERE key = ? AND version = ? AND expires_at > ?`;

/** The {@link BlobStore} methods that speak to the table. */
export function sqliteRecords(connection: Connection): Pick<BlobStore, "get" | "put" | "touch" | "delete"> {
  const { call, now, statement } = connection;
  return {
    get: (key, options = {}) => call("get", () => read(connection, key, options), options.signal),
    put(key, bytes, options) {
      // A copy, because the caller may reuse the bytes while this waits for a lock.
      const own = new Uint8Array(bytes);
      return call("put", () => write(connection, key, own, options), options.signal);
    },
    touch: (key, { ifVersion, ttlMs }) =>
      call("touch", () => {
        checkTextKey("key", key);
        const time = now();
        return statement(TOUCH).run(expiryAt(time, ttlMs), key, ifVersion, time).changes === 1;
      }),
    delete: (key, { ifVersion }) =>
      call("delete", () => {
        checkTextKey("key", key);
        return statement(DELETE).run(key, ifVersion, now()).changes === 1;
      }),
  };
}

function read(connection: Connection, key: string, options: GetOptions): Stored | "unchanged" | undefined {
  checkTextKey("key", key);
  const row = connection.statement(SELECT).get(options.unlessVersion ?? null, key, connection.now());
  if (row === undefined) return undefined;
  if (row["bytes"] === null) return "unchanged";
  return {
    bytes: row["bytes"] as Uint8Array,
    version: row["version"] as string,
    expiresAtMs: Number(row["expires_at"]),
  };
}

function write(connection: Connection, key: string, bytes: Uint8Array, options: PutOptions): PutResult {
  checkTextKey("key", key);
  return connection.transaction(() => {
    if (swap(connection, key, bytes, options)) return { stored: true };
    const current = read(connection, key, {});
    return current === undefined || current === "unchanged" ? { stored: false } : { stored: false, current };
  });
}

function swap(connection: Connection, key: string, bytes: Uint8Array, options: PutOptions): boolean {
  const { version, ifVersion } = options;
  const time = connection.now();
  const expiresAt = expiryAt(time, options.ttlMs);
  const { changes } =
    ifVersion === null
      ? connection.statement(CREATE).run(key, version, bytes, expiresAt, time)
      : connection.statement(REPLACE).run(version, bytes, expiresAt, key, ifVersion, time);
  return changes === 1;
}
