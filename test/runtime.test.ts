import { expect, test } from "vitest";
import { randomId, systemRuntime } from "../src/runtime.ts";

const UUID_V4 = /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/;

test("ids are random UUIDs of version 4, each another, also where new randomness is fetched", () => {
  const ids = Array.from({ length: 5_000 }, () => systemRuntime.uuid());
  expect(new Set(ids).size).toBe(ids.length);
  expect(ids.filter((id) => !UUID_V4.test(id))).toEqual([]);
});

test("every digit of an id that may vary does, and each of its values about as often as any other", () => {
  const ids = Array.from({ length: 8_000 }, () => systemRuntime.uuid());
  for (let place = 0; place < 36; place += 1) {
    const counts = new Map<string, number>();
    for (const id of ids) counts.set(id.charAt(place), (counts.get(id.charAt(place)) ?? 0) + 1);
    const values = [8, 13, 18, 23, 14].includes(place) ? 1 : place === 19 ? 4 : 16;
    expect(counts.size, `place ${place}`).toBe(values);
    // Six standard deviations around 500: by chance once in a million runs.
    if (values === 16) for (const count of counts.values()) expect(Math.abs(count - 500)).toBeLessThan(130);
  }
});

test("no random byte is given out twice, whatever is asked for in between", () => {
  const taken = new Set<string>();
  const lengths = [16, 4, 12, 32, 1, 16, 0, 7];
  for (let turn = 0; turn < 20_000; turn += 1) {
    const length = lengths[turn % lengths.length]!;
    const bytes = systemRuntime.randomBytes(length);
    expect(bytes).toHaveLength(length);
    if (length < 12) continue;
    const text = Buffer.from(bytes).toString("hex");
    expect(taken.has(text)).toBe(false);
    taken.add(text);
  }
});

test("ids are 22 characters of base64url, each another", () => {
  const ids = Array.from({ length: 10_000 }, () => randomId(systemRuntime));
  expect(new Set(ids).size).toBe(ids.length);
  for (const id of ids) expect(id).toMatch(/^[\w-]{22}$/);
});
