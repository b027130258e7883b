/** Refresh leases in this process's own memory. */
import { expiryAt } from "./shared/arguments.ts";
import type { Runtime } from "../runtime.ts";
import type { RefreshLease } from "../store/refresh-lease.ts";

interface Holder {
  readonly owner: string;
  /** By the monotonic clock, which nobody sets back. */
  readonly expiresAtMs: number;
}

/** The {@link RefreshLease} of one memory store, and its part of the clean-up. */
export interface MemoryLease {
  readonly lease: RefreshLease;
  /** Drops at most `limit` leases whose time has passed. @returns how many. */
  purgeExpired(limit: number): number;
}

export function memoryLease(runtime: Runtime): MemoryLease {
  const holders = new Map<string, Holder>();

  function live(key: string): Holder | undefined {
    const holder = holders.get(key);
    if (holder === undefined || holder.expiresAtMs > runtime.monotonicNow()) return holder;
    holders.delete(key);
    return undefined;
  }

  const lease: RefreshLease = {
    async acquire(key, { owner, ttlMs }) {
      const now = runtime.monotonicNow();
      const expiresAtMs = expiryAt(now, ttlMs);
      const holder = live(key);
      if (holder) return { held: false, remainingMs: Math.floor(holder.expiresAtMs - now) };
      holders.set(key, { owner, expiresAtMs });
      return { held: true };
    },
    async renew(key, { owner, ttlMs }) {
      const expiresAtMs = expiryAt(runtime.monotonicNow(), ttlMs);
      if (live(key)?.owner !== owner) return false;
      holders.set(key, { owner, expiresAtMs });
      return true;
    },
    async release(key, { owner }) {
      if (holders.get(key)?.owner === owner) holders.delete(key);
    },
  };

  function purgeExpired(limit: number): number {
    let purged = 0;
    for (const key of holders.keys()) {
      if (purged === limit) break;
      if (live(key) === undefined) purged += 1;
    }
    return purged;
  }

  return { lease, purgeExpired };
}
