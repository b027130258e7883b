import { describe, expect, test } from "vitest";
import { TokenkeepError } from "../../src/errors.ts";
import { createStoreCalls, type StoreCalls, type StoreCallsOptions } from "../../src/tiers/store-calls.ts";
import { fakeRuntime, type FakeRuntime } from "../adapters/fake-runtime.ts";

const PAUSE_MS = 500;
const down = (): Promise<never> => Promise.reject(new Error("down"));
const up = (): Promise<string> => Promise.resolve("up");
const hang = (): Promise<never> => new Promise(() => undefined);

interface Setting {
  readonly runtime: FakeRuntime;
  readonly calls: StoreCalls;
  readonly failures: string[];
  readonly states: string[];
  /** How often the store was really asked. */
  asked(): number;
  read<R>(work: () => Promise<R>, isPatient?: boolean): Promise<R | string>;
  write<R>(work: () => Promise<R>): Promise<R | string>;
}

function setting(options: Partial<StoreCallsOptions> = {}): Setting {
  const runtime = fakeRuntime();
  const failures: string[] = [];
  const states: string[] = [];
  let asked = 0;
  const calls = createStoreCalls({
    name: "test",
    runtime,
    budgets: { read: 1_000, write: 2_000 },
    breaker: { afterFailures: 3, pauseMs: PAUSE_MS },
    onFailure(operation) {
      failures.push(operation);
      return false;
    },
    onBreaker: (group, state) => void states.push(`${group} ${state}`),
    ...options,
  });
  const counted =
    <R>(work: () => Promise<R>) =>
    (): Promise<R> => {
      asked += 1;
      return work();
    };
  const told = (error: TokenkeepError): string => `${error.code} ${error.message}`;
  return {
    runtime,
    calls,
    failures,
    states,
    asked: () => asked,
    read: (work, isPatient = true) => calls.run("reads", "get", counted(work), { isPatient }).catch(told),
    write: (work) => calls.run("writes", "put", counted(work)).catch(told),
  };
}

async function fail(world: Setting, times: number): Promise<void> {
  for (let i = 0; i < times; i += 1) await world.read(down);
}

describe("a budget", () => {
  test("ends a call with a retryable error that names the store, the operation and the budget", async () => {
    const world = setting();
    const call = world.calls.run("reads", "get", hang).catch((error: unknown) => error);
    await world.runtime.advance(1_000);
    expect(await call).toMatchObject({
      code: "ERR_STORE_UNAVAILABLE",
      retryable: true,
      message: "store test: get took longer than 1000 ms",
    });
  });

  test("is longer for writes", async () => {
    const world = setting();
    const call = world.write(hang);
    await world.runtime.advance(1_999);
    expect(world.failures).toEqual([]);
    await world.runtime.advance(1);
    expect(await call).toContain("2000 ms");
  });
});

describe("onStoreFailure", () => {
  test("may ask for one more try, and for one only", async () => {
    const asked: string[] = [];
    const world = setting({
      onFailure(operation, error) {
        asked.push(`${operation}: ${String((error.cause as Error).message)}`);
        return true;
      },
    });
    expect(await world.read(down)).toContain("ERR_STORE_UNAVAILABLE");
    expect(world.asked()).toBe(2);
    expect(asked).toEqual(["get: down", "get: down"]);
  });

  test("gives the caller what the second try answers", async () => {
    let tries = 0;
    const world = setting({ onFailure: () => true });
    expect(await world.read(() => ((tries += 1) === 1 ? down() : up()))).toBe("up");
  });

  test("gets no second try when the budget is used up, and none beyond it", async () => {
    const world = setting({ onFailure: () => true });
    const call = world.read(hang);
    await world.runtime.advance(1_000);
    expect(await call).toContain("took longer");
    expect(world.asked()).toBe(1);

    let tries = 0;
    const second = world.read(async () => {
      tries += 1;
      if (tries === 2) return hang();
      await new Promise<void>((resolve) => void world.runtime.setTimer(resolve, 600));
      return down();
    });
    await world.runtime.advance(999);
    expect(tries).toBe(2);
    await world.runtime.advance(26);
    expect(await second).toContain("ERR_STORE_UNAVAILABLE");
  });
});

describe("the breaker", () => {
  test("opens after so many failures in a row, and then nobody is kept waiting", async () => {
    const world = setting();
    await fail(world, 2);
    await world.read(up);
    await fail(world, 3);
    expect(world.asked()).toBe(6);
    expect(await world.read(up)).toContain("is not asked for a moment");
    expect(world.asked()).toBe(6);
    expect(world.states).toEqual(["reads open"]);
  });

  test("says what the store failed with last, and tells nobody of calls that were not made", async () => {
    const world = setting();
    await fail(world, 3);
    const error = (await world.calls.run("reads", "get", up).catch((thrown: unknown) => thrown)) as Error;
    expect(error).toMatchObject({ retryable: true, cause: { message: "down" } });
    expect(world.failures).toHaveLength(3);
  });

  test("lets one call try after the pause; the others wait for it, and go on if it succeeds", async () => {
    const world = setting();
    await fail(world, 3);
    await world.runtime.advance(PAUSE_MS);
    const gate = Promise.withResolvers<string>();
    const trial = world.read(() => gate.promise);
    const others = [world.read(up), world.read(up)];
    await world.runtime.advance(10);
    expect(world.asked()).toBe(4);
    gate.resolve("back");
    expect(await Promise.all([trial, ...others])).toEqual(["back", "up", "up"]);
    expect(world.states).toEqual(["reads open", "reads half-open", "reads closed"]);
  });

  test("does not hold up whoever has something else to answer", async () => {
    const world = setting();
    await fail(world, 3);
    await world.runtime.advance(PAUSE_MS);
    void world.read(hang);
    expect(await world.read(up, false)).toContain("is not asked");
    expect(world.asked()).toBe(4);
  });

  test("holds nobody longer than a budget, whatever the trial does", async () => {
    const world = setting();
    await fail(world, 3);
    await world.runtime.advance(PAUSE_MS);
    void world.read(hang);
    const other = world.read(up);
    await world.runtime.advance(1_000);
    expect(await other).toContain("is not asked");
    expect(world.states.slice(1)).toEqual(["reads half-open", "reads open"]);
  });

  test("goes by the monotonic clock: a wall clock that is set back prolongs nothing", async () => {
    const base = fakeRuntime();
    const world = setting({ runtime: { ...base, now: () => -base.monotonicNow() } });
    await fail(world, 3);
    await base.advance(PAUSE_MS);
    expect(await world.read(up)).toBe("up");
  });

  test("knows readers from writers: a store that refuses writes goes on answering", async () => {
    const world = setting();
    for (let i = 0; i < 3; i += 1) await world.write(down);
    expect(await world.write(up)).toContain("is not asked");
    expect(await world.read(up)).toBe("up");
  });

  test("begins no write that could not be resolved by reading", async () => {
    const world = setting();
    await fail(world, 3);
    expect(await world.write(up)).toContain("is not asked");
  });

  test("takes a full store, and a record that cannot be opened, for answers", async () => {
    const world = setting();
    const full = (): Promise<never> =>
      Promise.reject(new TokenkeepError("ERR_STORE_FULL", "full", { retryable: true }));
    for (let i = 0; i < 10; i += 1) await world.write(full);
    expect(await world.write(up)).toBe("up");
  });

  test("is told to let the next call try by whoever replays what waits", async () => {
    const world = setting();
    await fail(world, 3);
    world.calls.endPause();
    expect(await world.read(up)).toBe("up");
  });

  test("can be switched off", async () => {
    const world = setting({ breaker: false });
    await fail(world, 10);
    expect(await world.read(up)).toBe("up");
    expect(world.asked()).toBe(11);
  });
});
