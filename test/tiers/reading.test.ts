import { expect, test } from "vitest";
import { settle } from "../support/settle.ts";
import { BOUND_MS, KEY, STALE_MS, TTL_MS, stored, tierWorld } from "./support.ts";

test("an L1 hit sends nothing to the store", async () => {
  const node = tierWorld().node();
  await stored(node.put("one", null));
  await node.tiers.read(KEY);
  node.link.forgetCalls();
  for (let i = 0; i < 100; i += 1) {
    expect(node.tiers.peek(KEY)).toBe("one");
    expect(await node.tiers.read(KEY)).toMatchObject({ value: "one", level: "L1" });
  }
  expect(node.link.calls).toEqual([]);
});

test("callers who read one key at once share one load", async () => {
  const world = tierWorld();
  await stored(world.node().put("one", null));
  const node = world.node();
  const reads = await Promise.all(Array.from({ length: 50 }, () => node.tiers.read(KEY)));
  expect(new Set(reads.map((read) => read?.value))).toEqual(new Set(["one"]));
  expect(node.link.count("get")).toBe(1);
});

test("a fresh read does not join a load that began earlier", async () => {
  const world = tierWorld();
  const writer = world.node();
  const version = await stored(writer.put("old", null));
  const node = world.node();
  const gate = node.link.holdAfter("get");
  const early = node.tiers.read(KEY);
  await gate.arrived;
  await stored(writer.put("new", version));
  expect(await node.tiers.read(KEY, { fresh: true })).toMatchObject({ value: "new" });
  gate.open();
  expect(await early).toMatchObject({ value: "old" });
});

test("of two overlapping loads the one sent later stays, whichever answers first", async () => {
  const world = tierWorld();
  const writer = world.node();
  const version = await stored(writer.put("old", null));
  const node = world.node();
  const gate = node.link.holdAfter("get");
  const early = node.tiers.read(KEY);
  await gate.arrived;
  await stored(writer.put("new", version));
  await world.runtime.advance(1);
  await node.tiers.read(KEY, { fresh: true });
  gate.open();
  await early;
  expect(node.tiers.peek(KEY)).toBe("new");
});

test("a load that an invalidation has overtaken is neither kept nor handed out, but done again", async () => {
  const world = tierWorld();
  const writer = world.node();
  await stored(writer.put("old", null));
  const node = world.node();
  const gate = node.link.holdAfter("get");
  const read = node.tiers.read(KEY);
  await gate.arrived;
  await writer.remove();
  gate.open();
  expect(await read).toMatchObject({ value: "removed", level: "L2" });
  expect(node.tiers.peek(KEY)).toBe("removed");
});

test("nobody joins a load that an invalidation has overtaken", async () => {
  const world = tierWorld();
  const writer = world.node();
  await stored(writer.put("old", null));
  const node = world.node();
  const gate = node.link.holdAfter("get");
  const early = node.tiers.read(KEY);
  await gate.arrived;
  await writer.remove();
  expect(await node.tiers.read(KEY)).toMatchObject({ value: "removed" });
  gate.open();
  await early;
});

test("an invalidation during a write makes its result uncacheable", async () => {
  const node = tierWorld().node();
  const gate = node.link.holdAfter("put");
  const write = node.put("one", null);
  await gate.arrived;
  node.tiers.forget(KEY);
  gate.open();
  await stored(write);
  expect(node.tiers.peek(KEY)).toBeUndefined();
});

test("a write spoils loads that began before it", async () => {
  const world = tierWorld();
  const version = await stored(world.node().put("old", null));
  const node = world.node();
  const gate = node.link.holdAfter("get");
  const load = node.tiers.read(KEY);
  await gate.arrived;
  await stored(node.put("new", version));
  gate.open();
  await load;
  expect(node.tiers.peek(KEY)).toBe("new");
});

test("two writes whose answers cross leave nothing older than the store in memory", async () => {
  const world = tierWorld();
  const node = world.node({}, { backplane: false });
  const first = node.link.holdAfter("put");
  const a = node.put("a", null);
  await first.arrived;
  const current = await node.tiers.read(KEY, { fresh: true });
  const second = node.link.holdAfter("put");
  const b = node.put("b", current!.version);
  await second.arrived;
  first.open();
  await stored(a);
  second.open();
  await stored(b);
  expect(node.tiers.peek(KEY) ?? "b").toBe("b");
});

test("a load that meets a deletion does not bring the value back", async () => {
  const world = tierWorld();
  const node = world.node({}, { backplane: false });
  const version = await stored(node.put("one", null));
  const gate = node.link.holdBefore("delete");
  const deletion = node.tiers.delete(KEY, version);
  await gate.arrived;
  await node.tiers.read(KEY);
  gate.open();
  expect(await deletion).toBe(true);
  expect(node.tiers.peek(KEY)).toBeUndefined();
});

test("a value that cannot be decoded is an error each time, and is never cached", async () => {
  const world = tierWorld();
  const node = world.node();
  await world.store.put(KEY, Buffer.from("unreadable"), { version: "v", ifVersion: null, ttlMs: TTL_MS });
  await expect(node.tiers.read(KEY)).rejects.toThrow("cannot be decoded");
  await expect(node.tiers.read(KEY)).rejects.toThrow("cannot be decoded");
  expect(node.tiers.peek(KEY)).toBeUndefined();
});

test("absence is read each time: a sign-in elsewhere is seen at once", async () => {
  const world = tierWorld();
  const node = world.node();
  expect(await node.tiers.read(KEY)).toBeUndefined();
  await stored(world.node().put("one", null));
  expect(await node.tiers.read(KEY)).toMatchObject({ value: "one" });
});

test("memory is bounded by bytes, and the least recently used goes first", async () => {
  const node = tierWorld().node({ l1MaxBytes: 20_000 });
  const value = "x".repeat(3_000);
  const keys = Array.from({ length: 20 }, (_, i) => `ns:user:${i}`);
  for (const key of keys) await node.tiers.put(key, value, { ifVersion: null, ttlMs: TTL_MS });
  const kept = keys.filter((key) => node.tiers.peek(key) !== undefined);
  expect(kept).toEqual(keys.slice(-kept.length));
  expect(kept.length).toBeGreaterThan(1);
  expect(kept.length * 3_000).toBeLessThan(20_000);
});

test("a value larger than the limit is served and not kept", async () => {
  const node = tierWorld().node({ l1MaxBytes: 2_000 });
  await stored(node.put("x".repeat(5_000), null));
  expect(node.tiers.peek(KEY)).toBeUndefined();
  expect((await node.tiers.read(KEY))?.value).toHaveLength(5_000);
});

test("without L1 every read asks the store", async () => {
  const node = tierWorld().node({ l1MaxBytes: false });
  await stored(node.put("one", null));
  node.link.forgetCalls();
  await node.tiers.read(KEY);
  await node.tiers.read(KEY);
  expect(node.link.count("get")).toBe(2);
});

test("while the store fails a copy is served for maxStaleMs after its confirmation, then a retryable error", async () => {
  const world = tierWorld();
  const node = world.node({}, { backplane: false });
  await stored(node.put("one", null));
  node.link.fail("all", { times: Infinity });
  await world.runtime.advance(BOUND_MS);
  expect(await node.tiers.read(KEY)).toMatchObject({ value: "one", level: "stale" });
  await world.runtime.advance(STALE_MS - BOUND_MS - 1);
  expect(await node.tiers.read(KEY)).toMatchObject({ value: "one", level: "stale" });
  await world.runtime.advance(1);
  await expect(node.tiers.read(KEY)).rejects.toMatchObject({
    code: "ERR_STORE_UNAVAILABLE",
    retryable: true,
  });
  expect(node.failures.length).toBeGreaterThan(0);
  node.link.heal();
  expect(await node.tiers.read(KEY)).toMatchObject({ value: "one", level: "L2" });
});

test("maxStaleMs counts from the counter's last reading, not from the first load", async () => {
  const world = tierWorld();
  const node = world.node();
  await node.tiers.read(KEY);
  await settle();
  await stored(node.put("one", null));
  for (let elapsed = 0; elapsed < 2 * STALE_MS; elapsed += BOUND_MS) {
    await world.runtime.advance(BOUND_MS);
    await node.tiers.read(KEY);
  }
  node.link.fail("all", { times: Infinity });
  await world.runtime.advance(STALE_MS - 1);
  expect(await node.tiers.read(KEY)).toMatchObject({ value: "one", level: "stale" });
  await world.runtime.advance(1);
  await expect(node.tiers.read(KEY)).rejects.toMatchObject({ retryable: true });
});

test("without fail-safe the coherence bound is also the bound of an outage", async () => {
  const world = tierWorld();
  const node = world.node({ maxStaleMs: BOUND_MS });
  await stored(node.put("one", null));
  node.link.fail("all", { times: Infinity });
  await world.runtime.advance(BOUND_MS - 2);
  expect(await node.tiers.read(KEY)).toMatchObject({ value: "one", level: "L1" });
  await world.runtime.advance(2);
  await expect(node.tiers.read(KEY)).rejects.toMatchObject({ retryable: true });
});

test("a removal that comes in while the store fails ends what fail-safe has to offer", async () => {
  const world = tierWorld();
  const node = world.node();
  const version = await stored(node.put("one", null));
  await world.runtime.advance(STALE_MS / 2);
  node.link.fail("get", { times: Infinity });
  node.link.fail("changeCounter", { times: Infinity });
  const gate = node.link.holdBefore("get");
  const read = node.tiers.read(KEY);
  await gate.arrived;
  const other = world.node();
  await stored(other.put("removed", version));
  await other.tiers.announce(KEY, "x");
  gate.open();
  await expect(read).rejects.toMatchObject({ retryable: true });
});
