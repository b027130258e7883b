/** How long a call may take: one queue and one timer for all of them, because a timer a call is too dear here. */
import type { Runtime, Timer } from "../runtime.ts";

export interface Deadlines {
  /**
   * Settles as `work` does, or rejects with what `timeIsUp` makes when its time is up. A later answer is dropped,
   * unless `late` wants it. A store that throws instead of rejecting is one that rejects. One promise a call: this is
   * on the way of each.
   */
  run<R>(call: Call<R>): Promise<R>;
  /** Calls that have neither been answered nor given up. */
  readonly waiting: number;
  /** Leaves no timer behind, unless somebody still waits. */
  close(): void;
}

export interface Call<R> {
  readonly budgetMs: number;
  /** When that is used up, by the monotonic clock. */
  readonly dueAt: number;
  readonly work: () => Promise<R>;
  readonly timeIsUp: () => unknown;
  /** Told of an answer that came after its time. */
  readonly late?: ((answer: R) => void) | undefined;
  /** What is made of an answer that came in time; to throw is to fail. */
  readonly answered?: ((answer: R) => R) | undefined;
  /** What the caller gets in the place of a failure, also of one of time. Default: the failure. */
  readonly failed?: ((error: unknown) => Promise<R>) | undefined;
}

interface Waiting {
  readonly dueAt: number;
  readonly giveUp: () => void;
}

/** A timer that fires so much too late tells of a process that stood still: the answers may be here already. */
const STALL_MS = 50;
/** So long they then have to be read, before the store is blamed for our own pause. */
const GRACE_MS = 25;

/** Calls with the same budget end in the order in which they began, so that each budget has a queue that is sorted. */
export function createDeadlines(runtime: Runtime): Deadlines {
  const queues = new Map<number, Set<Waiting>>();
  let timer: Timer;
  let firesAt = Number.POSITIVE_INFINITY;
  let isGrace = false;

  function arm(dueAt: number): void {
    if (dueAt >= firesAt) return;
    if (timer !== undefined) runtime.clearTimer(timer);
    firesAt = dueAt;
    // A timer may fire a trifle early: it is never set for less than a clock can tell.
    timer = runtime.setTimer(fire, Math.max(1, dueAt - runtime.monotonicNow()));
  }

  function fire(): void {
    const nowMs = runtime.monotonicNow();
    const isStalled = nowMs - firesAt > STALL_MS && !isGrace;
    timer = undefined;
    firesAt = Number.POSITIVE_INFINITY;
    isGrace = isStalled;
    if (isStalled) return arm(nowMs + GRACE_MS);
    let next = Number.POSITIVE_INFINITY;
    for (const [budgetMs, queue] of queues) {
      next = Math.min(next, giveUpDue(queue, nowMs));
      if (queue.size === 0) queues.delete(budgetMs);
    }
    if (next !== Number.POSITIVE_INFINITY) arm(next);
  }

  function enqueue(budgetMs: number, waiting: Waiting): Set<Waiting> {
    const queue = queues.get(budgetMs) ?? new Set<Waiting>();
    queues.set(budgetMs, queue.add(waiting));
    arm(waiting.dueAt);
    return queue;
  }

  const waiting = (): number => [...queues.values()].reduce((sum, queue) => sum + queue.size, 0);

  return {
    get waiting() {
      return waiting();
    },
    close() {
      if (timer === undefined || waiting() > 0) return;
      runtime.clearTimer(timer);
      timer = undefined;
      firesAt = Number.POSITIVE_INFINITY;
    },
    run: <R>({ budgetMs, dueAt, work, timeIsUp, late, answered, failed }: Call<R>) =>
      new Promise<R>((resolve, reject) => {
        let isOver = false;
        const fail = (error: unknown): void => (failed ? resolve(failed(error)) : reject(error as Error));
        const call: Waiting = {
          dueAt,
          giveUp() {
            isOver = true;
            fail(timeIsUp());
          },
        };
        const queue = enqueue(budgetMs, call);
        const onAnswer = (answer: R): void => {
          queue.delete(call);
          try {
            if (isOver) return late?.(answer);
            resolve(answered ? answered(answer) : answer);
          } catch (error) {
            // What an answer that came too late does to whoever wants it is nobody's failure any more.
            if (!isOver) fail(error);
          }
        };
        const onFailure = (error: unknown): void => {
          queue.delete(call);
          if (!isOver) fail(error);
        };
        try {
          work().then(onAnswer, onFailure);
        } catch (error) {
          onFailure(error);
        }
      }),
  };
}

/** @returns when the first of those that are left is due. */
function giveUpDue(queue: Set<Waiting>, nowMs: number): number {
  for (const waiting of queue) {
    if (waiting.dueAt > nowMs) return waiting.dueAt;
    queue.delete(waiting);
    waiting.giveUp();
  }
  return Number.POSITIVE_INFINITY;
}
