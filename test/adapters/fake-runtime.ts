import { systemRuntime, type Runtime, type Timer } from "../../src/runtime.ts";

/** A runtime whose clocks stand still until told; its timers fire, in order, as the time passes them. */
export interface FakeRuntime extends Runtime {
  /** Moves both clocks and fires what is due, letting the code that waits run in between. */
  advance(ms: number): Promise<void>;
  /** Timers that have not fired. */
  pendingTimers(): number;
}

interface PendingTimer {
  readonly callback: () => void;
  readonly dueAt: number;
}

/** Starts at 2024-01-01 UTC; its randomness is real, because versions must never repeat. */
export function fakeRuntime(): FakeRuntime {
  const timers = new Set<PendingTimer>();
  let elapsed = 0;
  return {
    ...systemRuntime,
    now: () => Date.UTC(2024, 0, 1) + elapsed,
    monotonicNow: () => elapsed,
    jitter: () => 0.5,
    setTimer(callback, delayMs): Timer {
      const timer = { callback, dueAt: elapsed + delayMs };
      timers.add(timer);
      return timer;
    },
    clearTimer: (timer) => void timers.delete(timer as PendingTimer),
    pendingTimers: () => timers.size,
    async advance(ms) {
      const until = elapsed + ms;
      // What has just been called may not have got as far as its timer.
      await settle();
      for (;;) {
        const due = [...timers]
          .filter(({ dueAt }) => dueAt <= until)
          .toSorted((a, b) => a.dueAt - b.dueAt)[0];
        if (due === undefined) break;
        elapsed = Math.max(elapsed, due.dueAt);
        timers.delete(due);
        due.callback();
        await settle();
      }
      elapsed = until;
      await settle();
    },
  };
}

/** Lets everything run that is ready to. */
async function settle(): Promise<void> {
  for (let turn = 0; turn < 3; turn += 1) await new Promise((resolve) => setImmediate(resolve));
}
