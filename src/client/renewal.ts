/** What the flows share that ask the identity provider for a token the cache could not answer. */
import type { AuthenticationResult } from "../msal/types.ts";
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
  /** How many refresh tokens were refused before; each attempt is with another. */
  readonly refused?: number;
  /** Why the state could not be read past L1, if it could not: then nobody is told that there are no tokens. */
  readonly unconfirmed?: unknown;
}

/** What MSAL answered, and how it came about. */
export function withMetadata(
  result: AuthenticationResult,
  trace: { readonly tokenRequests: number; readonly durationMs: number },
  reason: CacheRefreshReason,
  saved: SaveOutcome | undefined,
): TokenResult {
  const asked = trace.tokenRequests > 0;
  return {
    ...result,
    metadata: {
      tokenSource: asked && !result.fromCache ? "identity-provider" : "cache",
      cacheRefreshReason: asked ? reason : "not-applicable",
      cacheLevel: result.fromCache ? "L2" : "none",
      saved: saved ? saved.saved : !asked || result.fromCache,
      nearExpiry: false,
      durationInHttpMs: trace.durationMs,
    },
  };
}
