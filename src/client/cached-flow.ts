/** What silent, client credentials and on-behalf-of have in common: the cache first, then one call for all. */
import type { Partition } from "../partitions/partition.ts";
import { slotFor, type PartitionPlace, type PartitionState } from "../partitions/partitions.ts";
import type { Authority } from "../msal/issuer.ts";
import type { Runtime } from "../runtime.ts";
import { leaseKey, type ClientContext } from "./context.ts";
import { functionNumber } from "./function-number.ts";
import type { CacheAnswer, CacheSearch } from "./lookup.ts";
import { nearExpiry, orNearExpiry } from "./near-expiry.ts";
import { reasonOf, type Renewal } from "./renewal.ts";
import type { TokenResult } from "./result.ts";

/** A request with what was derived from it once. */
export interface CachedFlow {
  readonly partition: Partition;
  /** The way to it, for whoever asks again and again. */
  readonly place?: PartitionPlace | undefined;
  readonly search: CacheSearch;
  /** The cache may answer: nothing in the request demands a new token, or one of a special kind. */
  readonly mayUseCache: boolean;
  /** A hit does not need them. */
  readonly names: () => RequestNames;
  /** Time spent reading and saving so far, ms; see {@link inCache}. */
  cacheMs: number;
}

/**
 * What a request is called. Requests with the same name must get the same answer: everything that could change it is
 * in it, the authority too, because two clients of one application may have different ones by default.
 */
export interface RequestNames {
  /** Among the clients of a cache. */
  readonly leased: string;
  /**
   * Among those with the same settings (secret, tenants, role) and the same function in the request: others do not
   * share, they lease together.
   */
  readonly shared: string;
}

/** @param credential of the request itself, if it has one; `request` says it where it is a text */
export function requestNames(
  context: ClientContext,
  authority: Authority,
  request: string,
  credential?: unknown,
): RequestNames {
  const leased = `${authority.canonical} ${request}`;
  const own = typeof credential === "function" ? ` ${functionNumber(credential)}` : "";
  return { leased, shared: `${context.settingsName} ${leased}${own}` };
}

/** Runs a reading or a saving of a flow, and notes how long it took. */
export async function inCache<R>(
  context: ClientContext,
  flow: Pick<CachedFlow, "cacheMs">,
  work: () => Promise<R>,
): Promise<R> {
  const { runtime } = context.parts;
  const startedAt = runtime.monotonicNow();
  try {
    return await work();
  } finally {
    flow.cacheMs += runtime.monotonicNow() - startedAt;
  }
}

/** The trusted copy in memory answers, or nobody does: synchronous, without any I/O. */
export function answerFromMemory(context: ClientContext, flow: CachedFlow): CacheAnswer | undefined {
  if (!flow.mayUseCache) return undefined;
  const { partitions, runtime } = context.parts;
  const { partition, place, search } = flow;
  if (!place) {
    const record = partitions.peek(partition);
    return record && context.answers.find(record, "L1", search);
  }
  const nowMs = runtime.now();
  const record = partitions.peekAt(place, nowMs);
  return record && context.answers.findAgain(record, search, slotFor(place, record), nowMs);
}

export function answerFromState(
  context: ClientContext,
  flow: CachedFlow,
  state: PartitionState,
): CacheAnswer {
  if (!flow.mayUseCache) return { result: undefined, reason: "force-refresh-or-claims" };
  if (state.status !== "present") return { result: undefined, reason: "no-cached-access-token" };
  return context.answers.find(state.record, state.level, flow.search);
}

/**
 * One piece of work for all callers who ask for the same at the same time. They share the tokens, not the
 * object: each has its own correlation id, as in MSAL.
 * @param own as `answerOrRun` has it
 */
export function shared<F extends CachedFlow, R extends TokenResult | null>(
  context: ClientContext,
  flow: F,
  own: () => F,
  work: (own: F) => Promise<R>,
): Promise<R> {
  const { partitions, runtime } = context.parts;
  const result = ownResult<R>(runtime, flow.search.correlationId);
  const key = partitions.key(flow.partition);
  const flight = partitions.flights.run(key, flow.names().shared, async () => {
    const kept = own();
    return { result: await work(kept), cacheMs: kept.cacheMs };
  });
  return flight.then(result);
}

/** Whoever waits keeps no more than this: with thousands of them it is most of what the collector has to do. */
function ownResult<R extends TokenResult | null>(
  runtime: Runtime,
  correlationId: string | undefined,
): (shared: { readonly result: R; readonly cacheMs: number }) => R {
  const startedAt = runtime.monotonicNow();
  return ({ result, cacheMs }) =>
    result && {
      ...result,
      correlationId: correlationId ?? result.correlationId,
      metadata: {
        ...result.metadata,
        durationTotalInMs: runtime.monotonicNow() - startedAt,
        durationInCacheInMs: cacheMs,
      },
    };
}

/** How a flow reads, and asks, where it does so as askUnderLease or ahead of time. */
export interface LeasedFlow {
  /** The method that was called. */
  readonly api: string;
  readonly read: () => Promise<PartitionState>;
  readonly ask: (renewal: Renewal) => Promise<TokenResult | null>;
}

/** Under the refresh lease: look once more, then ask the provider. */
export function askUnderLease(
  context: ClientContext,
  flow: CachedFlow,
  { read, ask }: LeasedFlow,
): Promise<TokenResult | null> {
  let state: PartitionState = { status: "absent" };
  let answer: CacheAnswer = { result: undefined, reason: "no-cached-access-token" };
  return context.leases.run<TokenResult | null>({
    key: leaseKey(context, flow.partition, flow.names().leased),
    async recheck() {
      state = await inCache(context, flow, read);
      answer = answerFromState(context, flow, state);
      return answer.result;
    },
    meanwhile: () => nearExpiry(context, flow, { state, reason: reasonOf(answer) }),
    work(guard) {
      const held = { state, reason: reasonOf(answer) };
      return orNearExpiry(context, flow, held, () => ask({ ...held, guard }));
    },
  });
}
