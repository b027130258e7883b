/** Refresh leases: a key with an owner and an expiry each. */
import { checkTextKey, expiryAt } from "./shared/arguments.ts";
import type { RedisConnection } from "./redis-connection.ts";
import { ACQUIRE, RELEASE, RENEW } from "./redis-scripts.ts";
import type { RefreshLease } from "../store/refresh-lease.ts";

/** The {@link RefreshLease}. On replicated Redis a failover may forget one: then there is an extra refresh. */
export function redisLease({ call, run }: RedisConnection, prefix: string): RefreshLease {
  const keyOf = (key: string): string => {
    checkTextKey("key", key);
    return `${prefix}:lease:${key}`;
  };
  const ms = (ttlMs: number): string => String(expiryAt(0, ttlMs));
  return {
    acquire: (key, { owner, ttlMs }) =>
      call("lease acquire", async (driver) => {
        const left = await run(driver, ACQUIRE, [keyOf(key)], [owner, ms(ttlMs)]);
        if (left === -1) return { held: true };
        return typeof left === "number" && left > 0 ? { held: false, remainingMs: left } : { held: false };
      }),
    renew: (key, { owner, ttlMs }) =>
      call(
        "lease renew",
        async (driver) => (await run(driver, RENEW, [keyOf(key)], [owner, ms(ttlMs)])) === 1,
      ),
    release: (key, { owner }) =>
      call("lease release", async (driver) => {
        await run(driver, RELEASE, [keyOf(key)], [owner]);
      }),
  };
}
