import type { Backplane } from "../store/backplane.ts";
import type { Runtime } from "../runtime.ts";
import type { Instant } from "./l1.ts";
import type { StoreCalls } from "./store-calls.ts";

/** Milliseconds since `instant`, by whichever clock says more: a paused machine stops only one of them. */
export function ageMs(runtime: Runtime, instant: Instant): number {
  return Math.max(runtime.monotonicNow() - instant.monotonicMs, runtime.now() - instant.wallMs);
}

export function instantNow(runtime: Runtime): Instant {
  return { monotonicMs: runtime.monotonicNow(), wallMs: runtime.now() };
}

/** True if `a` is later than `b`. */
export function isLater(a: Instant, b: Instant): boolean {
  return a.monotonicMs > b.monotonicMs;
}

export function after(instant: Instant, ms: number): Instant {
  return { monotonicMs: instant.monotonicMs + ms, wallMs: instant.wallMs + ms };
}

/** Both clocks, read as seldom as is safe. */
export interface Clock extends Instant {
  /**
   * Reads the clocks; {@link Instant.monotonicMs} may be behind by the rest of this millisecond.
   * @param wallMs the wall clock, if it has just been read
   */
  tick(wallMs?: number): void;
}

/**
 * A hit needs both clocks, and reading one takes longer than finding the copy. Within one millisecond of the wall
 * clock the monotonic one is read once. A wall clock that is set back, or stops with the machine, shows another
 * millisecond right away, so that what is saved is only ever the reading of a clock that has not moved.
 */
export function createClock(runtime: Runtime): Clock {
  let wallMs = Number.NaN;
  let monotonicMs = 0;
  return {
    get wallMs() {
      return wallMs;
    },
    get monotonicMs() {
      return monotonicMs;
    },
    tick(now = runtime.now()) {
      if (now === wallMs) return;
      wallMs = now;
      monotonicMs = runtime.monotonicNow();
    },
  };
}

/** What the clock may be behind, ms; every bound is shorter by that. */
export const CLOCK_STEP_MS = 1;

/**
 * The lease under which L1 answers: a change counter that was read less than `boundMs` ago and has not moved
 * proves that nothing this process holds was removed or strengthened before that reading was sent.
 */
export interface CoherenceLease {
  /** The counter last read, while the lease lives; `undefined` otherwise. The clock has just been read. */
  counter(clock: Clock): string | undefined;
  /** Whether that is still `counter`. */
  covers(counter: string | undefined, clock: Clock): boolean;
  /** When the counter was last read to be `counter`, also after the lease has lapsed. */
  confirmedAt(counter: string | undefined): Instant | undefined;
  /** Reads the counter in the background once half the lease is used up, so that hits seldom wait. */
  keepAlive(clock: Clock): void;
  /** Reads the counter now; concurrent callers share one reading. Resolves also when the store fails. */
  renew(): Promise<void>;
}

const NEVER: Instant = Object.freeze({ monotonicMs: -Infinity, wallMs: -Infinity });

export function createCoherenceLease(
  backplane: Backplane | undefined,
  {
    runtime,
    calls,
    boundMs,
  }: { readonly runtime: Runtime; readonly calls: StoreCalls; readonly boundMs: number },
): CoherenceLease {
  let lastRead: { readonly counter: string; readonly at: Instant } | undefined;
  let until = NEVER;
  let halfTime = NEVER;
  let renewing: Promise<void> | undefined;

  async function read(source: Backplane): Promise<void> {
    const at = instantNow(runtime);
    try {
      const counter = await calls.run("reads", "changeCounter", () => source.changeCounter(), {
        isPatient: false,
      });
      // The same text again is compared faster than an equal one.
      lastRead = { counter: counter === lastRead?.counter ? lastRead.counter : counter, at };
      until = after(at, boundMs - CLOCK_STEP_MS);
      halfTime = after(at, boundMs / 2);
    } catch {
      // The lease simply runs out: every copy is then confirmed on its own, or served as fail-safe allows.
      // Until then hits do not ask again at every turn.
      halfTime = after(instantNow(runtime), boundMs / 8);
    }
  }

  function renew(): Promise<void> {
    if (!backplane) return Promise.resolve();
    renewing ??= read(backplane).finally(() => {
      renewing = undefined;
    });
    return renewing;
  }

  return {
    renew,
    counter: (clock) => (lastRead && isBefore(clock, until) ? lastRead.counter : undefined),
    covers: (counter, clock) =>
      counter !== undefined &&
      lastRead !== undefined &&
      counter === lastRead.counter &&
      isBefore(clock, until),
    confirmedAt: (counter) => (lastRead && lastRead.counter === counter ? lastRead.at : undefined),
    keepAlive(clock) {
      if (backplane && !renewing && !isBefore(clock, halfTime)) void renew();
    },
  };
}

/** Both clocks must agree that it is not over. */
export function isBefore(now: Instant, end: Instant): boolean {
  return now.monotonicMs < end.monotonicMs && now.wallMs < end.wallMs;
}
