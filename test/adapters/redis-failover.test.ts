import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { redisStore } from "../../src/adapters/redis.ts";
import { redisProgram } from "../services/redis.ts";
import { startRedisCluster, type RedisCluster } from "../services/redis-cluster.ts";
import { sentinelProgram, startRedisSentinel, type RedisSentinel } from "../services/redis-sentinel.ts";
import { ioRedisCluster, ioRedisSentinel, nodeRedisCluster, nodeRedisSentinel } from "./redis-clients.ts";

const bytes = Uint8Array.of(1, 2, 3);
const HOUR = { ttlMs: 3_600_000 };

/** In a failover calls fail; what counts is that they work again without anybody's help. */
const poll = { timeout: 30_000, interval: 50 };

describe.skipIf(!redisProgram)("the loss of a Cluster master", () => {
  let cluster: RedisCluster;

  beforeAll(async () => {
    cluster = await startRedisCluster(1_000);
  });
  afterAll(() => cluster.stop());

  test("both clients find the replica that took over, with what it had, and the counter has moved", async () => {
    const owned = [nodeRedisCluster(cluster.ports), ioRedisCluster(cluster.ports)];
    const stores = owned.map(({ client }) => redisStore({ client }));
    const [first, second] = stores as [(typeof stores)[0], (typeof stores)[0]];
    await first.put("key", bytes, { version: "v1", ifVersion: null, ...HOUR });
    expect(await second.get("key")).toMatchObject({ version: "v1" });
    const counters = await Promise.all(stores.map((store) => store.backplane.changeCounter()));
    const master = await cluster.masterOf("key");
    // The replica has it: otherwise the loss is what the page says, and not this test's matter.
    for (const store of stores) expect(await store.replicated("key")).toBe(true);

    await master.kill();

    for (const [index, store] of stores.entries()) {
      const read = () => store.get("key").catch(() => undefined);
      await expect.poll(read, poll).toMatchObject({ version: "v1" });
      const counter = () => store.backplane.changeCounter().catch(() => counters[index]);
      await expect.poll(counter, poll).not.toBe(counters[index]);
    }
    const taken = { version: "v2", ifVersion: "v1", ...HOUR };
    expect(await first.put("key", bytes, taken)).toEqual({ stored: true });
    expect(await second.get("key")).toMatchObject({ version: "v2" });
    for (const store of stores) await store.close();
    for (const { dispose } of owned) dispose();
  });
});

describe.skipIf(!redisProgram || !sentinelProgram)("a failover by Sentinel", () => {
  let sentinel: RedisSentinel;

  beforeAll(async () => {
    sentinel = await startRedisSentinel({ password: "of the nodes" });
  });
  afterAll(() => sentinel.stop());

  test("both clients find the new master, with the password that they were made with", async () => {
    const owned = [
      nodeRedisSentinel(sentinel.ports, sentinel.name, "of the nodes"),
      ioRedisSentinel(sentinel.ports, sentinel.name, "of the nodes"),
    ];
    const stores = owned.map(({ client }) => redisStore({ client }));
    const [first, second] = stores as [(typeof stores)[0], (typeof stores)[0]];
    await first.put("key", bytes, { version: "v1", ifVersion: null, ...HOUR });
    expect(await second.get("key")).toMatchObject({ version: "v1" });
    const counters = await Promise.all(stores.map((store) => store.backplane.changeCounter()));
    const before = await sentinel.master();
    for (const store of stores) expect(await store.replicated("key")).toBe(true);

    await before.kill();
    await sentinel.failedOver(before);

    for (const [index, store] of stores.entries()) {
      const read = () => store.get("key").catch(() => undefined);
      await expect.poll(read, poll).toMatchObject({ version: "v1" });
      const counter = () => store.backplane.changeCounter().catch(() => counters[index]);
      await expect.poll(counter, poll).not.toBe(counters[index]);
    }
    const taken = { version: "v2", ifVersion: "v1", ...HOUR };
    expect(await first.put("key", bytes, taken)).toEqual({ stored: true });
    expect(await second.get("key")).toMatchObject({ version: "v2" });
    for (const store of stores) await store.close();
    for (const { dispose } of owned) dispose();
  });
});
