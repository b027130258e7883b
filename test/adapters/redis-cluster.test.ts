import { createClient } from "redis";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { redisStore } from "../../src/adapters/redis.ts";
import { activityRow } from "../../src/testing/contract/activity-rows.ts";
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

  test.each([
    ["node-redis", nodeRedisCluster],
    ["ioredis", ioRedisCluster],
  ])("takes the first call of a fresh store by %s, 150 times of 150", async (_name, clientOf) => {
    for (let count = 0; count < 150; count += 1) {
      const { client, dispose } = clientOf(cluster.ports);
      const store = redisStore({ client });
      expect(await store.get(`first-call-${count}`)).toBeUndefined();
      await store.close();
      dispose();
    }
  });

  /** Calls of each command, on all the nodes together. */
  async function commands(work: () => Promise<unknown>): Promise<Map<string, number>> {
    const clients = cluster.nodes.map(({ url }) => createClient({ url }));
    await Promise.all(clients.map((client) => client.connect()));
    try {
      await Promise.all(clients.map((client) => client.configResetStat()));
      await work();
      const calls = new Map<string, number>();
      for (const info of await Promise.all(clients.map((client) => client.info("commandstats")))) {
        for (const [, name = "", count] of info.matchAll(/^cmdstat_([^:]+):calls=(\d+)/gm)) {
          calls.set(name, (calls.get(name) ?? 0) + Number(count));
        }
      }
      return calls;
    } finally {
      for (const client of clients) client.destroy();
    }
  }

  test.each([
    ["node-redis", nodeRedisCluster],
    ["ioredis", ioRedisCluster],
  ])("by %s, activity is listed from the index, without KEYS or SCAN on any node", async (_name, make) => {
    await flush();
    const owned = make(cluster.ports);
    const { activity, close } = redisStore({ client: owned.client });
    try {
      const keys = Array.from({ length: 60 }, (_, count) => `n:${String(count).padStart(3, "0")}`);
      for (const accountKey of keys) {
        await activity.put(activityRow({ accountKey }), { revision: accountKey, ifRevision: null });
      }
      const found: string[] = [];
      const asked = await commands(async () => {
        for (let cursor: string | undefined, pages = 0; pages === 0 || cursor !== undefined; pages += 1) {
          const page = await activity.list({ limit: 10, ...(cursor === undefined ? {} : { cursor }) });
          found.push(...page.rows.map(({ row }) => row.accountKey));
          ({ cursor } = page);
        }
      });
      expect(found).toEqual(keys);
      expect(asked.get("zrangebylex")).toBe(6);
      expect(asked.get("get")).toBe(keys.length);
      for (const name of ["keys", "scan", "evalsha"]) expect(asked.get(name), name).toBeUndefined();
    } finally {
      await close();
      owned.dispose();
    }
  });
});
