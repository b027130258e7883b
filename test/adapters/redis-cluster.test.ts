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

  /** Moves a slot from its master to another one, and stops at each step to see. */
  async function moveSlot(key: string, then: (step: string) => Promise<void>): Promise<void> {
    const from = await cluster.masterOf(key);
    const owners = await Promise.all(
      ["a", "b", "c", "d", "e", "f", "g"].map((name) => cluster.masterOf(name)),
    );
    const to = owners.find((owner) => owner !== from)!;
    const [source, target] = await Promise.all([from, to].map(({ url }) => createClient({ url }).connect()));
    try {
      const ids = await Promise.all([source!, target!].map((node) => node.sendCommand(["CLUSTER", "MYID"])));
      const [sourceId = "", targetId = ""] = ids as unknown as string[];
      const slot = `${Number(await source!.sendCommand(["CLUSTER", "KEYSLOT", key]))}`;
      await target!.sendCommand(["CLUSTER", "SETSLOT", slot, "IMPORTING", sourceId]);
      await source!.sendCommand(["CLUSTER", "SETSLOT", slot, "MIGRATING", targetId]);
      await then("is on its way");
      const where = ["127.0.0.1", `${to.port}`];
      await source!.sendCommand(["MIGRATE", ...where, key, "0", "5000"]);
      await then("has its key at the new master");
      for (const node of [target!, source!])
        await node.sendCommand(["CLUSTER", "SETSLOT", slot, "NODE", targetId]);
      await then("has moved");
    } finally {
      source!.destroy();
      target!.destroy();
    }
  }

  test.each([
    ["node-redis", nodeRedisCluster],
    ["ioredis", ioRedisCluster],
  ])(
    "by %s, records are read and replaced at each step of their slot's move to another master",
    async (name, make) => {
      await flush();
      const owned = make(cluster.ports);
      const store = redisStore({ client: owned.client });
      const key = `moving by ${name}`;
      const how = { ttlMs: 600_000 };
      try {
        let version = "v0";
        expect(await store.put(key, Buffer.from("0"), { version, ifVersion: null, ...how })).toEqual({
          stored: true,
        });
        await moveSlot(key, async (step) => {
          const next = `${version}.`;
          const [bytes, stale] = [Buffer.from(step), Buffer.from("stale")];
          expect(await store.put(key, bytes, { version: next, ifVersion: version, ...how }), step).toEqual({
            stored: true,
          });
          const lost = await store.put(key, stale, { version: "lost", ifVersion: version, ...how });
          expect(lost, step).toMatchObject({ stored: false, current: { version: next, bytes } });
          expect(await store.get(key), step).toMatchObject({ version: next, bytes });
          expect(await store.get(key, { unlessVersion: next }), step).toBe("unchanged");
          version = next;
        });
      } finally {
        await store.close();
        owned.dispose();
      }
    },
  );

  test.each([
    ["node-redis", nodeRedisCluster],
    ["ioredis", ioRedisCluster],
  ])(
    "by %s, a key with braces or of any script is one key, and found by the other client",
    async (_name, make) => {
      await flush();
      const [owned, other] = [make(cluster.ports), nodeRedisCluster(cluster.ports)];
      const [store, second] = [redisStore({ client: owned.client }), redisStore({ client: other.client })];
      try {
        for (const key of ["{", "}{", "{}", "{}a", "a{b}c", "a{b}d", "{{a}}", "ключ{ж}", "鍵", "🔑{🔑}"]) {
          const bytes = Buffer.from(key);
          const put = await store.put(key, bytes, { version: key, ifVersion: null, ttlMs: 600_000 });
          expect(put, key).toEqual({ stored: true });
          expect(await second.get(key), key).toMatchObject({ version: key, bytes });
          const lease = { owner: "me", ttlMs: 60_000 };
          expect(await store.lease.acquire(key, lease), key).toEqual({ held: true });
          expect(await second.lease.acquire(key, { ...lease, owner: "you" }), key).toMatchObject({
            held: false,
          });
          await store.activity.put(activityRow({ accountKey: key }), { revision: "r", ifRevision: null });
          expect(await second.activity.get(key), key).toMatchObject({ row: { accountKey: key } });
        }
        expect((await second.activity.list({ limit: 100 })).rows).toHaveLength(10);
      } finally {
        await store.close();
        await second.close();
        owned.dispose();
      }
    },
  );
});
