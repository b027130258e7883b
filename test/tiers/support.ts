import { createStoreCalls, type StoreCallsOptions } from "../../src/tiers/store-calls.ts";
import { createTwoTier } from "../../src/tiers/two-tier.ts";
import type { Tiers, TiersOptions } from "../../src/tiers/tiers.ts";
import { memoryStore, type MemoryStore } from "../../src/adapters/memory.ts";
import { chaosStore, type ChaosOptions, type ChaosStore } from "../support/chaos.ts";
import { fakeRuntime, type FakeRuntime } from "../adapters/fake-runtime.ts";

export const KEY = "ns:user:a";
export const BOUND_MS = 5_000;
export const STALE_MS = 60_000;
export const BUDGETS = { read: 1_000, write: 2_000 };
export const TTL_MS = 1_000_000;

/** One process: its link to the store, and the tiers in front of it. */
export interface TierNode {
  readonly link: ChaosStore;
  readonly tiers: Tiers<string>;
  readonly failures: string[];
  put(value: string, ifVersion: string | null): ReturnType<Tiers<string>["put"]>;
  /** Writes over whatever is there, and tells the others. */
  remove(value?: string): Promise<void>;
}

export interface NodeOptions extends Partial<Omit<TiersOptions<string>, "calls">> {
  /** Default: every call is made, and none twice. */
  readonly calls?: Partial<StoreCallsOptions>;
}

export interface TierWorld {
  readonly runtime: FakeRuntime;
  readonly store: MemoryStore;
  node(options?: NodeOptions, chaos?: ChaosOptions): TierNode;
}

const codec = {
  encode: (_key: string, value: string): Uint8Array => Buffer.from(value),
  decode(_key: string, bytes: Uint8Array): string {
    const text = Buffer.from(bytes).toString();
    if (text === "unreadable") throw new Error("cannot be decoded");
    return text;
  },
};

export function tierWorld(): TierWorld {
  const runtime = fakeRuntime();
  const store = memoryStore({ runtime });
  return {
    runtime,
    store,
    node({ calls, ...options } = {}, chaos) {
      const link = chaosStore(store, chaos);
      const failures: string[] = [];
      const tiers = createTwoTier<string>({
        store: link,
        calls: createStoreCalls({
          name: "chaos",
          runtime,
          budgets: BUDGETS,
          breaker: false,
          onFailure(operation) {
            failures.push(operation);
            return false;
          },
          ...calls,
        }),
        codec,
        runtime,
        l1MaxBytes: 1_000_000,
        coherenceBoundMs: BOUND_MS,
        maxStaleMs: STALE_MS,
        ...options,
      });
      const put: TierNode["put"] = (value, ifVersion) => tiers.put(KEY, value, { ifVersion, ttlMs: TTL_MS });
      return {
        link,
        tiers,
        failures,
        put,
        async remove(value = "removed") {
          const there = await tiers.read(KEY, { fresh: true });
          const result = await put(value, there?.version ?? null);
          if (!result.stored) throw new Error("unexpected conflict");
          await tiers.announce(KEY, result.version);
        },
      };
    },
  };
}

/** The version of a write that must have succeeded. */
export async function stored(result: ReturnType<TierNode["put"]>): Promise<string> {
  const outcome = await result;
  if (!outcome.stored) throw new Error("the write met a conflict");
  return outcome.version;
}
