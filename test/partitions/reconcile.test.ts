import { describe, expect, test } from "vitest";
import { fingerprint } from "../../src/blob/provenance.ts";
import { reconcile } from "../../src/partitions/reconcile.ts";
import type { AccountRecord, RemovalMarker, TokenRecord } from "../../src/partitions/record.ts";
import { accessTokensOf, refreshTokenOf, signInBlob } from "./support.ts";

function tokens(name: string, seq: number, generation: number, incarnation = "life"): TokenRecord {
  const provenance = { [fingerprint(`rt-${name}`)]: { grant: 1, generation } };
  return { type: "tokens", incarnation, seq, provenance, blob: signInBlob(name) };
}

function removed(seq: number, incarnation: string | undefined = "life"): RemovalMarker {
  return { type: "removed", incarnation, seq, grant: 1, removedAtMs: 0 };
}

function listing(seq: number, id: string, signedOutAtMs?: number): AccountRecord {
  return { type: "account", seq, signedOutAtMs, partitions: [{ id, kind: "obo", expiresAtMs: 9 }] };
}

describe("what the store says holds", () => {
  test("if it is not older than what this process has seen", () => {
    const stored = tokens("new", 3, 1);
    expect(reconcile(tokens("old", 3, 0), stored)).toBe(stored);
  });

  test("if it is another life's, whatever its number", () => {
    const stored = tokens("new", 1, 0, "another");
    expect(reconcile(tokens("old", 7, 3), stored)).toBe(stored);
    expect(reconcile(removed(7), stored)).toBe(stored);
  });

  test("if it is a sign-out, although an older state of the life was signed out", () => {
    const stored = removed(2);
    expect(reconcile(tokens("held", 7, 3), stored)).toBe(stored);
  });
});

describe("where the store went back in time", () => {
  test("a life that has ended stays ended, however often it was written to since", () => {
    const held = removed(4);
    expect(reconcile(held, tokens("stored", 9, 5))).toBe(held);
  });

  test("the newer refresh token stays, be it the store's or the one in memory", () => {
    const newerStored = reconcile(tokens("held", 3, 1), tokens("stored", 2, 2)) as TokenRecord;
    expect(refreshTokenOf(newerStored)).toBe("rt-stored");
    const newerHeld = reconcile(tokens("held", 3, 2), tokens("stored", 2, 1)) as TokenRecord;
    expect(refreshTokenOf(newerHeld)).toBe("rt-held");
    expect(newerHeld.seq).toBe(3);
    expect(accessTokensOf(newerHeld)).toHaveLength(1);
  });

  test.each([
    [1_000, 2_000],
    [2_000, 1_000],
    [undefined, 2_000],
  ])("the sign-ins of both are known, and the later date of them (%s, %s)", (held, stored) => {
    const known = reconcile(
      { ...tokens("held", 3, 1), signedInAtMs: held, signIns: ["a", "b"] },
      { ...tokens("stored", 2, 2), signedInAtMs: stored, signIns: ["a", "c"] },
    ) as TokenRecord;
    expect(known.signedInAtMs).toBe(2_000);
    expect(known.signIns?.toSorted()).toEqual(["a", "b", "c"]);
  });
});

describe("an account record that began anew after it had expired", () => {
  test("keeps its sign-out, which an older copy in memory knows nothing of", () => {
    const known = reconcile(listing(5, "old"), listing(1, "new", 1_000)) as AccountRecord;
    expect(known.signedOutAtMs).toBe(1_000);
    expect(known.partitions.map((entry) => entry.id)).toEqual(["new", "old"]);
    expect(known.seq).toBe(5);
  });
});
