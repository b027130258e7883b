/** Keys page by page, and clean-up. */
import { checkLimit, checkTextKey } from "./shared/arguments.ts";
import { purgeLeases } from "./sqlite-lease.ts";
import { keyRange } from "./sqlite-range.ts";
import type { Connection } from "./sqlite-connection.ts";
import type { BlobAdmin } from "../store/blob-admin.ts";

const MAX_PAGE = 10_000;

const PURGE = `DELETE FROM records WHERE key IN
(SELECT key FROM records WHERE expires_at <= ? ORDER BY expires_at LIMIT ?)`;

/** The {@link BlobAdmin} of the records; expired leases are purged with them. `limit` is from 1 to 10,000. */
export function sqliteAdmin(connection: Connection): BlobAdmin {
  const { call, now, statement, transaction } = connection;
  return {
    keys: ({ prefix, limit, cursor }) =>
      call("keys", () => {
        checkLimit(limit, MAX_PAGE);
        checkTextKey("prefix", prefix);
        const range = keyRange("key", prefix, cursor);
        const where = [...range.map(([condition]) => condition), "expires_at > ?"].join(" AND ");
        const found = statement(`SELECT key FROM records WHERE ${where} ORDER BY key LIMIT ?`)
          .all(...range.flatMap(([, values]) => values), now(), limit + 1)
          .map((row) => row["key"] as string);
        const keys = found.slice(0, limit);
        const last = keys.at(-1);
        return last === undefined || found.length <= limit ? { keys } : { keys, cursor: last };
      }),
    purgeExpired: ({ limit }) =>
      call("purge", () => {
        checkLimit(limit, MAX_PAGE);
        return transaction(() => {
          const records = Number(statement(PURGE).run(now(), limit).changes);
          return records + purgeLeases(connection, limit - records);
        });
      }),
  };
}
