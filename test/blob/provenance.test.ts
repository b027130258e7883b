import { createHash } from "node:crypto";
import { describe, expect, test } from "vitest";
import { emptyBlob } from "../../src/blob/entities.ts";
import {
  compareProvenance,
  fingerprint,
  highestGrant,
  provenanceAfterRefresh,
  provenanceAfterSignIn,
  provenanceOf,
} from "../../src/blob/provenance.ts";
import { blobOf, refreshToken } from "./fixtures.ts";

const holding = (secret: string, ...more: Parameters<typeof refreshToken>[0][]) =>
  blobOf({ refreshTokens: [refreshToken({ secret }), ...more.map(refreshToken)] });
const origin = (grant: number, generation = 0) => ({ grant, generation });
const known = (entries: Record<string, { grant: number; generation: number }>) =>
  Object.fromEntries(Object.entries(entries).map(([secret, entry]) => [fingerprint(secret), entry]));

test("a fingerprint is the first 128 bits of SHA-256, base64url", () => {
  const digest = createHash("sha256").update("secret").digest().subarray(0, 16);
  expect(fingerprint("secret")).toBe(digest.toString("base64url"));
  expect(fingerprint("secret")).toHaveLength(22);
});

test("grant decides before generation, and no entry is older than any", () => {
  expect(compareProvenance(origin(2), origin(1, 9))).toBeGreaterThan(0);
  expect(compareProvenance(origin(1, 1), origin(1, 2))).toBeLessThan(0);
  expect(compareProvenance(origin(1), origin(1))).toBe(0);
  expect(compareProvenance(undefined, origin(1))).toBeLessThan(0);
  expect(highestGrant(known({ a: origin(3), b: origin(5) }))).toBe(5);
  expect(highestGrant({})).toBe(0);
});

describe("after a sign-in", () => {
  test("every new refresh token has the next grant, and entries of vanished ones are gone", () => {
    const mine = holding("new", { secret: "family", family_id: "1" });
    const result = provenanceAfterSignIn({ base: emptyBlob(), mine, known: known({ old: origin(4, 7) }) });
    expect(result).toEqual(known({ new: origin(5), family: origin(5) }));
  });

  test("a refresh token that is not new keeps what is known of it, also if that is nothing", () => {
    const base = holding("old", { secret: "bare", family_id: "1" });
    const result = provenanceAfterSignIn({ base, mine: base, known: known({ old: origin(4, 7) }) });
    expect(result).toEqual(known({ old: origin(4, 7) }));
  });

  test("a repeated attempt that had been stored keeps its grant; one that had not takes a higher", () => {
    const change = { base: emptyBlob(), mine: holding("new") };
    expect(provenanceAfterSignIn({ ...change, known: known({ new: origin(2) }) })).toEqual(
      known({ new: origin(2) }),
    );
    expect(provenanceAfterSignIn({ ...change, known: known({ other: origin(2) }) })).toEqual(
      known({ new: origin(3) }),
    );
  });
});

describe("after a refresh", () => {
  test("the replacement has its predecessor's grant and the next generation", () => {
    const change = {
      base: holding("old"),
      mine: holding("new"),
      known: known({ old: origin(4, 7), x: origin(9) }),
    };
    expect(provenanceAfterRefresh(change)).toEqual(known({ new: origin(4, 8) }));
  });

  test("a refresh token that stayed keeps its entry", () => {
    const change = { base: holding("old"), mine: holding("old"), known: known({ old: origin(4, 7) }) };
    expect(provenanceAfterRefresh(change)).toEqual(change.known);
  });

  test("one that replaced nothing has the highest grant, at least 1", () => {
    const change = { base: emptyBlob(), mine: holding("new") };
    expect(provenanceAfterRefresh({ ...change, known: {} })).toEqual(known({ new: origin(1) }));
    expect(provenanceAfterRefresh({ ...change, known: known({ x: origin(3, 2) }) })).toEqual(
      known({ new: origin(3) }),
    );
  });

  test("a predecessor without an entry leaves the replacement older than any sign-in", () => {
    const result = provenanceAfterRefresh({ base: holding("old"), mine: holding("new"), known: {} });
    expect(result).toEqual(known({ new: origin(0, 1) }));
  });
});

test("provenanceOf keeps the newer of two entries, and only of tokens that are there", () => {
  const blob = holding("a", { secret: "b", family_id: "1" });
  const result = provenanceOf(blob, known({ a: origin(1, 2), gone: origin(8) }), known({ a: origin(1, 3) }));
  expect(result).toEqual(known({ a: origin(1, 3) }));
});

test("one refresh token under two keys keeps the newer of its entries", () => {
  const base = blobOf({ refreshTokens: [refreshToken({ secret: "old" })] });
  const mine = holding("same", { secret: "same", family_id: "1" });
  const result = provenanceAfterRefresh({ base, mine, known: known({ old: origin(2, 3) }) });
  expect(result).toEqual(known({ same: origin(2, 4) }));
});
