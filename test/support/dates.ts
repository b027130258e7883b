/** The wall clock of everybody in this process: MSAL, the authority and tokenkeep. Timers stay real. */
import { afterEach, beforeEach, vi } from "vitest";

/** Called at the top of a test file: each of its tests has a clock of its own. */
export function steerDates(): void {
  beforeEach(() => {
    vi.useFakeTimers({ toFake: ["Date"], now: Date.UTC(2030, 0, 1) });
  });
  afterEach(() => {
    vi.useRealTimers();
  });
}

export function passTime(ms: number): void {
  vi.setSystemTime(Date.now() + ms);
}

export const MINUTE_MS = 60_000;
export const HOUR_MS = 3_600_000;
