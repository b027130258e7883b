import { createClient } from "redis";
import { afterAll, beforeAll, describe } from "vitest";
import { redisProgram } from "../services/redis.ts";
import { sentinelProgram, startRedisSentinel, type RedisSentinel } from "../services/redis-sentinel.ts";
import { ioRedisSentinel, nodeRedisSentinel } from "./redis-clients.ts";
import { redisRecordContracts } from "./redis-contract.ts";

describe.skipIf(!redisProgram || !sentinelProgram)("Redis by Sentinel", () => {
  let sentinel: RedisSentinel;
  let admin: ReturnType<typeof createClient>;

  beforeAll(async () => {
    sentinel = await startRedisSentinel();
    admin = createClient({ url: (await sentinel.master()).url });
    await admin.connect();
  });
  afterAll(async () => {
    admin.destroy();
    await sentinel.stop();
  });

  const flush = (): Promise<unknown> => admin.flushAll();
  redisRecordContracts(
    "redis sentinel by node-redis",
    () => nodeRedisSentinel(sentinel.ports, sentinel.name),
    flush,
  );
  redisRecordContracts(
    "redis sentinel by ioredis",
    () => ioRedisSentinel(sentinel.ports, sentinel.name),
    flush,
  );
});
