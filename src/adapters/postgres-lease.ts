/** The leases table; times are the server's. */
import { checkTextKey } from "./shared/arguments.ts";
import { guard, statement, type Connection } from "./postgres-connection.ts";
import { checkedTtl } from "./postgres-records.ts";
import type { LeaseResult, RefreshLease } from "../store/refresh-lease.ts";

function statements({ leases }: Connection["names"]) {
  const until = "now() + $3::float8 * interval '1 millisecond'";
  return {
    // How long the holder has it comes from before any wait for a lock: it is only a hint.
    acquire: statement(`WITH ${guard(4)}, taken AS (
INSERT INTO ${leases} AS held (key, owner, expires_at)
SELECT $1, $2, ${until} FROM guard WHERE guard.is_set IS NOT NULL
ON CONFLICT (key) DO UPDATE SET owner = excluded.owner, expires_at = excluded.expires_at
WHERE held.expires_at <= now() RETURNING key)
SELECT true AS is_held, NULL::float8 AS remaining_ms FROM taken UNION ALL
SELECT false, extract(epoch FROM expires_at - now())::float8 * 1000 FROM ${leases}
WHERE key = $1 AND NOT EXISTS (SELECT 1 FROM taken)`),
    renew: statement(`WITH ${guard(4)}
UPDATE ${leases} AS held SET expires_at = ${until}
FROM guard WHERE guard.is_set IS NOT NULL AND held.key = $1 AND held.owner = $2 AND held.expires_at > now()`),
    release: statement(`WITH ${guard(3)}
DELETE FROM ${leases} AS held USING guard WHERE guard.is_set IS NOT NULL AND held.key = $1 AND held.owner = $2`),
  };
}

/** The {@link RefreshLease} of everybody who shares the database. */
export function postgresLease(connection: Connection): RefreshLease {
  const { run, lockTimeout } = connection;
  const sql = statements(connection.names);
  return {
    async acquire(key, { owner, ttlMs }) {
      checkTextKey("key", key);
      const { rows } = await run("lease acquire", sql.acquire, [key, owner, checkedTtl(ttlMs), lockTimeout]);
      return leaseResult(rows[0]);
    },
    async renew(key, { owner, ttlMs }) {
      checkTextKey("key", key);
      const values = [key, owner, checkedTtl(ttlMs), lockTimeout];
      return (await run("lease renew", sql.renew, values)).rowCount === 1;
    },
    async release(key, { owner }) {
      checkTextKey("key", key);
      await run("lease release", sql.release, [key, owner, lockTimeout]);
    },
  };
}

/** No row: somebody else has taken it at this very moment. */
function leaseResult(row: Record<string, unknown> | undefined): LeaseResult {
  if (row?.["is_held"] === true) return { held: true };
  const remaining = row?.["remaining_ms"];
  return typeof remaining === "number"
    ? { held: false, remainingMs: Math.max(remaining, 0) }
    : { held: false };
}
