/** A refresh lease in this process's hands: taken, renewed in the background, checked, given back. */
import { TokenkeepError } from "../errors.ts";
import { randomId, type Runtime, type Timer } from "../runtime.ts";
import type { LeaseResult, RefreshLease } from "../store/refresh-lease.ts";
import { ageMs, instantNow } from "../tiers/coherence.ts";

/**
 * Called right before a request goes to the token endpoint.
 * @throws {TokenkeepError} retryable, if the request must not be sent; then nothing was spent.
 */
export type RequestGuard = () => Promise<void>;

export interface LeaseTerms {
  readonly runtime: Runtime;
  /** What the lease is taken and renewed for, ms. */
  readonly ttlMs: number;
  /** What must be left of it when a request is sent, ms; 0 where a request may go without a lease. */
  readonly requestMs: number;
  /** How long it is renewed after it was taken, and again after a request was let through, ms. */
  readonly maxHoldMs: number;
  /** How long the backend may take for one answer, ms. */
  readonly callMs: number;
  readonly onFailure: (operation: string, error: unknown) => void;
}

export interface HeldLease {
  readonly guard: RequestGuard;
  /** Begins another piece of work under it. @returns false if it is not kept any more: then a new one is needed */
  resume(): boolean;
  /** Ends the renewing and gives the lease back. Never rejects. */
  release(): Promise<void>;
}

/** What asking for a lease came to; "taken" says how long somebody else still has it, where it is known. */
export type Acquisition =
  | { readonly status: "held"; readonly lease: HeldLease }
  | { readonly status: "taken"; readonly remainingMs: number | undefined }
  | { readonly status: "unavailable" };

export async function acquireLease(
  source: RefreshLease,
  key: string,
  terms: LeaseTerms,
): Promise<Acquisition> {
  const { runtime, ttlMs } = terms;
  const owner = randomId(runtime);
  const sentAt = instantNow(runtime);
  const asked = (async (): Promise<LeaseResult> => source.acquire(key, { owner, ttlMs }))();
  try {
    const result = await leaseAnswer(terms.runtime, asked, terms.callMs);
    if (!result.held) return { status: "taken", remainingMs: result.remainingMs };
    return { status: "held", lease: hold(source, { key, owner, sentAt }, terms) };
  } catch (error) {
    terms.onFailure("lease acquire", error);
    // It may have been granted all the same, or still be: nobody shall wait for a holder that does not know.
    void asked
      .catch(() => undefined)
      .then(() => source.release(key, { owner }))
      .catch(() => undefined);
    return { status: "unavailable" };
  }
}

interface Taken {
  readonly key: string;
  readonly owner: string;
  /** When it was asked for: the lease cannot end before `ttlMs` from then. */
  readonly sentAt: ReturnType<typeof instantNow>;
}

function hold(source: RefreshLease, { key, owner, sentAt }: Taken, terms: LeaseTerms): HeldLease {
  const { runtime, ttlMs, requestMs } = terms;
  let confirmedAt = sentAt;
  let renewFrom = runtime.monotonicNow();
  let ended = false;
  let timer: Timer;

  const remainingMs = (): number => (ended ? 0 : ttlMs - ageMs(runtime, confirmedAt));
  const isOverlong = (): boolean => runtime.monotonicNow() - renewFrom >= terms.maxHoldMs;

  async function renew(): Promise<void> {
    const askedAt = instantNow(runtime);
    try {
      if (await leaseAnswer(terms.runtime, source.renew(key, { owner, ttlMs }), terms.callMs))
        confirmedAt = askedAt;
      else ended = true;
    } catch (error) {
      terms.onFailure("lease renew", error);
    }
  }

  function keepRenewing(): void {
    if (ended) return;
    timer = runtime.setTimer(() => {
      // Work that hangs must not keep everybody else out for ever.
      if (!ended && !isOverlong()) void renew().then(keepRenewing);
    }, ttlMs / 3);
  }

  keepRenewing();
  return {
    async guard() {
      if (requestMs === 0) return;
      if (remainingMs() < requestMs && !ended && !isOverlong()) await renew();
      if (remainingMs() < requestMs) throw lost();
      renewFrom = runtime.monotonicNow();
    },
    resume() {
      if (remainingMs() <= 0 || isOverlong()) return false;
      renewFrom = runtime.monotonicNow();
      return true;
    },
    async release() {
      ended = true;
      runtime.clearTimer(timer);
      try {
        await leaseAnswer(terms.runtime, source.release(key, { owner }), terms.callMs);
      } catch (error) {
        terms.onFailure("lease release", error);
      }
    },
  };
}

function lost(): TokenkeepError {
  const message = "the refresh lease was lost before the request was sent; nothing was spent, try again";
  return new TokenkeepError("ERR_STORE_UNAVAILABLE", message, { retryable: true });
}

/** As long as SQLite waits for a lock: whoever is merely slow is not taken for dead. */
export const LEASE_CALL_MS = 6_000;

/** Settles as `call` does, or rejects when its time is up: a backend that never answers is a dead one. */
export function leaseAnswer<T>(runtime: Runtime, call: Promise<T>, callMs = LEASE_CALL_MS): Promise<T> {
  return new Promise((resolve, reject) => {
    const timeIsUp = (): void =>
      reject(
        new TokenkeepError("ERR_STORE_UNAVAILABLE", "the refresh lease did not answer in time", {
          retryable: true,
        }),
      );
    const timer = runtime.setTimer(timeIsUp, callMs, { keepAlive: true });
    void call.then(resolve, reject).finally(() => runtime.clearTimer(timer));
  });
}
