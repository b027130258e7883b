import { expect, test } from "vitest";
import { settle } from "../support/settle.ts";
import { BOUND_MS, BUDGETS, KEY, STALE_MS, stored, tierWorld, type TierNode } from "./support.ts";

/** What a call came to, once it has come to something. */
function outcomeOf<R>(call: Promise<R>): { value?: R; error?: { code?: string; retryable?: boolean } } {
  const outcome: ReturnType<typeof outcomeOf<R>> = {};
  void call.then(
    (value) => {
      outcome.value = value;
    },
    (error: { code?: string }) => {
      outcome.error = error;
    },
  );
  return outcome;
}

function hang(node: TierNode, ...operations: readonly Parameters<TierNode["link"]["holdBefore"]>[0][]): void {
  for (const operation of operations) node.link.holdBefore(operation);
}

test("a store that hangs holds a caller with a copy no longer than one reading, counter and record together", async () => {
  const world = tierWorld();
  const node = world.node();
  await node.tiers.read(KEY);
  await settle();
  await stored(node.put("one", null));
  await world.runtime.advance(BOUND_MS);
  hang(node, "changeCounter", "get");
  const outcome = outcomeOf(node.tiers.read(KEY));
  await world.runtime.advance(BUDGETS.read - 1);
  expect(outcome).toEqual({});
  await world.runtime.advance(1);
  expect(outcome.value).toMatchObject({ value: "one", level: "stale" });
});

test("without a copy the caller is told to try again", async () => {
  const world = tierWorld();
  const node = world.node({}, { backplane: false });
  hang(node, "get");
  const outcome = outcomeOf(node.tiers.read(KEY));
  await world.runtime.advance(BUDGETS.read);
  expect(outcome.error).toMatchObject({ code: "ERR_STORE_UNAVAILABLE", retryable: true });
});

test("an answer that comes after its time is not kept", async () => {
  const world = tierWorld();
  await stored(world.node().put("one", null));
  const node = world.node({}, { backplane: false });
  const gate = node.link.holdAfter("get");
  const outcome = outcomeOf(node.tiers.read(KEY));
  await world.runtime.advance(BUDGETS.read);
  expect(outcome.error).toBeDefined();
  gate.open();
  await settle();
  expect(node.tiers.peek(KEY)).toBeUndefined();
});

test("a write that lands after its time is found by its version, and is what the next one builds on", async () => {
  const world = tierWorld();
  const node = world.node({}, { backplane: false });
  const gate = node.link.holdBefore("put");
  const outcome = outcomeOf(node.put("late", null));
  await world.runtime.advance(BUDGETS.write);
  expect(outcome.error).toMatchObject({ retryable: true });
  gate.open();
  await settle();
  expect(await node.tiers.read(KEY, { fresh: true })).toMatchObject({ value: "late", level: "L2" });
  expect(await node.put("blind", null)).toMatchObject({ stored: false, current: { value: "late" } });
});

test("a write that has landed and whose answer hangs counts as landed", async () => {
  const world = tierWorld();
  const node = world.node({}, { backplane: false });
  node.link.holdAfter("put");
  const outcome = outcomeOf(node.put("one", null));
  await world.runtime.advance(BUDGETS.write);
  await settle();
  expect(outcome.value).toMatchObject({ stored: true });
  expect(node.tiers.peek(KEY)).toBe("one");
});

test("without fail-safe a store that hangs makes the coherence bound the bound", async () => {
  const world = tierWorld();
  const node = world.node({ maxStaleMs: BOUND_MS }, { backplane: false });
  await stored(node.put("one", null));
  await world.runtime.advance(BOUND_MS);
  hang(node, "get");
  const outcome = outcomeOf(node.tiers.read(KEY));
  await world.runtime.advance(BUDGETS.read);
  expect(outcome.error).toBeDefined();
});

test("copies are served while the store hangs until they are too old for that, and not after", async () => {
  const world = tierWorld();
  const node = world.node({}, { backplane: false });
  await stored(node.put("one", null));
  await world.runtime.advance(STALE_MS - BUDGETS.read - 1);
  hang(node, "get");
  const young = outcomeOf(node.tiers.read(KEY));
  await world.runtime.advance(BUDGETS.read);
  expect(young.value).toMatchObject({ level: "stale" });
  hang(node, "get");
  const old = outcomeOf(node.tiers.read(KEY));
  await world.runtime.advance(BUDGETS.read);
  expect(old.error).toBeDefined();
});

test("with the breaker open whoever has a copy gets it at once", async () => {
  const world = tierWorld();
  const calls = { breaker: { afterFailures: 1, pauseMs: 500 } };
  const node = world.node({ calls }, { backplane: false });
  await stored(node.put("one", null));
  await world.runtime.advance(BOUND_MS);
  node.link.fail("get", { times: Infinity });
  expect(await node.tiers.read(KEY)).toMatchObject({ level: "stale" });
  node.link.forgetCalls();
  const many = Array.from({ length: 100 }, () => node.tiers.read(KEY));
  for (const answer of await Promise.all(many)) expect(answer).toMatchObject({ level: "stale" });
  expect(node.link.count("get")).toBe(0);
});

test("what is under way for a key is forgotten when its time is up", async () => {
  const world = tierWorld();
  const node = world.node({}, { backplane: false });
  for (let i = 0; i < 10; i += 1) hang(node, "get");
  const outcomes = Array.from({ length: 10 }, () => outcomeOf(node.tiers.read(KEY, { fresh: true })));
  await world.runtime.advance(BUDGETS.read);
  expect(outcomes.every(({ error }) => error)).toBe(true);
  node.tiers.close();
  expect(world.runtime.pendingTimers()).toBe(0);
});

test("whoever has but a copy that answers nothing waits while somebody tries whether the store is back", async () => {
  const world = tierWorld();
  const breaker = { afterFailures: 1, pauseMs: 100 };
  const codec = {
    encode: (_key: string, value: string): Uint8Array => Buffer.from(value),
    decode: (_key: string, bytes: Uint8Array): string => Buffer.from(bytes).toString(),
    answers: (value: string): boolean => value !== "removed",
  };
  const node = world.node({ calls: { breaker }, codec }, { backplane: false });
  await stored(node.put("removed", null));
  await world.runtime.advance(BOUND_MS);
  node.link.fail("get");
  await node.tiers.read(KEY);
  await world.runtime.advance(breaker.pauseMs);
  const gate = node.link.holdBefore("get");
  void node.tiers.read(`${KEY}-other`);
  await gate.arrived;
  const waiting = outcomeOf(node.tiers.read(KEY));
  await settle();
  expect(waiting).toEqual({});
  gate.open();
  await settle();
  expect(waiting.value).toMatchObject({ value: "removed", level: "L2" });
});

test("who insists on the store's word waits while somebody tries whether it is back; who has a copy does not", async () => {
  const world = tierWorld();
  const breaker = { afterFailures: 1, pauseMs: 100 };
  const node = world.node({ calls: { breaker } }, { backplane: false });
  await stored(node.put("one", null));
  await world.runtime.advance(BOUND_MS);
  node.link.fail("get");
  await node.tiers.read(KEY);
  await world.runtime.advance(breaker.pauseMs);
  const gate = node.link.holdBefore("get");
  const trial = outcomeOf(node.tiers.read(KEY));
  await gate.arrived;
  const [easy, strict] = [
    outcomeOf(node.tiers.read(`${KEY}-other`)),
    outcomeOf(node.tiers.read(KEY, { fresh: true })),
  ];
  await settle();
  expect(strict).toEqual({});
  gate.open();
  await settle();
  expect(trial.value).toMatchObject({ value: "one", level: "L2" });
  expect(strict.value).toMatchObject({ value: "one", level: "L2" });
  expect(easy).toMatchObject({});
});
