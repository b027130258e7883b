import { lastExpiry } from "../blob/prune.ts";
import type { PartitionKind } from "./partition.ts";
import type { PartitionRecord } from "./record.ts";

const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;
const DAY_MS = 24 * HOUR_MS;

/** How long each kind of record is kept, ms. */
export interface Retention {
  /** From the last write; a refresh token that is not used for this long is not worth keeping. */
  readonly userTtlMs: number;
  /** How long a sign-out is remembered: longer than any flight, lease or unsaved result. */
  readonly removalMarkerTtlMs: number;
}

/** Entra ID's refresh tokens for web apps live 90 days from their last use. */
export const defaultRetention: Retention = Object.freeze({
  userTtlMs: 90 * DAY_MS,
  removalMarkerTtlMs: DAY_MS,
});

/** The floor keeps a record from expiring between its write and the first read. */
const SHORTEST_TTL_MS = MINUTE_MS;

/** How long the store must keep `record`, ms from `nowMs`: from its content and its kind. */
export function ttlOf(
  kind: PartitionKind,
  record: PartitionRecord,
  nowMs: number,
  retention: Retention,
): number {
  switch (record.type) {
    case "removed":
      return retention.removalMarkerTtlMs;
    case "account": {
      const ends = record.partitions.map((entry) => entry.expiresAtMs);
      // The stamp must outlive every assertion issued before it.
      if (record.signedOutAtMs !== undefined) ends.push(record.signedOutAtMs + retention.removalMarkerTtlMs);
      return Math.max(SHORTEST_TTL_MS, Math.max(0, ...ends) - nowMs);
    }
    case "tokens":
      if (kind === "user") return retention.userTtlMs;
      return Math.max(SHORTEST_TTL_MS, (lastExpiry(record.blob) ?? 0) * 1000 - nowMs);
    // A mark has the lifetime it was given; a refused record is never written.
    case "spent":
    case "refused":
      return SHORTEST_TTL_MS;
  }
}
