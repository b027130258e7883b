/** How long the store keeps what: decided by a record's kind and content. Pure. */
import { lastExpiry } from "../blob/prune.ts";
import type { PartitionKind } from "./partition.ts";
import type { PartitionRecord, TokenRecord } from "./record.ts";

const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;
const DAY_MS = 24 * HOUR_MS;

/** How long each kind of record is kept, ms. */
export interface Retention {
  /** A user's: from its last use; a refresh token that is not used for this long is not worth keeping. */
  readonly userTtlMs: number;
  /** A long-running process's (on-behalf-of under a key of its own): from its last use. */
  readonly longRunningTtlMs: number;
  /** A session's: from its last use; as long as the session itself lives. */
  readonly sessionTtlMs: number;
  /** Whether use renews these three, at most once per half of the time. If not, only a write does. */
  readonly sliding: boolean;
  /** However often it is used, a record with a sign-in is kept no longer than this after the latest one. */
  readonly absoluteTtlMs: number;
  /** How long a sign-out is remembered: longer than any flight, lease or unsaved result. */
  readonly removalMarkerTtlMs: number;
}

/** Entra ID's refresh tokens for web apps live 90 days from their last use. */
export const defaultRetention: Retention = Object.freeze({
  userTtlMs: 90 * DAY_MS,
  longRunningTtlMs: 90 * DAY_MS,
  sessionTtlMs: DAY_MS,
  sliding: true,
  absoluteTtlMs: Number.POSITIVE_INFINITY,
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
      ends.push(record.unlistedUntilMs ?? 0);
      // The stamp must outlive every assertion issued before it.
      if (record.signedOutAtMs !== undefined) ends.push(record.signedOutAtMs + retention.removalMarkerTtlMs);
      return Math.max(SHORTEST_TTL_MS, Math.max(0, ...ends) - nowMs);
    }
    case "tokens":
      return tokensTtl(kind, record, nowMs, retention);
    // A mark has the lifetime it was given; a refused record is never written.
    case "spent":
    case "refused":
      return SHORTEST_TTL_MS;
  }
}

/** Whether using a record of that kind renews how long it is kept. */
export function isRenewedByUse(kind: PartitionKind, record: PartitionRecord, retention: Retention): boolean {
  return record.type === "tokens" && retention.sliding && windowOf(kind, retention) !== undefined;
}

function tokensTtl(kind: PartitionKind, record: TokenRecord, nowMs: number, retention: Retention): number {
  const byContent = (lastExpiry(record.blob) ?? 0) * 1000 - nowMs;
  const ttlMs = windowOf(kind, retention) ?? byContent;
  const leftMs =
    record.signedInAtMs === undefined
      ? Number.POSITIVE_INFINITY
      : record.signedInAtMs + retention.absoluteTtlMs - nowMs;
  return Math.max(SHORTEST_TTL_MS, Math.min(ttlMs, leftMs));
}

/** What holds a refresh token is worth keeping for as long as that is; anything else as long as its tokens live. */
function windowOf(kind: PartitionKind, retention: Retention): number | undefined {
  switch (kind) {
    case "user":
      return retention.userTtlMs;
    case "long-running":
      return retention.longRunningTtlMs;
    case "session":
      return retention.sessionTtlMs;
    default:
      return undefined;
  }
}
