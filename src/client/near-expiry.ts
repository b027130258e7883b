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

/** What `ask` brings, or what is held while the provider says only "not now". */
export async function orNearExpiry<R extends TokenResult | null>(
  context: ClientContext,
  flow: CachedFlow,
  held: Held,
  ask: () => Promise<R>,
): Promise<R | TokenResult> {
  try {
    return await ask();
  } catch (error) {
    const instead = isAcquisitionError(error) && error.retryable && nearExpiry(context, flow, held);
    if (!instead) throw error;
    return instead;
  }
}
