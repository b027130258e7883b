/** Reading and writing records of bytes through `tiers/`, L1 off, beside the client that a store is made of. */
import type { Store } from "../../src/store/store.ts";
import type { Version } from "../../src/store/blob-store.ts";
import { compare, type Pace, type Result } from "./compare.ts";
import { bytesTiers } from "./tiers.ts";

export const KEYS = 500;
export const VALUE_BYTES = 4_096;
export const TTL_MS = 3_600_000;

/** What a store is made of, used as bluntly as it can be. Its values are its own. */
export interface BareClient {
  readonly name: string;
  read(key: string): Promise<unknown>;
  /** Over what is there, as durable as the store's own writes. */
  write(key: string, bytes: Uint8Array): Promise<unknown>;
}

interface StoreBench {
  readonly bench: string;
  readonly store: Store;
  readonly bare: BareClient;
  readonly callers: readonly number[];
  readonly pace: Pace;
}

export async function compareStore({ bench, store, bare, callers, pace }: StoreBench): Promise<Result[]> {
  const tiers = bytesTiers(store, { l1MaxBytes: false });
  const bytes = Buffer.alloc(VALUE_BYTES, "x");
  const keys = Array.from({ length: KEYS }, (_, index) => `bench:user:${index}`);
  const versions: Version[] = [];
  for (const [at, key] of keys.entries()) {
    const put = await tiers.put(key, bytes, { ifVersion: null, ttlMs: TTL_MS });
    if (put.stored) versions[at] = put.version;
    await bare.write(key, bytes);
  }
  const results: Result[] = [];
  for (const count of callers) {
    const common = { bench, callers: count, pace };
    results.push(
      ...(await compare({
        ...common,
        params: { operation: "read", callers: count, valueBytes: VALUE_BYTES },
        subjects: [
          { name: "tokenkeep", operation: (index) => tiers.read(keys[index % KEYS]!) },
          { name: bare.name, operation: (index) => bare.read(keys[index % KEYS]!) },
        ],
      })),
      ...(await compare({
        ...common,
        params: { operation: "write", callers: count, valueBytes: VALUE_BYTES },
        subjects: [
          {
            name: "tokenkeep",
            async operation(index) {
              const at = index % KEYS;
              const put = await tiers.put(keys[at]!, bytes, { ifVersion: versions[at]!, ttlMs: TTL_MS });
              if (!put.stored) throw new Error("nobody else writes here");
              versions[at] = put.version;
            },
          },
          { name: bare.name, operation: (index) => bare.write(keys[index % KEYS]!, bytes) },
        ],
      })),
    );
  }
  tiers.close();
  return results;
}
