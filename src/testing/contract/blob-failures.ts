/** Clauses: callers that give up, and backends that fail. */
import { inspect } from "node:util";
import { bytesOf, expectBytes, fresh } from "./bytes.ts";
import type { BlobContext } from "./blob-store.ts";
import type { Clause } from "./runner.ts";

const SECRET_KEY = "key-that-names-somebody";
const SECRET_TEXT = "bytes-that-are-nobody-elses-business";

export const abortClauses: readonly Clause<BlobContext>[] = [
  {
    title: "a put whose signal is aborted happens whole or not at all, and the store works on",
    async check({ store, longMs, expect }) {
      const abort = new AbortController();
      const [before, during] = [fresh(), fresh()];
      const options = { ifVersion: null, ttlMs: longMs, signal: abort.signal };
      const pending = settled(store.put("during", bytesOf("during"), { ...options, version: during }));
      abort.abort();
      const outcomes = {
        during: await pending,
        before: await settled(store.put("before", bytesOf("before"), { ...options, version: before })),
      };
      for (const [key, version] of Object.entries({ before, during })) {
        const stored = await store.get(key);
        if (stored === undefined) expect(outcomes[key as "before" | "during"]?.stored ?? false).toBe(false);
        if (typeof stored !== "object") continue;
        expect(stored.version).toBe(version);
        expectBytes(expect, stored.bytes, bytesOf(key));
      }
      const answer = await store.put("after", bytesOf("after"), {
        version: fresh(),
        ifVersion: null,
        ttlMs: longMs,
      });
      expect(answer.stored).toBe(true);
    },
  },
];

export const failureClauses: readonly Clause<BlobContext>[] = [
  {
    title: "a failure is an error, never a miss and never a conflict",
    async check({ store, longMs, fail, expect }) {
      const version = fresh();
      const ttlMs = longMs;
      await store.put("key", bytesOf("first"), { version, ifVersion: null, ttlMs });
      await fail();
      const calls = [
        () => store.get("key"),
        () => store.get("key", { unlessVersion: version }),
        () => store.put("key", bytesOf("next"), { version: fresh(), ifVersion: version, ttlMs }),
        () => store.touch("key", { ifVersion: version, ttlMs }),
        () => store.delete("key", { ifVersion: version }),
      ];
      for (const call of calls) expect((await failureOf(call)) instanceof Error).toBe(true);
    },
  },
  {
    title: "an error names neither the key nor the bytes, nor do its causes",
    async check({ store, longMs, fail, expect }) {
      await fail();
      const options = { version: fresh(), ifVersion: null, ttlMs: longMs };
      const errors = [
        await failureOf(() => store.get(SECRET_KEY)),
        await failureOf(() => store.put(SECRET_KEY, bytesOf(SECRET_TEXT), options)),
      ];
      for (const error of errors) {
        const shown = inspect(error, { depth: 10, showHidden: true });
        expect(shown.includes(SECRET_KEY)).toBe(false);
        expect(shown.includes(SECRET_TEXT)).toBe(false);
      }
    },
  },
];

/** The answer, or nothing if the call failed, which an aborted one may. */
async function settled<T>(call: Promise<T>): Promise<T | undefined> {
  const [outcome] = await Promise.allSettled([call]);
  return outcome.status === "fulfilled" ? outcome.value : undefined;
}

async function failureOf(call: () => Promise<unknown>): Promise<unknown> {
  try {
    await call();
    return undefined;
  } catch (error) {
    return error;
  }
}
