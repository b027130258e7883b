/** One record of bytes into Redis by compare-and-swap, beside the same script called bare, and blind writes. */
import { headOf } from "../../src/adapters/redis-value.ts";
import { PUT } from "../../src/adapters/redis-scripts.ts";
import type { Version } from "../../src/store/blob-store.ts";
import type { Tiers } from "../../src/tiers/tiers.ts";
import type { Benchmark } from "../lib/benchmark.ts";
import { compare, type Result, type Subject } from "../lib/compare.ts";
import { redisParties, withRedis, type RedisParties } from "../lib/redis.ts";

const KEYS = 2_000;
const VALUE_BYTES = 4_096;
const TTL_MS = 3_600_000;
const TTL = String(TTL_MS);

const bytes = Buffer.alloc(VALUE_BYTES, "x");
const text = bytes.toString();
// What the script is called with is ready beforehand: nothing is left but the call.
const HEAD = headOf("version-of-22-letters");
const OTHER_HEAD = headOf("version-of-22-lettres");

const bareKeys = Array.from({ length: KEYS }, (_, index) => `bare:user:${index}`);
const bareKeyOf = (index: number): string => bareKeys[index % KEYS]!;

export const redisWrite: Benchmark = {
  title: "4 KB into Redis on loopback by compare-and-swap, L1 off, 2,000 keys in turn",
  run: ({ pace }) =>
    withRedis(async (server) => {
      const parties = await redisParties(server);
      await parties.node.sendCommand(["SCRIPT", "LOAD", PUT.text]);
      for (const key of bareKeys) await parties.node.set(key, Buffer.concat([Buffer.from(HEAD), bytes]));
      const results: Result[] = [];
      for (const callers of [1, 32, 256]) {
        const params = { outcome: "stored", callers, valueBytes: VALUE_BYTES };
        const subjects = [...swappersOf(parties), ...blindOf(parties)];
        results.push(...(await compare({ bench: "redis-write", params, callers, pace, subjects })));
      }
      for (const callers of [1, 32]) {
        const params = { outcome: "conflict", callers, valueBytes: VALUE_BYTES };
        const subjects = losersOf(parties);
        results.push(...(await compare({ bench: "redis-write", params, callers, pace, subjects })));
      }
      await parties.close();
      return results;
    }),
};

function swappersOf({ node, io, oursOnNode, oursOnIo }: RedisParties): Subject[] {
  return [
    swapping("tokenkeep on node-redis", oursOnNode),
    {
      name: "bare script, node-redis",
      operation: (index) => node.sendCommand(["EVALSHA", ...scriptArgs(index, HEAD)]),
    },
    swapping("tokenkeep on ioredis 6", oursOnIo),
    {
      name: "bare script, ioredis 6",
      operation: (index) => io.callBuffer("EVALSHA", ...scriptArgs(index, HEAD)),
    },
  ];
}

/** Each write quotes the version of the one before it. */
function swapping(name: string, tiers: Tiers<Uint8Array>): Subject {
  const keys = Array.from({ length: KEYS }, (_, index) => `${name}:user:${index}:${performance.now()}`);
  const versions: (Version | undefined)[] = [];
  return {
    name,
    async operation(index) {
      const at = index % KEYS;
      const put = await tiers.put(keys[at]!, bytes, { ifVersion: versions[at] ?? null, ttlMs: TTL_MS });
      if (put.stored) versions[at] = put.version;
    },
  };
}

function blindOf({ node, bento, keyv }: RedisParties): Subject[] {
  return [
    {
      name: "node-redis SET PX, blind",
      operation: (index) => node.sendCommand(["SET", `set:user:${index % KEYS}`, bytes, "PX", TTL]),
    },
    {
      name: "bentocache, L2 only, blind",
      operation: (index) => bento.set({ key: bareKeyOf(index), value: text, ttl: TTL_MS }),
    },
    { name: "keyv, blind", operation: (index) => keyv.set(bareKeyOf(index), text, TTL_MS) },
  ];
}

function losersOf({ node, oursOnNode }: RedisParties): Subject[] {
  return [
    {
      name: "tokenkeep on node-redis",
      operation: (index) => oursOnNode.put(bareKeyOf(index), bytes, { ifVersion: "other", ttlMs: TTL_MS }),
    },
    {
      name: "bare script, node-redis",
      operation: (index) => node.sendCommand(["EVALSHA", ...scriptArgs(index, OTHER_HEAD)]),
    },
  ];
}

function scriptArgs(index: number, expected: string | Buffer): (string | Buffer)[] {
  return [PUT.sha1, "1", bareKeyOf(index), expected, HEAD, bytes, TTL];
}
