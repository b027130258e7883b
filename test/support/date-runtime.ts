/** A runtime all of whose clocks go with the date, for tests that steer it (`steerDates`). */
import { systemRuntime, type Runtime } from "../../src/runtime.ts";

/** Timers stay real, and nothing is put off by chance. */
export function dateRuntime(): Runtime {
  return { ...systemRuntime, monotonicNow: () => Date.now(), jitter: () => 0 };
}
