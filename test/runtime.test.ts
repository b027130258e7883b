import { expect, test } from "vitest";
import { systemRuntime } from "../src/runtime.ts";

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
