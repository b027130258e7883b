/** The last minutes of a token, in which MSAL counts it as expired: better than none where none can be got. */
import { isAcquisitionError } from "../msal/acquisition-error.ts";
import type { PartitionState } from "../partitions/partitions.ts";
import type { CachedFlow } from "./cached-flow.ts";
import type { ClientContext } from "./context.ts";
import type { CacheRefreshReason, TokenResult } from "./result.ts";

/** What the cache may answer and the record it was looked for in. */
export interface Held {
  readonly state: PartitionState;
  /** Why the provider is asked at all. */
  readonly reason: CacheRefreshReason;
}

/** The cached token that is really valid still, if the application takes one in its last minutes. */
export function nearExpiry(
  context: ClientContext,
  flow: CachedFlow,
  { state, reason }: Held,
): TokenResult | undefined {
  if (!context.serveNearExpiry || !flow.mayUseCache || state.status !== "present") return undefined;
  const { result } = context.answers.find(state.record, state.level, flow.search, 0);
  return (
    result && { ...result, metadata: { ...result.metadata, cacheRefreshReason: reason, nearExpiry: true } }
  );
}

/** After a failure nobody waits for the provider again for this time, ms, who has a token for it. */
const OUTAGE_MS = 5_000;

/** What `ask` brings, or what is held while the provider says only "not now". */
export async function orNearExpiry<R extends TokenResult | null>(
  context: ClientContext,
  flow: CachedFlow,
  held: Held,
  ask: () => Promise<R>,
): Promise<R | TokenResult> {
  const { outages, parts } = context;
  const endpoint = flow.search.authority;
  const isOut = (outages.get(endpoint) ?? -Infinity) > parts.runtime.monotonicNow();
  const atOnce = isOut ? nearExpiry(context, flow, held) : undefined;
  if (atOnce) return atOnce;
  try {
    return await ask();
  } catch (error) {
    if (!isAcquisitionError(error) || !error.retryable) throw error;
    const instead = nearExpiry(context, flow, held);
    if (!instead) throw error;
    outages.set(endpoint, parts.runtime.monotonicNow() + OUTAGE_MS);
    return instead;
  }
}
