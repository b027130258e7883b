import { describe, expect, test } from "vitest";
import type { MemoryStore } from "../../src/adapters/memory.ts";
import type { Codec, TiersOptions } from "../../src/tiers/tiers.ts";
import { settle } from "../support/settle.ts";
import { BOUND_MS, KEY, stored, tierWorld, type TierNode, type TierWorld } from "./support.ts";

const WINDOW_MS = 100_000;

function codec(slides: boolean): Codec<string> {
  return {
    encode: (_key, value) => Buffer.from(value),
    decode: (_key, bytes) => Buffer.from(bytes).toString(),
    lifetime: () => ({ ttlMs: WINDOW_MS, slides }),
  };
}

interface Setting {
  readonly world: TierWorld;
  readonly node: TierNode;
  version: string;
  expiresAtMs(): Promise<number | undefined>;
}

async function setting(options: Partial<TiersOptions<string>> = {}): Promise<Setting> {
  const world = tierWorld();
  // Trusted for longer than the window, so that only hits happen.
  const more = { codec: codec(true), coherenceBoundMs: 10 * WINDOW_MS, maxStaleMs: 10 * WINDOW_MS };
  const node = world.node({ ...more, ...options }, { backplane: false });
  const result = await node.tiers.put(KEY, "one", { ifVersion: null, ttlMs: WINDOW_MS });
  if (!result.stored) throw new Error("the write met a conflict");
  node.link.forgetCalls();
  return {
    world,
    node,
    version: result.version,
    async expiresAtMs() {
      const there = await world.store.get(KEY);
      return there === "unchanged" ? undefined : there?.expiresAtMs;
    },
  };
}

/** A process whose copy is trusted for as long as the change counter stands still. */
async function covered({ world }: Setting): Promise<TierNode> {
  const node = world.node({ codec: codec(true) });
  for (let readings = 0; readings < 3; readings += 1) {
    await node.tiers.read(KEY);
    await settle();
    await world.runtime.advance(0.6 * BOUND_MS);
  }
  return node;
}

describe("a copy that is in use", () => {
  test("is kept longer once half the window has passed, and not before", async () => {
    const { world, node, expiresAtMs } = await setting();
    await world.runtime.advance(WINDOW_MS / 2 - 1);
    expect(node.tiers.peek(KEY)).toBe("one");
    expect(node.link.count("touch")).toBe(0);
    await world.runtime.advance(1);
    expect(node.tiers.peek(KEY)).toBe("one");
    await settle();
    expect(node.link.count("touch")).toBe(1);
    expect(await expiresAtMs()).toBe(world.runtime.now() + WINDOW_MS);
  });

  test("is renewed once per half window, however often it is read", async () => {
    const { world, node } = await setting();
    for (let halves = 0; halves < 5; halves += 1) {
      await world.runtime.advance(WINDOW_MS / 2);
      for (let hits = 0; hits < 100; hits += 1) node.tiers.peek(KEY);
      await settle();
      for (let hits = 0; hits < 100; hits += 1) node.tiers.peek(KEY);
    }
    expect(node.link.count("touch")).toBe(5);
    expect(node.link.count("get")).toBe(0);
  });

  test("answers without waiting for that, and stays when the store does not answer", async () => {
    const { world, node } = await setting();
    await world.runtime.advance(WINDOW_MS / 2);
    node.link.fail("touch", { times: 1 });
    expect(node.tiers.peek(KEY)).toBe("one");
    await settle();
    expect(node.tiers.peek(KEY)).toBe("one");
    await world.runtime.advance(WINDOW_MS / 10);
    node.tiers.peek(KEY);
    await settle();
    expect(node.link.count("touch")).toBe(2);
  });

  test("is forgotten when the store no longer has that version", async () => {
    const { world, node, version } = await setting();
    await world.store.delete(KEY, { ifVersion: version });
    await world.runtime.advance(WINDOW_MS / 2);
    node.tiers.peek(KEY);
    await settle();
    expect(node.tiers.peek(KEY)).toBeUndefined();
    expect(await node.tiers.read(KEY)).toBeUndefined();
  });

  test("is renewed also where it is read from the store", async () => {
    const { world } = await setting();
    await world.runtime.advance((WINDOW_MS * 3) / 4);
    const other = world.node({ codec: codec(true) }, { backplane: false });
    await other.tiers.read(KEY);
    await settle();
    expect(other.link.count("touch")).toBe(1);
  });

  test("is kept though somebody writes it again for what it had left, not knowing that it was in use", async () => {
    const made = await setting();
    const { world, version, expiresAtMs } = made;
    const node = await covered(made);
    await world.runtime.advance((WINDOW_MS * 3) / 4);
    const left = { bytes: Buffer.from("one"), ttlMs: WINDOW_MS / 4 };
    await node.tiers.read(KEY);
    await settle();
    expect(node.link.count("touch")).toBe(1);
    // As sealing anew does, which had read before the touch: it tells nobody.
    await world.store.put(KEY, left.bytes, { version: "anew", ifVersion: version, ttlMs: left.ttlMs });
    await world.runtime.advance(BOUND_MS);
    expect(await node.tiers.read(KEY)).toMatchObject({ version: "anew" });
    await settle();
    expect(await expiresAtMs()).toBe(world.runtime.now() + WINDOW_MS);
  });

  test("is confirmed once after it was kept longer, and answers from memory before and after", async () => {
    const made = await setting();
    const { world } = made;
    const node = await covered(made);
    await world.runtime.advance((WINDOW_MS * 3) / 4);
    await node.tiers.read(KEY);
    await settle();
    expect(node.link.count("touch")).toBe(1);
    node.link.forgetCalls();
    expect(node.tiers.peek(KEY)).toBe("one");
    for (let bounds = 0; bounds < 5; bounds += 1) {
      await world.runtime.advance(BOUND_MS);
      expect(await node.tiers.read(KEY)).toMatchObject({ value: "one" });
      expect(node.tiers.peek(KEY)).toBe("one");
    }
    expect(node.link.count("get")).toBe(1);
    expect(node.link.count("touch")).toBe(0);
  });

  test("is read once more also if it was confirmed while it was being kept longer", async () => {
    const made = await setting();
    const { world, version, expiresAtMs } = made;
    const node = await covered(made);
    await world.runtime.advance((WINDOW_MS * 3) / 4);
    const touch = node.link.holdAfter("touch");
    await node.tiers.read(KEY);
    expect(await node.tiers.read(KEY, { fresh: true })).toMatchObject({ value: "one", level: "L2" });
    touch.open();
    await settle();
    await world.store.put(KEY, Buffer.from("one"), {
      version: "anew",
      ifVersion: version,
      ttlMs: WINDOW_MS / 4,
    });
    await world.runtime.advance(BOUND_MS);
    expect(await node.tiers.read(KEY)).toMatchObject({ version: "anew" });
    await settle();
    expect(await expiresAtMs()).toBe(world.runtime.now() + WINDOW_MS);
  });

  test("is kept longer once per half window also without copies in memory, and where the store does not say how long", async () => {
    const { world } = await setting();
    let touches = 0;
    const store: MemoryStore = {
      ...world.store,
      async get(...asked) {
        const found = await world.store.get(...asked);
        // An answer takes a while.
        await world.runtime.advance(3);
        if (!found || found === "unchanged") return found;
        return { bytes: found.bytes, version: found.version };
      },
      touch(...asked) {
        touches += 1;
        return world.store.touch(...asked);
      },
    };
    const node = world.node({ codec: codec(true), store, l1MaxBytes: false });
    for (const expected of [1, 2]) {
      for (let readings = 0; readings < 20; readings += 1) {
        expect(await node.tiers.read(KEY)).toMatchObject({ value: "one" });
        await settle();
      }
      expect(touches).toBe(expected);
      await world.runtime.advance(WINDOW_MS / 2);
    }
  });

  test("tells nobody: renewing is no change", async () => {
    const { world } = await setting();
    const node = world.node({ codec: codec(true) });
    let told = 0;
    world.store.backplane.subscribe(() => {
      told += 1;
    });
    const before = await world.store.backplane.changeCounter();
    await world.runtime.advance((WINDOW_MS * 3) / 4);
    await node.tiers.read(KEY);
    await settle();
    expect(node.link.count("touch")).toBe(1);
    expect(told).toBe(0);
    expect(await world.store.backplane.changeCounter()).toBe(before);
  });

  test("is asked for once, where the store does not say how long it keeps it", async () => {
    const { world } = await setting();
    const get = world.store.get;
    world.store.get = async (key, options) => {
      const there = await get(key, options);
      if (there === undefined || there === "unchanged") return there;
      return { bytes: there.bytes, version: there.version };
    };
    const node = world.node({ codec: codec(true), coherenceBoundMs: 10 * WINDOW_MS }, { backplane: false });
    await node.tiers.read(KEY);
    await settle();
    for (let hits = 0; hits < 10; hits += 1) node.tiers.peek(KEY);
    expect(node.link.count("touch")).toBe(1);
  });
});

test("a record whose retention does not slide is not renewed, and is gone in its time, in memory too", async () => {
  const { world, node } = await setting({ codec: codec(false) });
  await world.runtime.advance(WINDOW_MS - 1);
  expect(node.tiers.peek(KEY)).toBe("one");
  await world.runtime.advance(1);
  expect(node.tiers.peek(KEY)).toBeUndefined();
  expect(await node.tiers.read(KEY)).toBeUndefined();
  expect(node.link.count("touch")).toBe(0);
});

test("fail-safe serves nothing that the store would no longer have", async () => {
  const { world, node } = await setting({ codec: codec(false) });
  node.link.fail("get", { times: Infinity });
  await world.runtime.advance(WINDOW_MS);
  await expect(node.tiers.read(KEY)).rejects.toMatchObject({ retryable: true });
});

test("copies whose time has passed are dropped from memory when asked", async () => {
  const { world, node } = await setting({ codec: codec(false) });
  await world.runtime.advance(WINDOW_MS - 1);
  expect(node.tiers.prune()).toBe(0);
  await world.runtime.advance(1);
  expect(node.tiers.prune()).toBe(1);
});

test("a copy is confirmed by its version without losing how long it is kept", async () => {
  const { world, node, expiresAtMs } = await setting({ coherenceBoundMs: 1_000 });
  for (let i = 0; i < 4; i += 1) {
    await world.runtime.advance(WINDOW_MS / 4);
    await node.tiers.read(KEY);
    await settle();
  }
  expect(node.link.count("touch")).toBe(2);
  expect(await expiresAtMs()).toBe(world.runtime.now() + WINDOW_MS);
  await stored(node.put("two", (await node.tiers.read(KEY))?.version ?? null));
});
