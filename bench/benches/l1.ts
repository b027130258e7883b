/** Bytes from memory, through what keeps them coherent: no tokens, no sealing. */
import { BentoCache, bentostore } from "bentocache";
import { memoryDriver } from "bentocache/drivers/memory";
import { createCache } from "cache-manager";
import { Cacheable } from "cacheable";
import { LRUCache } from "lru-cache";
import { memoryStore } from "../../src/adapters/memory.ts";
import { systemRuntime } from "../../src/runtime.ts";
import { bytesTiers } from "../lib/tiers.ts";
import { compare } from "../lib/compare.ts";
import type { Benchmark } from "../lib/benchmark.ts";

const KEYS = 1_024;
const VALUE_BYTES = 4_096;
const LIMIT_BYTES = 100_000_000;
const TTL_MS = 3_600_000;

export const l1: Benchmark = {
  title: "Bytes of 4 KB from memory, 1,024 keys in turn, awaited one by one",
  async run({ pace }) {
    const keys = Array.from({ length: KEYS }, (_, index) => `user:${index}:issuer:subject-${index}`);
    const key = (index: number): string => keys[index % KEYS]!;
    const text = "x".repeat(VALUE_BYTES);
    const bytes = Buffer.from(text);

    const tiers = bytesTiers(memoryStore({ runtime: systemRuntime }), { l1MaxBytes: LIMIT_BYTES });
    const bento = bentoOf(bentostore().useL1Layer(memoryDriver({ maxSize: LIMIT_BYTES })));
    const bentoPlain = bentoOf(bentostore().useL1Layer(memoryDriver({ serialize: false })));
    const cacheable = new Cacheable({ ttl: TTL_MS });
    const manager = createCache({ ttl: TTL_MS });
    const lru = new LRUCache<string, Buffer>({
      maxSize: LIMIT_BYTES,
      ttl: TTL_MS,
      sizeCalculation: (value) => value.length,
    });
    const map = new Map<string, Buffer>();
    for (const name of keys) {
      await tiers.put(name, bytes, { ifVersion: null, ttlMs: TTL_MS });
      for (const cache of [bento, bentoPlain]) await cache.set({ key: name, value: text, ttl: TTL_MS });
      await cacheable.set(name, text);
      await manager.set(name, text);
      lru.set(name, bytes);
      map.set(name, bytes);
    }
    try {
      return await compare({
        bench: "l1",
        params: { keys: KEYS, valueBytes: VALUE_BYTES },
        pace,
        subjects: [
          { name: "tokenkeep tiers, read", operation: (index) => tiers.read(key(index)) },
          { name: "tokenkeep tiers, peek", operation: async (index) => tiers.peek(key(index)) },
          { name: "bentocache, default", operation: (index) => bento.get({ key: key(index) }) },
          {
            name: "bentocache, no serialising, no byte limit",
            operation: (index) => bentoPlain.get({ key: key(index) }),
          },
          { name: "cacheable", operation: (index) => cacheable.get(key(index)) },
          { name: "cache-manager", operation: (index) => manager.get(key(index)) },
          { name: "lru-cache, byte limit and TTL", operation: async (index) => lru.get(key(index)) },
          { name: "Map", operation: async (index) => map.get(key(index)) },
        ],
      });
    } finally {
      tiers.close();
      await Promise.all([bento.disconnect(), bentoPlain.disconnect(), cacheable.disconnect()]);
    }
  },
};

function bentoOf(store: ReturnType<typeof bentostore>): BentoCache<{ one: typeof store }> {
  return new BentoCache({ default: "one", stores: { one: store } });
}
