/** Keeps long work over a whole store from taking the store away from its users. */
import type { Runtime } from "../runtime.ts";

export interface Pace {
  /** Waits until the next piece of work may be done; ends early if the signal is aborted. */
  next(signal: AbortSignal): Promise<void>;
}

/** A timer for less is not worth its while: what is due by then is done at once. */
const SHORTEST_WAIT_MS = 20;

/** At most `perSecond` pieces of work a second, spread evenly; time that was lost is not caught up with. */
export function createPace(runtime: Runtime, perSecond: number): Pace {
  let dueAtMs = runtime.monotonicNow();
  return {
    async next(signal) {
      const nowMs = runtime.monotonicNow();
      dueAtMs = Math.max(dueAtMs, nowMs - SHORTEST_WAIT_MS) + 1_000 / perSecond;
      const waitMs = dueAtMs - nowMs;
      if (waitMs >= SHORTEST_WAIT_MS) await wait(runtime, waitMs, signal);
    },
  };
}

function wait(runtime: Runtime, ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const end = (): void => {
      runtime.clearTimer(timer);
      signal.removeEventListener("abort", end);
      resolve();
    };
    // Somebody awaits the end of the work: a script must not end before.
    const timer = runtime.setTimer(end, ms, { keepAlive: true });
    if (signal.aborted) end();
    else signal.addEventListener("abort", end);
  });
}
