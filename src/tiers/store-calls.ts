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

export interface CallOptions<R> {
  /** Default: that of the group. */
  readonly budgetMs?: number;
  /** False: fails at once also while somebody else tries whether the store is back. Default: waits for that. */
  readonly isPatient?: boolean;
  /** Told of an answer that came after its time. */
  readonly late?: (answer: R) => void;
  /** What is made of an answer; to throw is to say that the store has failed. */
  readonly answered?: (answer: R) => R;
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

  async function admitted({ group, dueAt, isPatient }: Admission): Promise<void> {
    for (;;) {
      const breaker = closedTo(group);
      if (!breaker) return;
      const trial = breaker.trial();
      const leftMs = dueAt - runtime.monotonicNow();
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

  /** One try. While all is well it costs one promise, with its budget and its breaker. */
  function attempt<R>(call: StoreCall<R>, leftMs: number, mayRetry: boolean): Promise<R> {
    const { group, operation, budgetMs, dueAt, work, answered, late } = call;
    const breaker = groups ? groups[group] : undefined;
    const timeIsUp = (): TokenkeepError => tookTooLong(name, operation, budgetMs);
    const timed = { budgetMs: leftMs, dueAt, work, timeIsUp, late };
    if (breaker && !breaker.isClosed) {
      const once = (): Promise<R> => deadlines.run({ ...timed, answered });
      return breaker.tryOnce(once).catch((error: unknown) => afterFailure(call, error, mayRetry));
    }
    return deadlines.run({
      ...timed,
      answered(answer) {
        const accepted = answered ? answered(answer) : answer;
        breaker?.succeeded();
        return accepted;
      },
      async failed(error) {
        await breaker?.failed(error);
        return afterFailure(call, error, mayRetry);
      },
    });
  }

  /** @throws {TokenkeepError} unless it is tried once more, and well */
  async function afterFailure<R>(call: StoreCall<R>, error: unknown, mayRetry: boolean): Promise<R> {
    const failure = storeFailure(name, call.operation, error);
    const again = options.onFailure(call.operation, failure);
    if (!again || !mayRetry || runtime.monotonicNow() >= call.dueAt) throw failure;
    return attemptOnceAdmitted(call, false);
  }

  async function attemptOnceAdmitted<R>(call: StoreCall<R>, mayRetry: boolean): Promise<R> {
    if (closedTo(call.group)) await admitted(call);
    return attempt(call, rounded(call.dueAt - runtime.monotonicNow()), mayRetry);
  }

  return {
    budgets,
    run(group, operation, work, { budgetMs: wantedMs, isPatient = true, late, answered } = {}) {
      const budgetMs = rounded(wantedMs ?? (group === "reads" ? budgets.read : budgets.write));
      const dueAt = runtime.monotonicNow() + budgetMs;
      const call = { group, operation, budgetMs, dueAt, work, isPatient, late, answered };
      return closedTo(group) ? attemptOnceAdmitted(call, true) : attempt(call, budgetMs, true);
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

const STEP_MS = 25;

/** What is left of a budget, in steps: each budget has a queue of its own. */
function rounded(ms: number): number {
  return ms < 2 * STEP_MS ? Math.max(1, Math.round(ms)) : Math.round(ms / STEP_MS) * STEP_MS;
}

/** What decides whether a call is made. */
interface Admission {
  readonly group: CallGroup;
  readonly dueAt: number;
  readonly isPatient: boolean;
}

interface StoreCall<R> extends Admission {
  readonly operation: StoreOperation;
  readonly budgetMs: number;
  readonly work: () => Promise<R>;
  readonly late: ((answer: R) => void) | undefined;
  readonly answered: ((answer: R) => R) | undefined;
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
