/** Clauses: a value is kept as long as it was asked to be, and expired counts as absent. */
import { bytesOf, expectStored, fresh } from "./bytes.ts";
import type { Version } from "../../store/blob-store.ts";
import type { BlobContext } from "./blob-store.ts";
import type { Clause } from "./runner.ts";

type Context = Parameters<Clause<BlobContext>["check"]>[0];

export const retentionClauses: readonly Clause<BlobContext>[] = [
  {
    title: "an expired value is a miss",
    async check(context) {
      const { store, second, expect } = context;
      const version = await expired(context);
      expect(await store.get("key")).toBe(undefined);
      expect(await store.get("key", { unlessVersion: version })).toBe(undefined);
      expect(await second.get("key")).toBe(undefined);
    },
  },
  {
    title: "a value is kept for ttlMs, counted from its last write",
    async check(context) {
      const { store, advance, ttlStepMs, expect } = context;
      const first = await put(context, "first", null, 6);
      await advance(4 * ttlStepMs);
      await expectStored(expect, store, "key", { bytes: bytesOf("first"), version: first });
      const next = await put(context, "next", first, 6);
      await advance(4 * ttlStepMs);
      await expectStored(expect, store, "key", { bytes: bytesOf("next"), version: next });
      await advance(3 * ttlStepMs);
      expect(await store.get("key")).toBe(undefined);
    },
  },
  {
    title: "a write may also shorten retention",
    async check(context) {
      const { store, advance, ttlStepMs, expect } = context;
      const first = await put(context, "first", null, 10);
      await put(context, "next", first, 1);
      await advance(2 * ttlStepMs);
      expect(await store.get("key")).toBe(undefined);
    },
  },
  {
    title: "expired counts as absent for put with ifVersion null",
    async check(context) {
      const { store, expect } = context;
      await expired(context);
      const version = await put(context, "new", null, 10);
      await expectStored(expect, store, "key", { bytes: bytesOf("new"), version });
    },
  },
  {
    title: "expired does not count as present for put with its old version",
    async check(context) {
      const { store, longMs, expect } = context;
      const ifVersion = await expired(context);
      const answer = await store.put("key", bytesOf("late"), { version: fresh(), ifVersion, ttlMs: longMs });
      expect(answer.stored).toBe(false);
      expect(answer.stored ? undefined : answer.current).toBe(undefined);
      expect(await store.get("key")).toBe(undefined);
    },
  },
  {
    title: "touch renews retention to at least ttlMs from now and changes neither version nor bytes",
    async check(context) {
      const { store, second, advance, ttlStepMs, expect } = context;
      const version = await put(context, "first", null, 3);
      expect(await second.touch("key", { ifVersion: version, ttlMs: 10 * ttlStepMs })).toBe(true);
      await advance(5 * ttlStepMs);
      await expectStored(expect, store, "key", { bytes: bytesOf("first"), version });
      expect(await store.get("key", { unlessVersion: version })).toBe("unchanged");
    },
  },
  {
    title: "touch never shortens retention",
    async check(context) {
      const { store, advance, ttlStepMs, expect } = context;
      const version = await put(context, "first", null, 6);
      expect(await store.touch("key", { ifVersion: version, ttlMs: ttlStepMs })).toBe(true);
      await advance(3 * ttlStepMs);
      await expectStored(expect, store, "key", { bytes: bytesOf("first"), version });
    },
  },
  {
    title: "touch with another version, over an absent key or an expired value renews nothing: false",
    async check(context) {
      const { store, advance, ttlStepMs, longMs, expect } = context;
      expect(await store.touch("key", { ifVersion: fresh(), ttlMs: longMs })).toBe(false);
      const version = await put(context, "first", null, 2);
      expect(await store.touch("key", { ifVersion: fresh(), ttlMs: longMs })).toBe(false);
      await advance(4 * ttlStepMs);
      expect(await store.get("key")).toBe(undefined);
      expect(await store.touch("key", { ifVersion: version, ttlMs: longMs })).toBe(false);
      expect(await store.get("key")).toBe(undefined);
    },
  },
  {
    title: "an expired value is not there to be deleted",
    async check(context) {
      const ifVersion = await expired(context);
      context.expect(await context.store.delete("key", { ifVersion })).toBe(false);
    },
  },
  {
    title: "expiresAtMs, if the backend can tell, moves with retention and never back by a touch",
    async check(context) {
      const { store, ttlStepMs, expect } = context;
      const version = await put(context, "first", null, 4);
      const written = await expiresAtMs(context);
      await store.touch("key", { ifVersion: version, ttlMs: ttlStepMs });
      const notShortened = await expiresAtMs(context);
      await store.touch("key", { ifVersion: version, ttlMs: 10 * ttlStepMs });
      const renewed = await expiresAtMs(context);
      const told = [written, notShortened, renewed].filter((time) => time !== undefined);
      // A store that tells sometimes would be read as one whose values never expire.
      expect([0, 3].includes(told.length)).toBe(true);
      expect((notShortened ?? 0) >= (written ?? 0)).toBe(true);
      expect((renewed ?? 0) - (written ?? 0) >= (written === undefined ? 0 : 5 * ttlStepMs)).toBe(true);
    },
  },
];

async function put(
  { store, ttlStepMs, expect }: Context,
  text: string,
  ifVersion: Version | null,
  ttlSteps: number,
): Promise<Version> {
  const version = fresh();
  const answer = await store.put("key", bytesOf(text), { version, ifVersion, ttlMs: ttlSteps * ttlStepMs });
  expect(answer.stored).toBe(true);
  return version;
}

/** Leaves an expired value under "key". @returns the version it had. */
async function expired(context: Context): Promise<Version> {
  const version = await put(context, "old", null, 1);
  await context.advance(2 * context.ttlStepMs);
  return version;
}

async function expiresAtMs({ store, expect }: Context): Promise<number | undefined> {
  const stored = await store.get("key");
  expect(typeof stored).toBe("object");
  return typeof stored === "object" ? stored.expiresAtMs : undefined;
}
