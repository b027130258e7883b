import { afterAll, beforeAll, describe } from "vitest";
import { redisProgram } from "../services/redis.ts";
import { startRedisCluster, type RedisCluster } from "../services/redis-cluster.ts";
import { ioRedisCluster, nodeRedisCluster } from "./redis-clients.ts";
import { redisContracts } from "./redis-contract.ts";

describe.skipIf(!redisProgram)("Redis Cluster", () => {
  let cluster: RedisCluster;

  beforeAll(async () => {
    cluster = await startRedisCluster();
  });
  afterAll(() => cluster.stop());

  const flush = (): Promise<void> => cluster.flush();
  redisContracts("redis cluster by node-redis", () => nodeRedisCluster(cluster.ports), flush);
  redisContracts("redis cluster by ioredis", () => ioRedisCluster(cluster.ports), flush);
});
