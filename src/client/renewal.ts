/** What the flows share that ask the identity provider for a token the cache could not answer. */
import type { AuthenticationResult } from "../msal/types.ts";
import type { NetworkTrace } from "../msal/network.ts";
import type { RequestGuard } from "../partitions/lease.ts";
import type { PartitionState } from "../partitions/partitions.ts";
import type { SaveOutcome } from "../partitions/save.ts";
import type { CacheAnswer } from "./lookup.ts";
import type { CacheRefreshReason, TokenResult } from "./result.ts";

/** Why the provider is asked. */
export function reasonOf(answer: CacheAnswer): CacheRefreshReason {
  return answer.result ? "not-applicable" : answer.reason;
}

/** One attempt at renewing: what it starts from, why, and what must hold when the request is sent. */
export interface Renewal {
  readonly state: PartitionState;
  readonly reason: CacheRefreshReason;
  readonly guard: RequestGuard;
  /** Told what happened on the network, also where MSAL keeps a failure to itself. */
  readonly trace?: (seen: NetworkTrace) => void;
  /** How many refresh tokens were refused before; each attempt is with another. */
  readonly refused?: number;
  /** Why the state could not be read past L1, if it could not: then nobody is told that there are no tokens. */
  readonly unconfirmed?: unknown;
}

/** Where the flow as a whole is measured further out; see `shared`. */
const UNKNOWN = { totalMs: 0, cacheMs: 0 };

/** What MSAL answered, and how it came about. */
export function withMetadata(
  result: AuthenticationResult,
  trace: Pick<NetworkTrace, "tokenRequests" | "durationMs" | "refreshReason">,
  reason: CacheRefreshReason,
  saved: SaveOutcome | undefined,
  { totalMs, cacheMs } = UNKNOWN,
): TokenResult {
  const asked = trace.tokenRequests > 0;
  return {
    ...result,
    metadata: {
      tokenSource: asked && !result.fromCache ? "identity-provider" : "cache",
      // MSAL knows best why it asked, where it says so.
      cacheRefreshReason: asked ? (trace.refreshReason ?? reason) : "not-applicable",
      cacheLevel: result.fromCache ? "L2" : "none",
      saved: saved ? saved.saved : !asked || result.fromCache,
      nearExpiry: false,
      durationTotalInMs: totalMs,
      durationInCacheInMs: cacheMs,
      durationInHttpInMs: trace.durationMs,
    },
  };
}
