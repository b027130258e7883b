import { expect, test } from "vitest";
import { fakeRuntime } from "../adapters/fake-runtime.ts";
import { createOneTier } from "../../src/tiers/one-tier.ts";
import type { Place } from "../../src/tiers/l1.ts";
import { BOUND_MS, KEY, TTL_MS, stored, tierWorld, type TierNode } from "./support.ts";

const placeOf = (key = KEY): Place<string> => ({ key, slot: undefined });

/** Numbers that seem random, the same in each run. */
function createDice(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (Math.imul(state, 1_103_515_245) + 12_345) >>> 0;
    return Math.floor((state / 2 ** 32) * below);
  };
}

test("a remembered way leads to what a search finds, whatever comes in between", async () => {
  const world = tierWorld();
  const node = world.node({ l1MaxBytes: 5_000 });
  const other = world.node();
  const keys = ["a", "b", "c", "d", "e", "f"];
  const places = keys.map(placeOf);
  const dice = createDice(7);
  const change = async (by: TierNode, key: string, round: number): Promise<void> => {
    const there = await by.tiers.read(key, { fresh: true });
    const how = { ifVersion: there?.version ?? null, ttlMs: 1 + dice(TTL_MS / 100) };
    const result = await by.tiers.put(key, `${key}${round}`, how);
    if (result.stored) await by.tiers.announce(key, result.version);
  };
  let found = 0;
  for (let round = 0; round < 3_000; round += 1) {
    const key = keys[dice(keys.length)]!;
    const what = dice(10);
    if (what < 3) await node.tiers.read(key);
    else if (what === 3) await change(node, key, round);
    else if (what === 4) await change(other, key, round);
    else if (what === 5) node.tiers.forget(key);
    else if (what === 6) await world.runtime.advance(dice(BOUND_MS / 2));
    else if (what === 7) node.tiers.prune();
    else if (what === 8 && dice(20) === 0) node.tiers.clear();
    else await world.runtime.advance(dice(3));
    for (const place of places) {
      const again = node.tiers.peekAt(place, world.runtime.now());
      expect(again, `round ${round}, ${place.key}`).toBe(node.tiers.peek(place.key));
      if (again !== undefined) found += 1;
    }
  }
  expect(found).toBeGreaterThan(3_000);
});

test("a remembered way answers to the millisecond for as long as the store keeps the value", async () => {
  const world = tierWorld();
  const node = world.node();
  const place = placeOf();
  const nowMs = world.runtime.now();
  await world.runtime.advance(1_000 - (nowMs % 1_000));
  await node.tiers.put(KEY, "one", { ifVersion: null, ttlMs: 2_500 });
  for (let ms = 0; ms < 2_500; ms += 100) {
    expect(node.tiers.peekAt(place, world.runtime.now()), `after ${ms} ms`).toBe("one");
    await world.runtime.advance(100);
  }
  expect(node.tiers.peekAt(place, world.runtime.now())).toBeUndefined();
});

test("what is asked for by a remembered way counts as used, and stays when room is needed", async () => {
  const world = tierWorld();
  const node = world.node({ l1MaxBytes: 5_000 });
  const place = placeOf("asked for");
  await node.tiers.put("asked for", "value", { ifVersion: null, ttlMs: TTL_MS });
  // Once the change counter is known, a copy may be trusted for longer than the bound.
  await node.tiers.read("asked for", { fresh: true });
  await node.tiers.read("asked for", { fresh: true });
  for (let other = 0; other < 50; other += 1) {
    expect(node.tiers.peekAt(place, world.runtime.now())).toBe("value");
    await world.runtime.advance(1_000);
    await node.tiers.put(`other ${other}`, "value", { ifVersion: null, ttlMs: TTL_MS });
  }
  expect(node.tiers.peek("other 10")).toBeUndefined();
});

test("a way holds nothing of a value that memory has dropped or replaced, nor of what was made of it", async () => {
  const world = tierWorld();
  const node = world.node();
  const place = placeOf();
  const version = await stored(node.put("one", null));
  node.tiers.peekAt(place, world.runtime.now());
  const first = place.slot!;
  first.memo = "made of one";
  await stored(node.put("two", version));
  expect(first).toMatchObject({ entry: undefined, value: undefined, memo: undefined });
  expect(node.tiers.peekAt(place, world.runtime.now())).toBe("two");
  expect(place.slot).toMatchObject({ value: "two", memo: undefined });
  const second = place.slot!;
  node.tiers.clear();
  expect(second).toMatchObject({ entry: undefined, value: undefined, memo: undefined });
  expect(node.tiers.peekAt(place, world.runtime.now())).toBeUndefined();
});

test("without a store a way leads to what memory has", async () => {
  const runtime = fakeRuntime();
  const codec = { encode: (_key: string, value: string) => Buffer.from(value), decode: String };
  const tiers = createOneTier<string>({ codec, runtime, maxBytes: 10_000 });
  const place = placeOf();
  expect(tiers.peekAt(place, runtime.now())).toBeUndefined();
  await tiers.put(KEY, "one", { ifVersion: null, ttlMs: 1_000 });
  expect(tiers.peekAt(place, runtime.now())).toBe("one");
  await runtime.advance(1_000);
  expect(tiers.peekAt(place, runtime.now())).toBeUndefined();
});
