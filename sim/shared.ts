/** The clock of those who are nobody's process. */
import type { Runtime } from "../src/runtime.ts";
import { WORLD_START_MS } from "./cast.ts";
import type { ScheduledEvent, Scheduler } from "./scheduler.ts";
import type { World } from "./world.ts";

/** The clock of those who are nobody's process: the provider and the store. */
export function createWorldRuntime(scheduler: Scheduler, prng: World["prng"]): Runtime {
  return {
    now: () => WORLD_START_MS + scheduler.nowMs,
    monotonicNow: () => scheduler.nowMs,
    setTimer: (callback, delayMs) => scheduler.after(delayMs, undefined, callback),
    clearTimer(timer) {
      if (timer) (timer as ScheduledEvent).run = undefined;
    },
    randomBytes: (length) => prng.bytes.bytes(length),
    uuid: () => prng.bytes.uuid(),
    jitter: () => prng.bytes.next(),
  };
}
