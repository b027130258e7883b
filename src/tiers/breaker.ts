/** Stops asking a backend that fails, and lets one call at a time try whether it is back. */
import { circuitBreaker, CircuitState, ConsecutiveBreaker, handleWhen } from "cockatiel";
import { TokenkeepError } from "../errors.ts";
import type { Runtime } from "../runtime.ts";

export type BreakerState = "open" | "half-open" | "closed";

/** When a store that fails is left alone, and for how long. */
export interface BreakerOptions {
  /** So many failures in a row open it. */
  readonly afterFailures: number;
  /** Then nobody asks for so long, ms; after that one call tries. */
  readonly pauseMs: number;
}

export interface Breaker {
  /** True if a call may be made now; the first after a pause is the one that tries. */
  allows(): boolean;
  /** Settles, always well, when the call that tries has ended; `undefined`: none is under way. */
  trial(): Promise<void> | undefined;
  /** Makes a call as the one that tries, and settles as it does. Only where {@link isClosed} is false. */
  tryOnce<R>(work: () => Promise<R>): Promise<R>;
  /** All is well: calls are made without asking, and what becomes of them is told here. */
  readonly isClosed: boolean;
  succeeded(): void;
  /** Resolves when it has been taken into account. */
  failed(error: unknown): Promise<void>;
  /** Ends a pause: the next call tries. */
  endPause(): void;
  /** What the backend failed with last. */
  lastFailure(): unknown;
}

export function createBreaker(
  { afterFailures, pauseMs }: BreakerOptions,
  runtime: Runtime,
  onChange: (state: BreakerState) => void,
): Breaker {
  const failures = new ConsecutiveBreaker(afterFailures);
  const policy = circuitBreaker(handleWhen(isFailure), {
    breaker: failures,
    // Its own pause goes by the wall clock, which may be set back: ours goes by the runtime's, and comes first.
    halfOpenAfter: Number.NEGATIVE_INFINITY,
  });
  let triesFrom = 0;
  let trial: Promise<void> | undefined;
  policy.onStateChange((state) => {
    if (state === CircuitState.Open) triesFrom = runtime.monotonicNow() + pauseMs;
    onChange(nameOf(state));
  });
  function tryOnce<R>(work: () => Promise<R>): Promise<R> {
    const outcome = policy.execute(work);
    const ended = (): void => {
      trial = undefined;
    };
    trial = outcome.then(ended, ended);
    return outcome;
  }

  return {
    allows() {
      if (policy.state === CircuitState.Closed) return true;
      // Whoever tries is alone.
      return policy.state === CircuitState.Open && runtime.monotonicNow() >= triesFrom;
    },
    trial: () => trial,
    tryOnce,
    get isClosed() {
      return policy.state === CircuitState.Closed;
    },
    // While all is well only failures take the way through the policy, which costs more than the call it guards.
    succeeded() {
      if (failures.state !== 0 && policy.state === CircuitState.Closed) failures.success();
    },
    async failed(error) {
      // One that began before the breaker opened says nothing about the trial that is under way.
      if (policy.state !== CircuitState.Closed) return;
      await policy.execute(() => Promise.reject(error as Error)).catch(() => undefined);
    },
    endPause() {
      triesFrom = 0;
    },
    lastFailure() {
      const failure = policy.lastFailure;
      return failure && "error" in failure ? failure.error : undefined;
    },
  };
}

function nameOf(state: CircuitState): BreakerState {
  if (state === CircuitState.Closed) return "closed";
  return state === CircuitState.HalfOpen ? "half-open" : "open";
}

/** A store that is full, or whose record cannot be opened here, has answered. */
function isFailure(error: unknown): boolean {
  return !(error instanceof TokenkeepError) || error.code === "ERR_STORE_UNAVAILABLE";
}
