/** Keys page by page, and clean-up in batches. */
import { endOfPrefix } from "./shared/key-range.ts";
import { checkLimit, checkTextKey } from "./shared/arguments.ts";
import { statement, type Connection } from "./postgres-connection.ts";
import type { BlobAdmin } from "../store/blob-admin.ts";

const MAX_PAGE = 10_000;

function statements({ records, leases }: Connection["names"]) {
  // Rows that somebody is writing to at this moment are passed over; nobody waits for the clean-up.
  const purge = (table: string): string => `DELETE FROM ${table} WHERE key IN (
SELECT key FROM ${table} WHERE expires_at <= now() ORDER BY expires_at LIMIT $1 FOR UPDATE SKIP LOCKED)`;
  return {
    keys: statement(`SELECT key FROM ${records}
WHERE key >= $1 AND ($2::text IS NULL OR key < $2) AND ($3::text IS NULL OR key > $3) AND expires_at > now()
ORDER BY key LIMIT $4`),
    purgeRecords: statement(purge(records)),
    purgeLeases: statement(purge(leases)),
  };
}

/** The {@link BlobAdmin} of the records; expired leases are purged with them. `limit` is from 1 to 10,000. */
export function postgresAdmin(connection: Connection): BlobAdmin {
  const { run } = connection;
  const sql = statements(connection.names);
  return {
    async keys({ prefix, limit, cursor }) {
      checkLimit(limit, MAX_PAGE);
      checkTextKey("prefix", prefix);
      const values = [prefix, endOfPrefix(prefix) ?? null, cursor ?? null, limit + 1];
      const found = (await run("keys", sql.keys, values)).rows.map((row) => row["key"] as string);
      const keys = found.slice(0, limit);
      const last = keys.at(-1);
      return last === undefined || found.length <= limit ? { keys } : { keys, cursor: last };
    },
    async purgeExpired({ limit }) {
      checkLimit(limit, MAX_PAGE);
      const records = (await run("purge", sql.purgeRecords, [limit])).rowCount ?? 0;
      if (records === limit) return records;
      return records + ((await run("purge", sql.purgeLeases, [limit - records])).rowCount ?? 0);
    },
  };
}
