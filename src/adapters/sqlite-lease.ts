/** The leases table. */
import { checkTextKey, expiryAt } from "./shared/arguments.ts";
import type { Connection } from "./sqlite-connection.ts";
import type { LeaseResult, RefreshLease } from "../store/refresh-lease.ts";

const ACQUIRE = `INSERT INTO leases (key, owner, expires_at) VALUES (?, ?, ?)
ON CONFLICT (key) DO UPDATE SET owner = excluded.owner, expires_at = excluded.expires_at
WHERE leases.expires_at <= ?`;

const HOLDER = "SELECT expires_at FROM leases WHERE key = ?";

const RENEW = "UPDATE leases SET expires_at = ? WHERE key = ? AND owner = ? AND expires_at > ?";

// In passing also what holders that died have left behind: another write would wait for the disk once more.
const RELEASE = "DELETE FROM leases WHERE (key = ? AND owner = ?) OR expires_at <= ?";

const PURGE = `DELETE FROM leases WHERE key IN
(SELECT key FROM leases WHERE expires_at <= ? ORDER BY expires_at LIMIT ?)`;

/** The {@link RefreshLease} of the processes that share the file. */
export function sqliteLease(connection: Connection): RefreshLease {
  const { call, now, statement } = connection;
  return {
    acquire: (key, { owner, ttlMs }) =>
      call("lease acquire", () => {
        checkTextKey("key", key);
        const time = now();
        const { changes } = statement(ACQUIRE).run(key, owner, expiryAt(time, ttlMs), time);
        return changes === 1 ? { held: true } : taken(connection, key);
      }),
    renew: (key, { owner, ttlMs }) =>
      call("lease renew", () => {
        checkTextKey("key", key);
        const time = now();
        return statement(RENEW).run(expiryAt(time, ttlMs), key, owner, time).changes === 1;
      }),
    release: (key, { owner }) =>
      call("lease release", () => {
        checkTextKey("key", key);
        statement(RELEASE).run(key, owner, now());
      }),
  };
}

/** Read after the attempt, so the holder may be gone again: then it has no time left. */
function taken({ statement, now }: Connection, key: string): LeaseResult {
  const expiresAtMs = statement(HOLDER).get(key)?.["expires_at"];
  return { held: false, remainingMs: Math.max(Number(expiresAtMs ?? 0) - now(), 0) };
}

/** For use inside {@link Connection.call}. @returns how many expired leases were deleted. */
export function purgeLeases({ statement, now }: Connection, limit: number): number {
  return Number(statement(PURGE).run(now(), limit).changes);
}
