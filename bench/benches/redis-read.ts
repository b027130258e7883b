/** One record of bytes from Redis, L1 off, beside the bare clients and other caches over them. */
import type { Benchmark } from "../lib/benchmark.ts";
import { compare, type Result, type Subject } from "../lib/compare.ts";
import { redisParties, withRedis, type RedisParties } from "../lib/redis.ts";

const KEYS = 1_000;
const VALUE_BYTES = 4_096;
const TTL_MS = 3_600_000;

const keys = Array.from({ length: KEYS }, (_, index) => `bench:user:${index}`);
const keyOf = (index: number): string => keys[index % KEYS]!;

export const redisRead: Benchmark = {
  title: "4 KB from Redis on loopback, L1 off, 1,000 keys in turn",
  run: ({ pace }) =>
    withRedis(async (server) => {
      const parties = await redisParties(server);
      await fill(parties);
      const results: Result[] = [];
      for (const callers of [1, 32, 256]) {
        const params = { callers, valueBytes: VALUE_BYTES };
        const subjects = readersOf(parties);
        results.push(...(await compare({ bench: "redis-read", params, callers, pace, subjects })));
      }
      await parties.close();
      return results;
    }),
};

async function fill({ oursOnNode, bento, keyv }: RedisParties): Promise<void> {
  const bytes = Buffer.alloc(VALUE_BYTES, "x");
  const text = bytes.toString();
  for (const key of keys) {
    await oursOnNode.put(key, bytes, { ifVersion: null, ttlMs: TTL_MS });
    await bento.set({ key, value: text, ttl: TTL_MS });
    await keyv.set(key, text, TTL_MS);
  }
}

function readersOf({ node, io, oursOnNode, oursOnIo, bento, keyv }: RedisParties): Subject[] {
  return [
    { name: "tokenkeep on node-redis", operation: (index) => oursOnNode.read(keyOf(index)) },
    { name: "node-redis", operation: (index) => node.get(keyOf(index)) },
    { name: "tokenkeep on ioredis 6", operation: (index) => oursOnIo.read(keyOf(index)) },
    { name: "ioredis 6", operation: (index) => io.getBuffer(keyOf(index)) },
    { name: "bentocache, L2 only", operation: (index) => bento.get({ key: keyOf(index) }) },
    { name: "keyv", operation: (index) => keyv.get(keyOf(index)) },
  ];
}
