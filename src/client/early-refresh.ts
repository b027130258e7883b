/**
 * Renewing tokens before they are needed (MSAL's `refreshOn`): in the background, while callers go on with the
 * token they have. MSAL itself makes the caller wait for it, and tries again with every call if it fails (7.2.1).
 */
import { LRUCache } from "lru-cache";
import type { NetworkTrace } from "../msal/network.ts";
import type { PartitionState } from "../partitions/partitions.ts";
import type { Runtime } from "../runtime.ts";
import { answerFromState, type CachedFlow, type LeasedFlow } from "./cached-flow.ts";
import { leaseKey, type ClientContext } from "./context.ts";
import { acquired, notAcquired } from "./observed.ts";
import type { TokenResult } from "./result.ts";

/** What one attempt came to. `elsewhere`: another process is at it. */
type Attempt = "done" | "elsewhere" | "failed";

/** The background refreshes of one client. */
export interface EarlyRefreshes {
  /**
   * Sees to it that `refresh` runs soon, unless it is running, has failed of late, or too much else is. Returns at
   * once, never throws. An attempt that has begun is an operation that closing waits for; a later one is dropped.
   */
  request(name: string, refresh: () => Promise<Attempt>): void;
}

interface Mark {
  readonly failures: number;
  /** Monotonic, ms. */
  readonly untilMs: number;
}

/** Begins within this time: users who come all at once do not ask the provider all at once. */
const JITTER_MS = 1_000;
/** After a failure, doubling; a token is mostly good for hours yet. */
const BACKOFF_FIRST_MS = 30_000;
const BACKOFF_MAX_MS = 600_000;
/** Another process has the lease: by then its result can be seen here. */
const ELSEWHERE_MS = 10_000;
const MAX_AT_ONCE = 32;
const REMEMBERED = 10_000;

/** @param run makes an attempt an operation that closing waits for; rejects when closed */
export function createEarlyRefreshes(
  runtime: Runtime,
  run: <R>(operation: () => Promise<R>) => Promise<R>,
): EarlyRefreshes {
  const marks = new LRUCache<string, Mark>({ max: REMEMBERED });
  const running = new Set<string>();

  async function attempt(name: string, failures: number, refresh: () => Promise<Attempt>): Promise<void> {
    const outcome = await run(refresh).catch((): Attempt => "failed");
    running.delete(name);
    if (outcome === "done") return void marks.delete(name);
    const failed = outcome === "failed";
    const pauseMs = failed ? Math.min(BACKOFF_FIRST_MS * 2 ** failures, BACKOFF_MAX_MS) : ELSEWHERE_MS;
    const untilMs = runtime.monotonicNow() + pauseMs * (0.5 + runtime.jitter() / 2);
    marks.set(name, { failures: failed ? Math.min(failures + 1, 10) : failures, untilMs });
  }

  return {
    request(name, refresh) {
      if (running.size >= MAX_AT_ONCE || running.has(name)) return;
      const mark = marks.get(name);
      if (mark && mark.untilMs > runtime.monotonicNow()) return;
      running.add(name);
      const begin = (): void => void attempt(name, mark?.failures ?? 0, refresh);
      runtime.setTimer(begin, runtime.jitter() * JITTER_MS);
    },
  };
}

const REASON = "proactively-refreshed";

/** True for a cached token past its refresh-on. */
export function isDue(result: TokenResult | null | undefined): boolean {
  return result?.metadata.tokenSource === "cache" && result.metadata.cacheRefreshReason === REASON;
}

/** For a hit that is past its refresh-on. */
export function requestEarlyRefresh(context: ClientContext, flow: CachedFlow, leased: LeasedFlow): void {
  const name = `${context.parts.partitions.key(flow.partition)} ${flow.names().leased}`;
  context.earlyRefreshes.request(name, () => refreshEarly(context, flow, leased));
}

/** Whoever has the lease asks, after a look past L1; nobody waits for it. */
async function refreshEarly(context: ClientContext, flow: CachedFlow, leased: LeasedFlow): Promise<Attempt> {
  const { partitions } = context.parts;
  let state: PartitionState = { status: "absent" };
  const isStillDue = (now: PartitionState): boolean => isDue(answerFromState(context, flow, now).result);
  const outcome = await context.leases.runIfFree<Attempt>({
    key: leaseKey(context, flow.partition, flow.names().leased),
    whenStored: () => partitions.whenStored(flow.partition),
    async recheck() {
      state = await leased.read();
      // What memory says of a store that is down is not enough to spend a refresh token on ahead of time.
      if (state.status === "present" && state.level === "stale") return "failed";
      return isStillDue(state) ? undefined : "done";
    },
    async work(guard) {
      const done = await reported(context, leased, async (trace) => {
        const result = await leased.ask({ state, reason: REASON, guard, trace });
        // MSAL keeps to itself that a refresh ahead of time has failed: what was stored says so.
        return isStillDue(await partitions.read(flow.partition)) ? undefined : result;
      });
      return done ? "done" : "failed";
    },
  });
  return outcome ?? "elsewhere";
}

/** @param work its result, or undefined where MSAL has swallowed the failure */
async function reported(
  context: ClientContext,
  { api }: LeasedFlow,
  work: (trace: (seen: NetworkTrace) => void) => Promise<TokenResult | null | undefined>,
): Promise<boolean> {
  const { runtime, emit } = context.parts;
  const startedAt = runtime.monotonicNow();
  let trace: NetworkTrace | undefined;
  try {
    const result = await work((seen) => void (trace = seen));
    const tookMs = runtime.monotonicNow() - startedAt;
    emit(
      result === undefined
        ? notAcquired(api, { errorCode: trace?.errorCode }, tookMs, true)
        : acquired(api, result && renewedBy(result, trace), tookMs, true),
    );
    return result !== undefined;
  } catch (error) {
    emit(notAcquired(api, error, runtime.monotonicNow() - startedAt, true));
    throw error;
  }
}

/** MSAL answers with the old token, which is from its cache; what was stored is not. */
function renewedBy(result: TokenResult, trace: NetworkTrace | undefined): TokenResult {
  if (!trace?.tokenRequests) return result;
  const metadata = { ...result.metadata, tokenSource: "identity-provider", cacheLevel: "none" } as const;
  return { ...result, metadata };
}
