import { expect, test } from "vitest";
import { settle } from "../support/settle.ts";
import { BOUND_MS, BUDGETS, KEY, stored, tierWorld } from "./support.ts";

test("a copy answers for the bound, then the store is asked whether it is still the version", async () => {
  const world = tierWorld();
  const node = world.node({}, { backplane: false });
  await stored(node.put("one", null));
  await world.runtime.advance(BOUND_MS - 2);
  expect(node.tiers.peek(KEY)).toBe("one");
  await world.runtime.advance(2);
  expect(node.tiers.peek(KEY)).toBeUndefined();
  const asked: unknown[] = [];
  const get = world.store.get;
  world.store.get = (key, options) => {
    asked.push(options?.unlessVersion);
    return get(key, options);
  };
  expect(await node.tiers.read(KEY)).toMatchObject({ value: "one", level: "L2" });
  expect(asked).toEqual([expect.any(String)]);
  expect(node.tiers.peek(KEY)).toBe("one");
});

test("the bound is counted by both clocks: a wall clock that jumps ahead ends it", async () => {
  const world = tierWorld();
  let jumpMs = 0;
  const runtime = { ...world.runtime, now: () => world.runtime.now() + jumpMs };
  const node = world.node({ runtime }, { backplane: false });
  await stored(node.put("one", null));
  jumpMs = BOUND_MS;
  expect(node.tiers.peek(KEY)).toBeUndefined();
});

test("the bound is counted by both clocks: a wall clock that is set back does not stretch it", async () => {
  const world = tierWorld();
  let jumpMs = 0;
  const runtime = { ...world.runtime, now: () => world.runtime.now() - jumpMs };
  const node = world.node({ runtime }, { backplane: false });
  await stored(node.put("one", null));
  expect(node.tiers.peek(KEY)).toBe("one");
  jumpMs = 60 * BOUND_MS;
  await world.runtime.advance(BOUND_MS);
  expect(node.tiers.peek(KEY)).toBeUndefined();
});

test("the bound is counted by both clocks: a wall clock that is slow does not stretch it", async () => {
  const world = tierWorld();
  const start = world.runtime.now();
  const runtime = { ...world.runtime, now: () => start + Math.floor((world.runtime.now() - start) / 100) };
  const node = world.node({ runtime }, { backplane: false });
  await stored(node.put("one", null));
  expect(node.tiers.peek(KEY)).toBe("one");
  await world.runtime.advance(BOUND_MS);
  expect(node.tiers.peek(KEY)).toBeUndefined();
});

test("the bound is counted from when a request was sent, not from when it was answered", async () => {
  const world = tierWorld();
  await stored(world.node().put("one", null));
  const calls = { budgets: { ...BUDGETS, read: 2 * BOUND_MS } };
  const node = world.node({ calls }, { backplane: false });
  const gate = node.link.holdAfter("get");
  const read = node.tiers.read(KEY);
  await gate.arrived;
  await world.runtime.advance(BOUND_MS);
  gate.open();
  await read;
  expect(node.tiers.peek(KEY)).toBeUndefined();
});

test("a counter that has not moved extends the trust in a copy without reading it again", async () => {
  const world = tierWorld();
  const node = world.node();
  await node.tiers.read(KEY);
  await settle();
  await stored(node.put("one", null));
  node.link.forgetCalls();
  for (let i = 0; i < 10; i += 1) {
    await world.runtime.advance(BOUND_MS - 1);
    expect(await node.tiers.read(KEY)).toMatchObject({ value: "one", level: "L1" });
  }
  expect(node.link.count("get")).toBe(0);
});

test("a removal elsewhere whose message is lost is seen within the bound", async () => {
  const world = tierWorld();
  const node = world.node();
  node.link.deafen();
  await node.tiers.read(KEY);
  await settle();
  await stored(world.node().put("one", null));
  await node.tiers.read(KEY);
  await world.runtime.advance(BOUND_MS / 2);
  await node.tiers.read(KEY);
  await world.node().remove();
  await world.runtime.advance(BOUND_MS);
  expect(node.tiers.peek(KEY)).toBeUndefined();
  expect(await node.tiers.read(KEY)).toMatchObject({ value: "removed" });
});

test("a removal elsewhere whose message arrives is seen at once", async () => {
  const world = tierWorld();
  const node = world.node();
  await stored(node.put("one", null));
  await world.node().remove();
  expect(node.tiers.peek(KEY)).toBeUndefined();
});

test("a process does not forget its own write for its own message", async () => {
  const world = tierWorld();
  const node = world.node();
  await stored(node.put("one", null));
  await node.remove("two");
  expect(node.tiers.peek(KEY)).toBe("two");
});

test("a lease that has lapsed is not taken for one that lives", async () => {
  const world = tierWorld();
  const node = world.node();
  await node.tiers.read(KEY);
  await settle();
  await stored(node.put("one", null));
  node.link.fail("changeCounter", { times: Infinity });
  await world.runtime.advance(BOUND_MS);
  await node.tiers.read(KEY);
  expect(node.link.count("get")).toBeGreaterThan(1);
});

test("a counter that was read before a pause does not vouch for what happened in it", async () => {
  const world = tierWorld();
  const node = world.node();
  node.link.deafen();
  await node.tiers.read(KEY);
  await settle();
  await stored(node.put("one", null));
  const gate = node.link.holdAfter("changeCounter");
  await world.runtime.advance(BOUND_MS / 2);
  node.tiers.peek(KEY);
  await gate.arrived;
  await world.node().remove();
  await world.runtime.advance(BOUND_MS);
  gate.open();
  await settle();
  expect(node.tiers.peek(KEY)).toBeUndefined();
});

test("callers who wait for the counter share one reading of it", async () => {
  const world = tierWorld();
  const node = world.node();
  await node.tiers.read(KEY);
  await settle();
  await stored(node.put("one", null));
  await world.runtime.advance(BOUND_MS);
  node.link.forgetCalls();
  await Promise.all(Array.from({ length: 20 }, () => node.tiers.read(KEY)));
  expect(node.link.count("changeCounter")).toBe(1);
  expect(node.link.count("get")).toBe(0);
});

test("a removal that could not be announced is an error to whoever removed", async () => {
  const world = tierWorld();
  const node = world.node();
  node.link.fail("publish");
  await expect(node.remove()).rejects.toMatchObject({ code: "ERR_STORE_UNAVAILABLE", retryable: true });
});

test("a closed cache no longer listens", async () => {
  const world = tierWorld();
  const node = world.node();
  await stored(node.put("one", null));
  node.tiers.close();
  await world.node().remove();
  expect(node.tiers.peek(KEY)).toBe("one");
  node.tiers.clear();
  expect(node.tiers.peek(KEY)).toBeUndefined();
});
