import { systemRuntime, type Runtime } from "../../src/runtime.ts";

/** The system's clocks and real timers, with clocks that can be moved on: for code that really waits for I/O. */
export interface ShiftedRuntime extends Runtime {
  advance(ms: number): void;
}

export function shiftedRuntime(): ShiftedRuntime {
  let shift = 0;
  return {
    ...systemRuntime,
    now: () => systemRuntime.now() + shift,
    monotonicNow: () => systemRuntime.monotonicNow() + shift,
    advance(ms) {
      shift += ms;
    },
  };
}
