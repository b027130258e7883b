/** What the tests of the refresh lease share: processes, a provider, and work that is watched. */
import { memoryStore } from "../../src/adapters/memory.ts";
import { TokenkeepError } from "../../src/errors.ts";
import {
  createLeases,
  type LeasedWork,
  type Leases,
  type LeasesOptions,
} from "../../src/partitions/lease.ts";
import { fakeRuntime, type FakeRuntime } from "../adapters/fake-runtime.ts";

export const REQUEST_MS = 30_000;
/** In one-time mode a lease lasts for a request and the save after it. */
export const ONE_TIME_TTL_MS = 40_000;
export const REUSABLE_TTL_MS = 10_000;

export const LOST = { code: "ERR_STORE_UNAVAILABLE", retryable: true };

/** Processes that share a lease, a provider whose answers are counted, and the place where they are kept. */
export function setUp(mode: LeasesOptions["mode"]) {
  const runtime = fakeRuntime();
  const { lease } = memoryStore({ runtime });
  const failures: string[] = [];
  const provider = { calls: 0, busy: 0, most: 0 };
  let kept: string | undefined;

  function process(changes: Partial<LeasesOptions> = {}): Leases {
    return createLeases({
      lease,
      mode,
      requestTimeoutMs: REQUEST_MS,
      runtime,
      onFailure: (operation) => void failures.push(operation),
      ...changes,
    });
  }

  /** Asks the provider, which answers after `answerMs`, and keeps the answer. */
  function renewal(answerMs: number, changes: Partial<LeasedWork<string>> = {}): LeasedWork<string> {
    return {
      key: "partition",
      recheck: async () => kept,
      async work(guard) {
        await guard();
        provider.calls += 1;
        provider.busy += 1;
        provider.most = Math.max(provider.most, provider.busy);
        await wait(runtime, answerMs);
        provider.busy -= 1;
        kept = `token ${provider.calls}`;
        return kept;
      },
      ...changes,
    };
  }

  return {
    runtime,
    lease,
    failures,
    provider,
    process,
    renewal,
    keep: (token: string) => void (kept = token),
  };
}

export function wait(runtime: FakeRuntime, ms: number): Promise<void> {
  return new Promise((resolve) => void runtime.setTimer(resolve, ms));
}

/** The outcome of work that may not have come to an end. */
export function watch<T>(work: Promise<T>): { value?: T; error?: unknown } {
  const seen: { value?: T; error?: unknown } = {};
  work.then(
    (value) => void (seen.value = value),
    (error: unknown) => void (seen.error = error),
  );
  return seen;
}

export function never(): Promise<never> {
  return new Promise(() => {});
}

export function down(): Promise<never> {
  return Promise.reject(new Error("down"));
}

export function unreadable(): Promise<never> {
  return Promise.reject(new TokenkeepError("ERR_STORE_UNAVAILABLE", "down", { retryable: true }));
}
