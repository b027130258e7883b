/** What every call to the store has in common: the clock, the check that it is open, and its errors. */
import { TokenkeepError } from "../errors.ts";
import { filesystemFailure } from "./filesystem-errors.ts";
import type { Runtime } from "../runtime.ts";

export interface Calls {
  /** The time that expiry is reckoned by. */
  readonly now: () => number;
  /** @throws {TokenkeepError} ERR_STORE_UNAVAILABLE, retryable; ERR_STORE_FULL; ERR_CLOSED after `close`. */
  readonly call: <T>(operation: string, work: () => Promise<T>, signal?: AbortSignal) => Promise<T>;
  /** @throws {TokenkeepError} ERR_CLOSED. */
  readonly checkOpen: () => void;
  /** Refuses every later call and waits for those that run. */
  readonly close: () => Promise<void>;
}

export function createCalls(runtime: Runtime): Calls {
  const running = new Set<Promise<unknown>>();
  let open = true;
  const checkOpen = (): void => {
    if (!open) throw new TokenkeepError("ERR_CLOSED", "store filesystem: has been closed");
  };
  return {
    now: () => runtime.now(),
    checkOpen,
    async call(operation, work, signal) {
      checkOpen();
      try {
        signal?.throwIfAborted();
        const outcome = work();
        running.add(outcome);
        try {
          return await outcome;
        } finally {
          running.delete(outcome);
        }
      } catch (error) {
        throw filesystemFailure(operation, error);
      }
    },
    async close() {
      open = false;
      await Promise.allSettled(running);
    },
  };
}
