import { expect, test } from "vitest";
import { BOUND_MS, BUDGETS, KEY, stored, tierWorld } from "./support.ts";

test("a write whose answer was lost is found to have landed", async () => {
  const world = tierWorld();
  const node = world.node();
  node.link.loseAnswer("put");
  const version = await stored(node.put("one", null));
  expect(await world.node().tiers.read(KEY)).toMatchObject({ value: "one", version });
  expect(node.failures).toEqual(["put"]);
});

test("a write that did not land, and whose failure is known, is an error and changes nothing", async () => {
  const world = tierWorld();
  const node = world.node();
  node.link.fail("put");
  await expect(node.put("one", null)).rejects.toMatchObject({ retryable: true });
  expect(await node.tiers.read(KEY)).toBeUndefined();
});

test("a write whose outcome nobody can tell is a retryable error, and is not in memory", async () => {
  const world = tierWorld();
  const node = world.node();
  node.link.loseAnswer("put");
  node.link.fail("get");
  await expect(node.put("one", null)).rejects.toMatchObject({ retryable: true });
  expect(node.tiers.peek(KEY)).toBeUndefined();
  expect(await node.tiers.read(KEY)).toMatchObject({ value: "one" });
});

test("a store is told of a write that nobody waits for any more, and of no other", async () => {
  const world = tierWorld();
  const node = world.node();
  const signals: AbortSignal[] = [];
  const put = world.store.put;
  world.store.put = (key, bytes, options) => {
    signals.push(options.signal!);
    return put(key, bytes, options);
  };
  await stored(node.put("one", null));
  const gate = node.link.holdAfter("put");
  const given = expect(node.put("two", "nothing")).rejects.toMatchObject({ retryable: true });
  await gate.arrived;
  node.link.fail("get");
  await world.runtime.advance(BUDGETS.write);
  await given;
  gate.open();
  expect(signals.map(({ aborted }) => aborted)).toEqual([false, true]);
});

test("a write that landed and was overwritten since is a conflict, not a success", async () => {
  const world = tierWorld();
  const node = world.node();
  node.link.loseAnswer("put");
  const gate = node.link.holdBefore("get");
  const write = node.put("mine", null);
  await gate.arrived;
  await world.node().remove("theirs");
  gate.open();
  expect(await write).toMatchObject({ stored: false, current: { value: "theirs" } });
});

test("a conflict says what is there instead, and the next round can use it", async () => {
  const world = tierWorld();
  await stored(world.node().put("theirs", null));
  const node = world.node();
  const result = await node.put("mine", null);
  expect(result).toMatchObject({ stored: false, current: { value: "theirs", level: "L2" } });
  const version = result.stored ? "" : result.current!.version;
  await stored(node.put("merged", version));
  expect(await world.node().tiers.read(KEY)).toMatchObject({ value: "merged" });
});

test("a conflict is resolved by reading where the store does not say what is there", async () => {
  const world = tierWorld();
  await stored(world.node().put("theirs", null));
  const node = world.node();
  const put = world.store.put;
  world.store.put = async (key, bytes, options) => {
    const result = await put(key, bytes, options);
    return result.stored ? result : { stored: false };
  };
  expect(await node.put("mine", null)).toMatchObject({ stored: false, current: { value: "theirs" } });
});

test("a conflict with nothing there says so", async () => {
  const node = tierWorld().node();
  expect(await node.put("mine", "gone")).toEqual({ stored: false, current: undefined });
  expect(node.tiers.peek(KEY)).toBeUndefined();
});

test("what a store says after going back in time is weighed against the copy in memory", async () => {
  const world = tierWorld();
  const codec = {
    encode: (_key: string, value: string) => Buffer.from(value),
    decode: (_key: string, bytes: Uint8Array) => Buffer.from(bytes).toString(),
    reconcile: (_key: string, held: string, read: string) => (read < held ? held : read),
  };
  const node = world.node({ codec }, { backplane: false });
  const version = await stored(node.put("2", null));
  await world.store.put(KEY, Buffer.from("1"), { version: "restored", ifVersion: version, ttlMs: 100_000 });
  await world.runtime.advance(BOUND_MS);
  expect(await node.tiers.read(KEY)).toMatchObject({ value: "2", version: "restored" });
});
