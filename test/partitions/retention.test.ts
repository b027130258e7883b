import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { emptyBlob, type CacheBlob } from "../../src/blob/entities.ts";
import type { PartitionKind } from "../../src/partitions/partition.ts";
import type { TokenRecord } from "../../src/partitions/record.ts";
import { defaultRetention, isRenewedByUse, ttlOf, type Retention } from "../../src/partitions/retention.ts";

const NOW_MS = Date.UTC(2024, 0, 1);
const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;

/** Access tokens that end so many ms from now. */
function tokens(endsInMs: readonly number[], signedInAtMs?: number): TokenRecord {
  const AccessToken = Object.fromEntries(
    endsInMs.map((ms, index) => [
      `at-${index}`,
      { expires_on: String(Math.floor((NOW_MS + ms) / 1000)) } as CacheBlob["AccessToken"][string],
    ]),
  );
  const blob = { ...emptyBlob(), AccessToken };
  return { type: "tokens", incarnation: "i", seq: 1, provenance: {}, blob, signedInAtMs };
}

function ttl(kind: PartitionKind, record: TokenRecord, retention: Partial<Retention> = {}): number {
  return ttlOf(kind, record, NOW_MS, { ...defaultRetention, ...retention });
}

test("a user's record is kept as long as a refresh token lives unused: 90 days", () => {
  expect(ttl("user", tokens([HOUR_MS]))).toBe(90 * DAY_MS);
  expect(ttl("long-running", tokens([HOUR_MS]))).toBe(90 * DAY_MS);
});

test("a session's record is kept as long as the session", () => {
  expect(ttl("session", tokens([HOUR_MS]), { sessionTtlMs: 8 * HOUR_MS })).toBe(8 * HOUR_MS);
});

test.each(["app", "obo"] as const)(
  "what is in the %s partition is kept until its last access token ends",
  (kind) => {
    expect(ttl(kind, tokens([HOUR_MS, 3 * HOUR_MS, 2 * HOUR_MS]))).toBe(3 * HOUR_MS);
  },
);

test("nothing is kept for less than a minute: it must outlive its own write", () => {
  expect(ttl("app", tokens([-HOUR_MS]))).toBe(60_000);
  expect(ttl("app", tokens([]))).toBe(60_000);
});

test("an absolute limit ends a record so long after its latest sign-in, however often it is used", () => {
  const record = tokens([HOUR_MS], NOW_MS - 5 * HOUR_MS);
  expect(ttl("user", record, { absoluteTtlMs: 8 * HOUR_MS })).toBe(3 * HOUR_MS);
  expect(ttl("user", tokens([HOUR_MS]), { absoluteTtlMs: 8 * HOUR_MS })).toBe(90 * DAY_MS);
});

describe("use renews", () => {
  test("what holds a refresh token, and nothing else", () => {
    const renewed = (["user", "long-running", "session", "app", "obo", "account", "flow"] as const).filter(
      (kind) => isRenewedByUse(kind, tokens([HOUR_MS]), defaultRetention),
    );
    expect(renewed).toEqual(["user", "long-running", "session"]);
  });

  test("nothing where retention does not slide, and no removal marker", () => {
    expect(isRenewedByUse("user", tokens([HOUR_MS]), { ...defaultRetention, sliding: false })).toBe(false);
    const marker = { type: "removed", incarnation: "i", seq: 1, grant: 1, removedAtMs: NOW_MS } as const;
    expect(isRenewedByUse("user", marker, defaultRetention)).toBe(false);
  });
});

test("no record outlives what the policy allows, and each has a time", () => {
  fc.assert(
    fc.property(
      fc.constantFrom<PartitionKind>("user", "app", "obo", "long-running", "session"),
      fc.array(fc.integer({ min: -DAY_MS, max: 30 * DAY_MS })),
      fc.option(fc.integer({ min: 0, max: 200 * DAY_MS }), { nil: undefined }),
      fc.integer({ min: 60_000, max: 400 * DAY_MS }),
      (kind, ends, ageMs, absoluteTtlMs) => {
        const record = tokens(ends, ageMs === undefined ? undefined : NOW_MS - ageMs);
        const ttlMs = ttl(kind, record, { absoluteTtlMs });
        expect(ttlMs).toBeGreaterThanOrEqual(60_000);
        expect(Number.isFinite(ttlMs)).toBe(true);
        if (ageMs !== undefined) expect(ttlMs).toBeLessThanOrEqual(Math.max(60_000, absoluteTtlMs - ageMs));
        if (kind === "app" || kind === "obo") expect(ttlMs).toBeLessThanOrEqual(Math.max(60_000, ...ends));
      },
    ),
  );
});
