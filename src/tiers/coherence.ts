import type { Backplane } from "../store/backplane.ts";
import type { Runtime } from "../runtime.ts";
import type { Instant } from "./l1.ts";

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

/**
 * The lease under which L1 answers: a change counter that was read less than `boundMs` ago and has not moved
 * proves that nothing this process holds was removed or strengthened before that reading was sent.
 */
export interface CoherenceLease {
  /** The counter last read, while the lease lives; `undefined` otherwise. */
  counter(): string | undefined;
  /** When the counter was last read to be `counter`, also after the lease has lapsed. */
  confirmedAt(counter: string | undefined): Instant | undefined;
  /** Reads the counter in the background once half the lease is used up, so that hits seldom wait. */
  keepAlive(): void;
  /** Reads the counter now; concurrent callers share one reading. Resolves also when the store fails. */
  renew(): Promise<void>;
}

export function createCoherenceLease(
  backplane: Backplane | undefined,
  runtime: Runtime,
  boundMs: number,
): CoherenceLease {
  let lastRead: { readonly counter: string; readonly at: Instant } | undefined;
  let renewing: Promise<void> | undefined;

  async function read(source: Backplane): Promise<void> {
    const at = instantNow(runtime);
    try {
      lastRead = { counter: await source.changeCounter(), at };
    } catch {
      // The lease simply runs out: every copy is then confirmed on its own, or served as fail-safe allows.
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
    counter: () => (lastRead && ageMs(runtime, lastRead.at) < boundMs ? lastRead.counter : undefined),
    confirmedAt: (counter) => (lastRead && lastRead.counter === counter ? lastRead.at : undefined),
    keepAlive() {
      if (!backplane || renewing) return;
      if (!lastRead || ageMs(runtime, lastRead.at) >= boundMs / 2) void renew();
    },
  };
}
