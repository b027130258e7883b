/** One process renews, the others wait for what it gets: the refresh lease around a call to the provider. */
import { isRetryable, TokenkeepError } from "../errors.ts";
import { sleep, type Runtime } from "../runtime.ts";
import type { RefreshLease } from "../store/refresh-lease.ts";
import {
  acquireLease,
  LEASE_CALL_MS,
  type Acquisition,
  type HeldLease,
  type LeaseTerms,
  type RequestGuard,
} from "./held-lease.ts";

export type { RequestGuard } from "./held-lease.ts";

/**
 * How refresh tokens behave at the identity provider. `reusable`: an old one stays valid for a while (Entra
 * ID), so an extra call costs little. `one-time`: a second use is refused, and may end the user's session.
 */
export type RefreshTokenMode = "reusable" | "one-time";

export interface LeasedWork<R> {
  /**
   * Names what is renewed; callers with the same name wait for each other. In one-time mode it must name the
   * partition, because every request of it spends the same refresh token.
   */
  readonly key: string;
  /**
   * Looks again, past L1: somebody else may have got it meanwhile. Remembers what it read for `work`, whose
   * refresh token is the newest that was seen, not the one from before the wait.
   */
  readonly recheck: () => Promise<R | undefined>;
  /** What may be answered instead of waiting, e.g. a token that is still valid for a little. */
  readonly meanwhile?: () => R | undefined;
  /** Asks the provider and saves the answer. Calls `guard` right before each request is sent. */
  readonly work: (guard: RequestGuard) => Promise<R>;
  /**
   * Asked at the end: settles once the store has all that this process has got; `undefined` if it has it already. In
   * one-time mode the lease is kept until then, because others would spend once more what is spent; this process
   * goes on.
   */
  readonly whenStored?: () => Promise<void> | undefined;
}

/** What is done under a lease; how to wait for it is somebody else's. */
type RecheckedWork<R> = Pick<LeasedWork<R>, "key" | "recheck" | "work" | "whenStored">;

export interface Leases {
  /**
   * What `recheck`, `meanwhile` or `work` answered; `recheck` always comes before `work`, except for whoever
   * has waited too long and has just looked. With a healthy backend one `work` per key runs at a time;
   * with a dead one (or none) everybody works. In reusable mode also whoever has waited for longer than any
   * request takes.
   * @throws {TokenkeepError} ERR_STORE_UNAVAILABLE, retryable, in one-time mode: the lease was lost before the
   * request was sent, somebody else kept it for too long, or `recheck` failed. Nothing was spent then.
   */
  run<R>(leased: LeasedWork<R>): Promise<R>;
  /**
   * For what can wait: the same without waiting for anybody. `undefined` if somebody else has the lease, or the
   * backend cannot say so. Without a backend everybody works.
   * @throws what `recheck` throws
   */
  runIfFree<R>(leased: RecheckedWork<R>): Promise<R | undefined>;
}

/** See {@link LeasedWork.whenStored}. */
export type KeptLeases = Map<string, HeldLease>;

export interface LeasesOptions {
  /** Absent: every process renews by itself. */
  readonly lease: RefreshLease | undefined;
  readonly mode: RefreshTokenMode;
  /** How long the provider may take for one answer, ms: a holder that lives has the lease for longer. */
  readonly requestTimeoutMs: number;
  readonly runtime: Runtime;
  /** Leases that outlast their work, by key; shared by all clients of a cache. Default: of their own. */
  readonly kept?: KeptLeases | undefined;
  /** Told of every call to the backend, and every `recheck` while waiting, that failed. */
  readonly onFailure: (operation: string, error: unknown) => void;
}

/** Room for the save that follows the provider's answer, ms. */
const SAVE_MARGIN_MS = 10_000;
/** Room for the way to the socket, ms. */
const SEND_MARGIN_MS = 1_000;
/**
 * Where a second use of a refresh token is harmless, others need not wait longer than this for a holder that
 * died; one that lives renews. Where it is not, a lease outlasts a whole request.
 */
const REUSABLE_TTL_MS = 10_000;
const POLL_FIRST_MS = 20;
const POLL_MAX_MS = 250;

const free: RequestGuard = () => Promise.resolve();

export function createLeases(options: LeasesOptions): Leases {
  const { lease, runtime, mode, kept = new Map<string, HeldLease>() } = options;
  const terms = termsFor(options);
  const patienceMs = (mode === "one-time" ? 2 : 1) * workMs(options);

  async function run<R>(leased: LeasedWork<R>): Promise<R> {
    if (!lease) return (await lastLook(leased)) ?? leased.work(free);
    const startedAt = runtime.monotonicNow();
    for (let pauseMs = POLL_FIRST_MS; ; pauseMs = Math.min(pauseMs * 2, POLL_MAX_MS)) {
      const asked = await obtain(lease, leased.key);
      if (asked.status === "held") return underLease(asked.lease, leased, lastLook);
      if (asked.status === "unavailable") return (await lastLook(leased)) ?? leased.work(free);
      const instead = leased.meanwhile?.() ?? (await look(leased));
      if (instead !== undefined) return instead;
      const patienceLeftMs = patienceMs - (runtime.monotonicNow() - startedAt);
      if (patienceLeftMs <= 0) return outOfPatience(leased);
      // Whoever waits is there when the holder's time is up.
      const { remainingMs = Number.POSITIVE_INFINITY } = asked;
      const wantedMs = pauseMs * (0.5 + runtime.jitter());
      await sleep(runtime, Math.min(wantedMs, Math.max(remainingMs, POLL_FIRST_MS), patienceLeftMs));
    }
  }

  /** Ours, if it was kept; else the backend's. */
  async function obtain(source: RefreshLease, key: string): Promise<Acquisition> {
    const own = kept.get(key);
    kept.delete(key);
    if (own?.resume()) return { status: "held", lease: own };
    await own?.release();
    return acquireLease(source, key, terms);
  }

  /** What keeps others from work that they would do with what is spent. */
  function keepUntil(key: string, held: HeldLease, stored: Promise<void>): void {
    kept.set(key, held);
    void stored.then(() => {
      // Somebody of this process may have taken it over.
      if (kept.get(key) !== held) return;
      kept.delete(key);
      void held.release();
    });
  }

  async function underLease<R>(
    held: HeldLease,
    leased: RecheckedWork<R>,
    lookAgain: (leased: RecheckedWork<R>) => Promise<R | undefined>,
  ): Promise<R> {
    try {
      // Whoever had the lease before us may just have finished what we came for.
      return (await lookAgain(leased)) ?? (await leased.work(held.guard));
    } finally {
      const stored = mode === "one-time" ? leased.whenStored?.() : undefined;
      if (stored) keepUntil(leased.key, held, stored);
      else await held.release();
    }
  }

  async function runIfFree<R>(leased: RecheckedWork<R>): Promise<R | undefined> {
    if (!lease) return (await leased.recheck()) ?? leased.work(free);
    const asked = await obtain(lease, leased.key);
    return asked.status === "held" ? underLease(asked.lease, leased, () => leased.recheck()) : undefined;
  }

  /** Before a request. What cannot be read might be a newer refresh token, which only one-time mode minds. */
  function lastLook<R>(leased: RecheckedWork<R>): Promise<R | undefined> {
    return mode === "one-time" ? leased.recheck() : look(leased);
  }

  /** One reading that fails is no reason to give up: the holder may be about to bring the answer. */
  async function look<R>(leased: RecheckedWork<R>): Promise<R | undefined> {
    try {
      return await leased.recheck();
    } catch (error) {
      if (!isRetryable(error)) throw error;
      options.onFailure("lease recheck", error);
      return undefined;
    }
  }

  function outOfPatience<R>(leased: LeasedWork<R>): Promise<R> {
    if (mode === "reusable") return leased.work(free);
    const message = "another process has kept the refresh lease for too long; nothing was spent, try again";
    throw new TokenkeepError("ERR_STORE_UNAVAILABLE", message, { retryable: true });
  }

  return { run, runIfFree };
}

/** A request and what follows it. */
function workMs({ requestTimeoutMs }: LeasesOptions): number {
  return requestTimeoutMs + SAVE_MARGIN_MS;
}

function termsFor(options: LeasesOptions): LeaseTerms {
  const { mode, requestTimeoutMs, runtime, onFailure } = options;
  const longestMs = workMs(options);
  return {
    runtime,
    onFailure,
    ttlMs: mode === "one-time" ? longestMs : Math.min(longestMs, REUSABLE_TTL_MS),
    requestMs: mode === "one-time" ? requestTimeoutMs + SEND_MARGIN_MS : 0,
    maxHoldMs: 2 * longestMs,
    callMs: LEASE_CALL_MS,
  };
}
