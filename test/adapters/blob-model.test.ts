/** Any sequence of calls by two clients, against a model of the port's docstring. */
import { join } from "node:path";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { memoryStore } from "../../src/adapters/memory.ts";
import { sqliteStore } from "../../src/adapters/sqlite.ts";
import type { Store } from "../../src/store/store.ts";
import { temporaryFolder } from "./children.ts";
import { fakeRuntime, type FakeRuntime } from "./fake-runtime.ts";

interface Kept {
  readonly bytes: readonly number[];
  readonly version: string;
  readonly until: number;
}

type Step =
  | { readonly call: "get"; readonly key: string; readonly unlessCurrent: boolean }
  | {
      readonly call: "put";
      readonly key: string;
      readonly bytes: Uint8Array;
      readonly base: Base;
      readonly ttlMs: number;
    }
  | { readonly call: "touch" | "delete"; readonly key: string; readonly base: Base; readonly ttlMs: number }
  | { readonly call: "advance"; readonly ms: number };

/** Which version a call quotes: none, the current one, or one that was replaced or never there. */
type Base = "absent" | "current" | "stale";

const key = fc.constantFrom("a", "A", "b:1");
const base = fc.constantFrom<Base>("absent", "current", "current", "stale");
// Multiples of one step, so that a clock often stands exactly where a value expires.
const ttlMs = fc.integer({ min: 1, max: 4 }).map((steps) => steps * 20);
const step: fc.Arbitrary<Step> = fc.oneof(
  fc.record({ call: fc.constant("get" as const), key, unlessCurrent: fc.boolean() }),
  fc.record({ call: fc.constant("put" as const), key, base, ttlMs, bytes: fc.uint8Array({ maxLength: 20 }) }),
  fc.record({ call: fc.constantFrom("touch" as const, "delete" as const), key, base, ttlMs }),
  fc.record({
    call: fc.constant("advance" as const),
    ms: fc.integer({ min: 0, max: 3 }).map((steps) => steps * 20),
  }),
);

class Model {
  readonly kept = new Map<string, Kept>();
  readonly stale = new Map<string, string>();
  versions = 0;

  current(name: string, now: number): Kept | undefined {
    const kept = this.kept.get(name);
    return kept !== undefined && kept.until > now ? kept : undefined;
  }

  keep(name: string, kept: Kept | undefined): void {
    const before = this.kept.get(name);
    if (before !== undefined && before.version !== kept?.version) this.stale.set(name, before.version);
    if (kept === undefined) this.kept.delete(name);
    else this.kept.set(name, kept);
  }

  quoted(name: string, wanted: Base, now: number): string | null {
    if (wanted === "absent") return null;
    const stale = this.stale.get(name) ?? "never there";
    return wanted === "stale"
      ? stale
      : (this.current(name, now)?.version ?? this.kept.get(name)?.version ?? stale);
  }
}

describe.each([["memory"], ["sqlite"]])("%s, any sequence of calls", (name) => {
  test("answers as the port's docstring says", async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.tuple(step, fc.boolean()), { minLength: 10, maxLength: 60, size: "max" }),
        async (steps) => {
          const runtime = fakeRuntime();
          const { first, second, close } = openTwo(name, runtime);
          try {
            const model = new Model();
            for (const [next, bySecond] of steps) await take(next, bySecond ? second : first, model, runtime);
          } finally {
            await close();
          }
        },
      ),
      { numRuns: name === "memory" ? 300 : 60 },
    );
  });
});

function openTwo(name: string, runtime: FakeRuntime) {
  if (name === "memory") {
    const store = memoryStore({ runtime });
    return { first: store, second: store, close: async () => {} };
  }
  const folder = temporaryFolder();
  const path = join(folder.path, "tokens.db");
  const [first, second] = [
    sqliteStore({ path, runtime, durability: "normal" }),
    sqliteStore({ path, runtime, durability: "normal" }),
  ];
  const close = async () => {
    await first.close();
    await second.close();
    folder.remove();
  };
  return { first, second, close };
}

async function take(next: Step, store: Store, model: Model, runtime: FakeRuntime): Promise<void> {
  if (next.call === "advance") return runtime.advance(next.ms);
  const now = runtime.now();
  const current = model.current(next.key, now);
  if (next.call === "get") return checkGet(next, store, current);
  const ifVersion = model.quoted(next.key, next.base, now);
  const until = now + next.ttlMs;
  if (next.call === "put") {
    const version = `v${(model.versions += 1)}`;
    const answer = await store.put(next.key, next.bytes, { version, ifVersion, ttlMs: next.ttlMs });
    const wins = (current?.version ?? null) === ifVersion;
    expect(answer).toEqual(
      wins ? { stored: true } : { stored: false, ...(current && { current: asStored(current) }) },
    );
    if (wins) model.keep(next.key, { bytes: [...next.bytes], version, until });
    return;
  }
  const hits = current !== undefined && current.version === ifVersion;
  const quoted = ifVersion ?? "never there";
  if (next.call === "touch") {
    expect(await store.touch(next.key, { ifVersion: quoted, ttlMs: next.ttlMs })).toBe(hits);
    if (hits) model.keep(next.key, { ...current, until: Math.max(current.until, until) });
  } else {
    expect(await store.delete(next.key, { ifVersion: quoted })).toBe(hits);
    if (hits) model.keep(next.key, undefined);
  }
}

async function checkGet(
  next: Step & { call: "get" },
  store: Store,
  current: Kept | undefined,
): Promise<void> {
  const unless = next.unlessCurrent && current !== undefined ? { unlessVersion: current.version } : {};
  const expected = current && ("unlessVersion" in unless ? "unchanged" : asStored(current));
  expect(await store.get(next.key, unless)).toEqual(expected);
}

function asStored({ bytes, version, until }: Kept) {
  return { bytes: Uint8Array.from(bytes), version, expiresAtMs: until };
}
