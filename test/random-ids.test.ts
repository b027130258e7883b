import { expect, test } from "vitest";
import { randomId, systemRuntime } from "../src/runtime.ts";

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
