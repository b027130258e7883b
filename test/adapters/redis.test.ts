import { createClient } from "redis";
import { afterAll, beforeAll, describe } from "vitest";
import { redisProgram, startRedis, type RedisServer } from "../services/redis.ts";
import { ioRedis, nodeRedis } from "./redis-clients.ts";
import { redisContracts } from "./redis-contract.ts";

describe.skipIf(!redisProgram)("Redis", () => {
  let server: RedisServer;
  let admin: ReturnType<typeof createClient>;

  beforeAll(async () => {
    server = await startRedis();
    admin = createClient({ url: server.url });
    await admin.connect();
  });
  afterAll(async () => {
    admin.destroy();
    await server.stop();
  });

  const flush = (): Promise<unknown> => admin.flushAll();
  redisContracts("redis by node-redis", () => nodeRedis({ port: server.port }), flush);
  redisContracts("redis by ioredis", () => ioRedis({ port: server.port }), flush);
});
