import { describe, expect, test } from "vitest";
import { createDeadlines } from "../../src/tiers/deadlines.ts";
import { fakeRuntime, type FakeRuntime } from "../adapters/fake-runtime.ts";
import { settle } from "../support/settle.ts";

const timeIsUp = (): Error => new Error("time is up");

function setting(): { runtime: FakeRuntime; hang(budgetMs: number): Promise<unknown> } & ReturnType<
  typeof createDeadlines
> {
  const runtime = fakeRuntime();
  const deadlines = createDeadlines(runtime);
  return {
    runtime,
    ...deadlines,
    get waiting() {
      return deadlines.waiting;
    },
    hang: (budgetMs) =>
      deadlines
        .run({
          budgetMs,
          dueAt: runtime.monotonicNow() + budgetMs,
          work: () => new Promise(() => undefined),
          timeIsUp,
        })
        .catch((error: Error) => error.message),
  };
}

test("a call that is never answered ends when its budget is used up, and no earlier", async () => {
  const { runtime, hang } = setting();
  let ended: unknown;
  void hang(100).then((answer) => {
    ended = answer;
  });
  await runtime.advance(99);
  expect(ended).toBeUndefined();
  await runtime.advance(1);
  expect(ended).toBe("time is up");
});

test("a thousand calls with three budgets share one timer, and each ends in its time", async () => {
  const world = setting();
  const ends = new Map<number, number>();
  const budgets = Array.from({ length: 1_000 }, (_, index) => [50, 1_000, 300][index % 3]!);
  for (const budgetMs of budgets) {
    void world.hang(budgetMs).then(() => ends.set(budgetMs, world.runtime.monotonicNow()));
    expect(world.runtime.pendingTimers()).toBe(1);
  }
  expect(world.waiting).toBe(1_000);
  await world.runtime.advance(1_000);
  expect([...ends]).toEqual([
    [50, 50],
    [300, 300],
    [1_000, 1_000],
  ]);
  expect(world.waiting).toBe(0);
});

test("calls that are answered set no timer of their own", async () => {
  const { runtime, run } = setting();
  let timers = 0;
  const counting = createDeadlines({
    ...runtime,
    setTimer(...how) {
      timers += 1;
      return runtime.setTimer(...how);
    },
  });
  for (let i = 0; i < 1_000; i += 1) {
    const dueAt = runtime.monotonicNow() + 1_000;
    await counting.run({ budgetMs: 1_000, dueAt, work: async () => i, timeIsUp });
  }
  expect(timers).toBe(1);
  expect(run).toBeTypeOf("function");
});

test("an answer that comes too late is handed to whoever wants to undo it, and to nobody else", async () => {
  const { runtime, run } = setting();
  const answer = Promise.withResolvers<string>();
  const late: string[] = [];
  const call = run({
    budgetMs: 100,
    dueAt: 100,
    work: () => answer.promise,
    timeIsUp,
    late: (value) => void late.push(value),
  });
  const outcome = call.catch((error: Error) => error.message);
  await runtime.advance(100);
  answer.resolve("granted");
  await settle();
  expect(await outcome).toBe("time is up");
  expect(late).toEqual(["granted"]);
});

test("whoever wants an answer that comes too late may fail at it: nobody else is told, and the process goes on", async () => {
  const { runtime, run } = setting();
  const answer = Promise.withResolvers<string>();
  const late = (): never => {
    throw new TypeError("no lease that was granted");
  };
  const call = run({ budgetMs: 100, dueAt: 100, work: () => answer.promise, timeIsUp, late });
  const outcome = call.catch((error: Error) => error.message);
  await runtime.advance(100);
  // Unhandled, it would fail this file.
  answer.resolve("nothing");
  await settle();
  expect(await outcome).toBe("time is up");
});

describe("a process that stood still", () => {
  test("first reads the answers that came meanwhile, before it blames the store", async () => {
    const { runtime } = setting();
    let stoodMs = 0;
    const deadlines = createDeadlines({
      ...runtime,
      monotonicNow: () => runtime.monotonicNow() + stoodMs,
    });
    const answer = Promise.withResolvers<string>();
    const call = deadlines.run({ budgetMs: 100, dueAt: 100, work: () => answer.promise, timeIsUp });
    const outcome = call.catch((error: Error) => error.message);
    stoodMs = 10_000;
    await runtime.advance(100);
    answer.resolve("here");
    expect(await outcome).toBe("here");
  });

  test("still gives up what has not been answered then", async () => {
    const { runtime } = setting();
    let stoodMs = 0;
    const deadlines = createDeadlines({
      ...runtime,
      monotonicNow: () => runtime.monotonicNow() + stoodMs,
    });
    const work = (): Promise<never> => new Promise(() => undefined);
    const call = deadlines.run({ budgetMs: 100, dueAt: 100, work, timeIsUp });
    const outcome = call.catch((error: Error) => error.message);
    stoodMs = 10_000;
    await runtime.advance(200);
    expect(await outcome).toBe("time is up");
  });
});

test("a timer that fires a trifle early is set again for a whole millisecond, not for nothing at once", async () => {
  const base = fakeRuntime();
  const delays: number[] = [];
  const deadlines = createDeadlines({
    ...base,
    // What is left of the sum of many fractions.
    monotonicNow: () => base.monotonicNow() - 1e-9,
    setTimer(callback, delayMs) {
      delays.push(delayMs);
      return base.setTimer(callback, Math.round(delayMs));
    },
  });
  const work = (): Promise<never> => new Promise(() => undefined);
  const outcome = deadlines
    .run({ budgetMs: 100, dueAt: 100, work, timeIsUp })
    .catch((error: Error) => error.message);
  await base.advance(200);
  expect(await outcome).toBe("time is up");
  expect(Math.min(...delays)).toBeGreaterThanOrEqual(1);
});

test("a call that throws instead of rejecting rejects, and waits no longer", async () => {
  const world = setting();
  const work = (): never => {
    throw new Error("thrown");
  };
  await expect(world.run({ budgetMs: 100, dueAt: 100, work, timeIsUp })).rejects.toThrow("thrown");
  expect(world.waiting).toBe(0);
});

test("closing leaves no timer behind, unless somebody still waits", async () => {
  const world = setting();
  const hanging = world.hang(100);
  world.close();
  expect(world.runtime.pendingTimers()).toBe(1);
  await world.runtime.advance(100);
  expect(await hanging).toBe("time is up");
  await world.run({ budgetMs: 100, dueAt: 200, work: async () => 1, timeIsUp });
  world.close();
  expect(world.runtime.pendingTimers()).toBe(0);
});
