import { expect, test } from "vitest";
import { mergeJson, own, sameJson } from "../../src/blob/json.ts";

test("own sees no inherited names", () => {
  const record: Record<string, unknown> = { mine: 1 };
  expect([own(record, "mine"), own(record, "constructor"), own(record, "toString")]).toEqual([
    1,
    undefined,
    undefined,
  ]);
});

test("sameJson compares by content: order of fields and undefined ones do not count", () => {
  expect(sameJson({ a: [1, { b: null }], c: undefined }, { a: [1, { b: null }] })).toBe(true);
  expect(sameJson({ a: 1, b: 2 }, { b: 2, a: 1 })).toBe(true);
  expect(sameJson({ a: 1 }, { a: 1, b: 2 })).toBe(false);
  expect(sameJson({ a: 1, b: 2 }, { a: 1 })).toBe(false);
  expect(sameJson([1, 2], [2, 1])).toBe(false);
  expect(sameJson([], {})).toBe(false);
  expect(sameJson({ constructor: Object }, {})).toBe(false);
  expect(sameJson(null, undefined)).toBe(false);
});

test("mergeJson applies what mine changed to theirs, field by field, and removes nothing", () => {
  const base = { same: 1, mine: 1, theirs: 1, both: 1, gone: 1 };
  const mine = { same: 1, mine: 2, theirs: 1, both: 2, new: 2 };
  const theirs = { same: 1, mine: 1, theirs: 3, both: 3, gone: 1, other: 3 };
  expect(mergeJson(base, mine, theirs)).toEqual({
    same: 1,
    mine: 2,
    theirs: 3,
    both: 2,
    gone: 1,
    new: 2,
    other: 3,
  });
  expect(mergeJson([1], [2], [3])).toEqual([2]);
  expect(mergeJson([1], [1], undefined)).toBeUndefined();
});
