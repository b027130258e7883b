/** One clock for everybody in a test: the cache, the provider and MSAL. It moves only when told. */
import { vi } from "vitest";
import { fakeRuntime, type FakeRuntime } from "../adapters/fake-runtime.ts";

/** Long enough for cryptography in other threads to come back before the clock goes on. */
const REAL_MS = 1;

export interface VirtualTime {
  readonly runtime: FakeRuntime;
  /** Lets so much time pass, in small steps. */
  pass(ms: number): Promise<void>;
  /** Lets time pass until `work` has settled. @returns how it did, and how long it took, virtual ms. */
  until<R>(work: Promise<R>): Promise<{ value?: R; error?: unknown; tookMs: number }>;
}

const STEP_MS = 10;

/** With `steerDates()` at the top of the test file. */
export function virtualTime(): VirtualTime {
  const runtime = fakeRuntime();
  vi.setSystemTime(runtime.now());

  async function step(ms: number): Promise<void> {
    await new Promise((resolve) => setTimeout(resolve, REAL_MS));
    await runtime.advance(ms);
    vi.setSystemTime(runtime.now());
  }

  return {
    runtime,
    async pass(ms) {
      for (let left = ms; left > 0; left -= STEP_MS) await step(Math.min(STEP_MS, left));
    },
    async until(work) {
      const began = runtime.monotonicNow();
      let tookMs: number | undefined;
      const settled = work
        .then(
          (value) => ({ value }),
          (error: unknown) => ({ error }),
        )
        .finally(() => {
          tookMs = runtime.monotonicNow() - began;
        });
      while (tookMs === undefined) await step(STEP_MS);
      return { ...(await settled), tookMs };
    },
  };
}
