import { expect, test } from "vitest";
import { createOneTier } from "../../src/tiers/one-tier.ts";
import type { Tiers } from "../../src/tiers/tiers.ts";
import { fakeRuntime } from "../adapters/fake-runtime.ts";

const WINDOW_MS = 100_000;
const KEY = "ns:user:a";

function setting({ maxBytes = 1_000_000, slides = false } = {}): {
  runtime: ReturnType<typeof fakeRuntime>;
  tiers: Tiers<{ text: string }>;
  put(key: string, text: string, ifVersion?: string | null): ReturnType<Tiers<{ text: string }>["put"]>;
} {
  const runtime = fakeRuntime();
  const tiers = createOneTier<{ text: string }>({
    codec: {
      encode: (_key, value) => Buffer.from(value.text),
      decode: () => {
        throw new Error("nothing is ever decoded");
      },
      lifetime: () => ({ ttlMs: WINDOW_MS, slides }),
    },
    runtime,
    maxBytes,
  });
  return {
    runtime,
    tiers,
    put: (key, text, ifVersion = null) => tiers.put(key, { text }, { ifVersion, ttlMs: WINDOW_MS }),
  };
}

test("what is put is what is read: the same object, no copy of it", async () => {
  const { tiers } = setting();
  const value = { text: "one" };
  await tiers.put(KEY, value, { ifVersion: null, ttlMs: WINDOW_MS });
  expect(tiers.peek(KEY)).toBe(value);
  expect((await tiers.read(KEY, { fresh: true }))?.value).toBe(value);
});

test("writes compare and swap, and a conflict brings what is there", async () => {
  const { tiers, put } = setting();
  const first = await put(KEY, "one");
  expect(await put(KEY, "two")).toMatchObject({ stored: false, current: { value: { text: "one" } } });
  const version = first.stored ? first.version : "";
  expect(await put(KEY, "two", version)).toMatchObject({ stored: true });
  expect(await tiers.delete(KEY, version)).toBe(false);
  expect(await put("ns:user:b", "x", version)).toEqual({ stored: false, current: undefined });
});

test("it is bounded by bytes: what was used least recently is lost", async () => {
  const { tiers, put } = setting({ maxBytes: 10_000 });
  for (const name of ["a", "b", "c"]) await put(name, "x".repeat(2_000));
  tiers.peek("a");
  await put("d", "x".repeat(2_000));
  expect(tiers.peek("a")).toBeDefined();
  expect(tiers.peek("b")).toBeUndefined();
});

test("a record that does not fit at all is refused, not lost in silence", async () => {
  const { put } = setting({ maxBytes: 2_000 });
  await expect(put(KEY, "x".repeat(2_000))).rejects.toMatchObject({ code: "ERR_STORE_FULL" });
});

test("a record is gone when its time has passed, and pruning finds those that nobody asks for", async () => {
  const { runtime, tiers, put } = setting();
  await put("a", "one");
  await put("b", "two");
  await runtime.advance(WINDOW_MS - 1);
  expect(tiers.peek("a")).toBeDefined();
  await runtime.advance(1);
  expect(tiers.peek("a")).toBeUndefined();
  expect(tiers.prune()).toBe(1);
});

test("use renews what slides", async () => {
  const { runtime, tiers, put } = setting({ slides: true });
  await put(KEY, "one");
  for (let halves = 0; halves < 6; halves += 1) {
    await runtime.advance(WINDOW_MS / 2);
    expect(tiers.peek(KEY)).toBeDefined();
  }
  await runtime.advance(WINDOW_MS);
  expect(tiers.peek(KEY)).toBeUndefined();
});

test("to forget a copy is to lose nothing; closing lets everything go", async () => {
  const { tiers, put } = setting();
  await put(KEY, "one");
  tiers.forget(KEY);
  tiers.clear();
  expect(tiers.peek(KEY)).toBeDefined();
  tiers.close();
  expect(tiers.peek(KEY)).toBeUndefined();
});
