import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { redisStore, type RedisStoreOptions } from "../../src/adapters/redis.ts";
import { redisProgram, replicated, startRedis, type RedisServer } from "../services/redis.ts";
import { ioRedis, nodeRedis } from "./redis-clients.ts";

const bytes = Uint8Array.of(1, 2, 3);
const FIRST = { version: "v1", ifVersion: null, ttlMs: 3_600_000 };

describe.skipIf(!redisProgram).each([
  ["node-redis", nodeRedis],
  ["ioredis", ioRedis],
])("asked by %s whether a replica has a write, the store", (_name, clientOf) => {
  let master: RedisServer;
  let replica: RedisServer;

  beforeAll(async () => {
    master = await startRedis({ args: ["--repl-diskless-sync-delay", "0"] });
    replica = await startRedis({ args: ["--replicaof", "127.0.0.1", `${master.port}`] });
    await replicated(master.url);
  });
  afterAll(async () => {
    await replica.stop();
    await master.stop();
  });

  async function answer(
    server: RedisServer,
    key: string,
    options: Partial<RedisStoreOptions> = {},
  ): Promise<boolean | undefined> {
    const { client, dispose } = clientOf(server);
    const store = redisStore({ client, ...options });
    try {
      await store.put(key, bytes, FIRST);
      return await store.replicated(key);
    } finally {
      await store.close();
      dispose();
    }
  }

  test("says yes once one has it, and has shortened nothing", async () => {
    // A busy machine takes longer than the half second that is waited by default.
    expect(await answer(master, "replicated", { replicaWaitMs: 20_000 })).toBe(true);
    const { client, dispose } = clientOf(replica);
    const store = redisStore({ client });
    const there = await store.get("replicated", { withExpiry: true });
    expect(there).toMatchObject({ version: "v1" });
    expect((there as { expiresAtMs: number }).expiresAtMs).toBeGreaterThan(Date.now() + 3_500_000);
    await store.close();
    dispose();
  });

  test("says no where the replica does not answer in time, and holds up no other call meanwhile", async () => {
    replica.pause();
    try {
      const { client, dispose } = clientOf(master);
      const store = redisStore({ client, replicaWaitMs: 300 });
      await store.put("lags", bytes, FIRST);
      let isOver = false;
      const asked = store.replicated("lags").finally(() => (isOver = true));
      for (let count = 0; count < 20; count += 1) await store.get("lags");
      expect(isOver).toBe(false);
      expect(await asked).toBe(false);
      await store.close();
      dispose();
    } finally {
      replica.resume();
    }
  });

  test("does not wait if told not to", async () => {
    replica.pause();
    expect(await answer(master, "impatient", { replicaWaitMs: 0 })).toBeUndefined();
    replica.resume();
  });

  test("cannot tell where there is no replica, or nothing under the key", async () => {
    const alone = await startRedis();
    try {
      expect(await answer(alone, "alone")).toBeUndefined();
      const { client, dispose } = clientOf(master);
      const store = redisStore({ client });
      expect(await store.replicated("nothing")).toBeUndefined();
      await store.close();
      dispose();
    } finally {
      await alone.stop();
    }
  });
});

test.each([-1, 1.5, 60_001, Number.NaN, "500"])(
  "redisStore refuses %j for replicaWaitMs",
  (replicaWaitMs) => {
    const { client, dispose } = nodeRedis({ port: 1 });
    expect(() => redisStore({ client, replicaWaitMs: replicaWaitMs as number })).toThrow(/`replicaWaitMs`/);
    dispose();
  },
);
