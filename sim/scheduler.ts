/** Virtual time: events in the order of their time, each run to its end before the next. */

/** Who an event happens to. A dead one's events never happen, a frozen one's happen when it thaws. */
export interface Actor {
  readonly alive: boolean;
  /** Virtual ms until which nothing happens to this actor. */
  readonly frozenUntil: number;
  /** What its wall clock shows, ms since the epoch. */
  wallMs(): number;
}

export interface ScheduledEvent {
  at: number;
  readonly order: number;
  readonly actor: Actor | undefined;
  /** Cleared when the event is called off. */
  run: (() => void) | undefined;
}

export interface Scheduler {
  /** Virtual ms since the beginning. */
  readonly nowMs: number;
  /** Events that have happened. */
  readonly steps: number;
  /** Whose event is happening: all code that runs now is that actor's. */
  readonly current: Actor | undefined;
  readonly pending: number;
  /** When the next event is due; `undefined`: nothing is. */
  nextAt(): number | undefined;
  after(delayMs: number, actor: Actor | undefined, run: () => void): ScheduledEvent;
  /** Lets one event happen, and everything that follows from it without time passing. @returns false: none left */
  step(): Promise<boolean>;
}

/** MSAL and our own code settle within one turn of the event loop: nothing of theirs waits for real time. */
const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

export function createScheduler(): Scheduler {
  const heap: ScheduledEvent[] = [];
  let nowMs = 0;
  let steps = 0;
  let order = 0;
  let current: Actor | undefined;

  /** The next event that can happen; those that never will are dropped on the way. */
  function due(): ScheduledEvent | undefined {
    for (;;) {
      const event = heap[0];
      if (!event) return undefined;
      if (!event.run || event.actor?.alive === false) {
        pop(heap);
      } else if (event.actor && event.actor.frozenUntil > event.at) {
        pop(heap);
        event.at = event.actor.frozenUntil;
        push(heap, event);
      } else {
        return event;
      }
    }
  }

  return {
    get nowMs() {
      return nowMs;
    },
    get steps() {
      return steps;
    },
    get current() {
      return current;
    },
    get pending() {
      return heap.length;
    },
    nextAt: () => due()?.at,
    after(delayMs, actor, run) {
      const event = { at: nowMs + Math.max(0, delayMs), order: order++, actor, run };
      push(heap, event);
      return event;
    },
    async step() {
      const event = due();
      if (!event) return false;
      pop(heap);
      nowMs = Math.max(nowMs, event.at);
      steps++;
      current = event.actor;
      event.run?.();
      await turn();
      current = undefined;
      return true;
    },
  };
}

function before(a: ScheduledEvent, b: ScheduledEvent): boolean {
  return a.at < b.at || (a.at === b.at && a.order < b.order);
}

function push(heap: ScheduledEvent[], event: ScheduledEvent): void {
  let index = heap.push(event) - 1;
  while (index > 0) {
    const parent = (index - 1) >> 1;
    const above = heap[parent] as ScheduledEvent;
    if (!before(event, above)) break;
    heap[index] = above;
    heap[parent] = event;
    index = parent;
  }
}

function pop(heap: ScheduledEvent[]): void {
  const last = heap.pop();
  if (!last || heap.length === 0) return;
  let index = 0;
  for (;;) {
    const left = 2 * index + 1;
    if (left >= heap.length) break;
    const right = left + 1;
    const child =
      right < heap.length && before(heap[right] as ScheduledEvent, heap[left] as ScheduledEvent)
        ? right
        : left;
    const below = heap[child] as ScheduledEvent;
    if (!before(below, last)) break;
    heap[index] = below;
    index = child;
  }
  heap[index] = last;
}
