/** Every call to one backend: its budget, its breaker, and what becomes of a failure. */
import { storeFailure, TokenkeepError } from "../errors.ts";
import type { Runtime } from "../runtime.ts";
import { createBreaker, type Breaker, type BreakerOptions, type BreakerState } from "./breaker.ts";
import { createDeadlines } from "./deadlines.ts";

/** What is asked of a store, as errors, events and `onStoreFailure` name it. */
export type StoreOperation =
  | "get"
  | "put"
  | "touch"
  | "delete"
  | "changeCounter"
  | "publish"
  | "lease acquire"
  | "lease renew"
  | "lease release"
  | "activity get"
  | "activity put"
  | "activity delete"
  | "activity list"
  | "replicated"
  | "purge"
  | "keys";

/** How long one call to the store may take, ms. */
export interface StoreBudgets {
  /** For one read, ms. */
  readonly read: number;
  /** For one write, ms. */
  readonly write: number;
}

/** Calls that succeed and fail together: a store may refuse writes and go on answering readers. */
export type CallGroup = "reads" | "writes";

export interface StoreCallsOptions {
  /** The store's name. */
  readonly name: string;
  readonly runtime: Runtime;
  readonly budgets: StoreBudgets;
  /** `false`: every call is made, however many have failed. */
  readonly breaker: BreakerOptions | false;
  /** Told of every call that failed; true asks for one more try within the call's budget. */
  readonly onFailure: (operation: StoreOperation, error: TokenkeepError) => boolean;
  readonly onBreaker?: ((calls: CallGroup, state: BreakerState) => void) | undefined;
}

const STEP_MS = 25;

export interface CallOptions<R> {
  /** Default: that of the group. */
  readonly budgetMs?: number;
  /** False: fails at once also while somebody else tries whether the store is back. Default: waits for that. */
  readonly isPatient?: boolean;
  /** Told of an answer that came after its time. */
  readonly late?: (answer: R) => void;
}

export interface StoreCalls {
  readonly budgets: StoreBudgets;
  /**
   * Makes one call, perhaps twice, and takes no longer than its budget. An answer that comes later counts for
   * nothing: what a write has come to is found by reading its version.
   * @throws {TokenkeepError} retryable; at once, without a call, while the breaker is open.
   */
  run<R>(
    group: CallGroup,
    operation: StoreOperation,
    work: () => Promise<R>,
    options?: CallOptions<R>,
  ): Promise<R>;
  /** Resolves when `work` does, whatever its outcome, or when so much time has passed. */
  waitFor(work: Promise<unknown>, ms: number): Promise<void>;
  /** Lets the next call try, however short ago the last one failed. */
  endPause(): void;
  /** Leaves no timer behind. */
  close(): void;
}

export function createStoreCalls(options: StoreCallsOptions): StoreCalls {
  const { name, runtime, budgets } = options;
  const deadlines = createDeadlines(runtime);
  const groups = options.breaker && {
    reads: createBreaker(options.breaker, runtime, (state) => options.onBreaker?.("reads", state)),
    writes: createBreaker(options.breaker, runtime, (state) => options.onBreaker?.("writes", state)),
  };

  /** A write that cannot be resolved by reading is not begun. */
  function closedTo(group: CallGroup): Breaker | undefined {
    if (!groups) return undefined;
    if (group === "writes" && !groups.reads.allows()) return groups.reads;
    return groups[group].allows() ? undefined : groups[group];
  }

  async function admitted(group: CallGroup, until: number, isPatient: boolean): Promise<void> {
    for (;;) {
      const breaker = closedTo(group);
      if (!breaker) return;
      const trial = breaker.trial();
      const leftMs = until - runtime.monotonicNow();
      if (!isPatient || !trial || leftMs <= 0) throw refused(name, breaker);
      await waitFor(trial, leftMs);
    }
  }

  async function waitFor(work: Promise<unknown>, ms: number): Promise<void> {
    const dueAt = runtime.monotonicNow() + ms;
    await deadlines
      .run({ budgetMs: rounded(ms), dueAt, work: () => work, timeIsUp: () => undefined })
      .catch(() => undefined);
  }

  /** One try. @throws {TokenkeepError} */
  async function attempt<R>(call: Attempt<R>): Promise<R> {
    const { group, operation, budget, left, dueAt, work, late } = call;
    const timeIsUp = (): TokenkeepError => tookTooLong(name, operation, budget);
    const once = (): Promise<R> => deadlines.run({ budgetMs: left, dueAt, work, timeIsUp, late });
    return groups ? groups[group].run(once) : once();
  }

  return {
    budgets,
    async run(group, operation, work, { budgetMs, isPatient = true, late } = {}) {
      const budget = rounded(budgetMs ?? (group === "reads" ? budgets.read : budgets.write));
      const dueAt = runtime.monotonicNow() + budget;
      let left = budget;
      for (let mayRetry = true; ; mayRetry = false) {
        if (closedTo(group)) {
          await admitted(group, dueAt, isPatient);
          left = rounded(dueAt - runtime.monotonicNow());
        }
        try {
          return await attempt({ group, operation, budget, left, dueAt, work, late });
        } catch (error) {
          const failure = storeFailure(name, operation, error);
          const again = options.onFailure(operation, failure);
          left = rounded(dueAt - runtime.monotonicNow());
          if (!again || !mayRetry || runtime.monotonicNow() >= dueAt) throw failure;
        }
      }
    },
    waitFor,
    endPause() {
      if (!groups) return;
      groups.reads.endPause();
      groups.writes.endPause();
    },
    close: () => deadlines.close(),
  };
}

/** What is left of a budget, in steps: each budget has a queue of its own. */
function rounded(ms: number): number {
  return ms < 2 * STEP_MS ? Math.max(1, Math.round(ms)) : Math.round(ms / STEP_MS) * STEP_MS;
}

interface Attempt<R> {
  readonly group: CallGroup;
  readonly operation: StoreOperation;
  readonly budget: number;
  readonly left: number;
  readonly dueAt: number;
  readonly work: () => Promise<R>;
  readonly late: ((answer: R) => void) | undefined;
}

function tookTooLong(store: string, operation: StoreOperation, budget: number): TokenkeepError {
  const message = `store ${store}: ${operation} took longer than ${budget} ms`;
  return new TokenkeepError("ERR_STORE_UNAVAILABLE", message, { retryable: true });
}

function refused(store: string, breaker: Breaker): TokenkeepError {
  const message = `store ${store} is not asked for a moment: it has failed several times in a row`;
  return new TokenkeepError("ERR_STORE_UNAVAILABLE", message, {
    cause: breaker.lastFailure(),
    retryable: true,
  });
}
