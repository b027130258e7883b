/** What is made for a store while it begins is gone when it ends, however early that is. */
import { createClient } from "redis";
import { Redis as IoRedis } from "ioredis";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { redisStore, type RedisClient, type RedisStore } from "../../src/adapters/redis.ts";
import { systemRuntime, type Runtime, type Timer } from "../../src/runtime.ts";
import { redisProgram, startRedis, type RedisServer } from "../services/redis.ts";
import { startRedisCluster, type RedisCluster } from "../services/redis-cluster.ts";
import { startFaultProxy, type FaultProxy } from "../services/fault-proxy.ts";
import { ioRedis, ioRedisCluster, nodeRedis, nodeRedisCluster, type OwnedClient } from "./redis-clients.ts";

const closing: (() => unknown)[] = [];
afterEach(async () => {
  for (const close of closing.splice(0).toReversed()) await close();
});

/** The system's, and the timers that are still to fire. */
function countingRuntime(): { readonly runtime: Runtime; readonly pending: Set<Timer> } {
  const pending = new Set<Timer>();
  const runtime: Runtime = {
    ...systemRuntime,
    setTimer(callback, delayMs, options) {
      const timer = systemRuntime.setTimer(() => (pending.delete(timer), callback()), delayMs, options);
      pending.add(timer);
      return timer;
    },
    clearTimer(timer) {
      pending.delete(timer);
      systemRuntime.clearTimer(timer);
    },
  };
  return { runtime, pending };
}

function storeOf({ client, dispose }: OwnedClient, runtime?: Runtime): RedisStore {
  const store = redisStore({ client, ...(runtime && { runtime }) });
  closing.push(dispose, () => store.close());
  return store;
}

/** Connections of this process, also those that are still being made. */
const sockets = (): number =>
  process.getActiveResourcesInfo().filter((resource) => /^(TCPSocket|TCPConnect|TLS)/.test(resource)).length;

const CLIENTS = [
  ["node-redis", nodeRedis],
  ["ioredis", ioRedis],
] as const;

describe.skipIf(!redisProgram).each(CLIENTS)("a store by %s", (_name, make) => {
  let server: RedisServer;
  let silent: FaultProxy;

  beforeAll(async () => {
    server = await startRedis();
    silent = await startFaultProxy(server.port);
    silent.set({ kind: "blackhole" });
  });
  afterAll(async () => {
    await silent.close();
    await server.stop();
  });

  test("leaves no timer behind that would hold a script up once the first call is answered", async () => {
    const { runtime, pending } = countingRuntime();
    await storeOf(make({ port: server.port }), runtime).get("key");
    expect(pending.size).toBe(0);
  });

  test("that is closed while it connects leaves no connection behind", async () => {
    await expect.poll(sockets).toBe(0);
    const store = storeOf(make({ port: server.port }));
    store.backplane.subscribe(() => undefined);
    await store.close();
    await expect.poll(sockets, { timeout: 5_000 }).toBe(0);
  });

  test("that is closed while nobody answers ends the calls that wait, and its connections", async () => {
    const { runtime, pending } = countingRuntime();
    const store = storeOf(make({ port: silent.port }), runtime);
    const waiting = expect(store.get("key")).rejects.toMatchObject({ code: "ERR_CLOSED" });
    await expect.poll(() => silent.connections()).toBeGreaterThan(0);
    await store.close();
    await waiting;
    expect(pending.size).toBe(0);
    await expect.poll(() => silent.connections()).toBe(0);
  });
});

describe.skipIf(!redisProgram)("by a client with settings of its own", () => {
  let server: RedisServer;
  beforeAll(async () => {
    server = await startRedis();
  });
  afterAll(() => server.stop());

  const eager: readonly (readonly [string, () => RedisClient])[] = [
    ["ioredis without its offline queue", () => io({ enableOfflineQueue: false })],
    ["ioredis that does not resubscribe", () => io({ autoResubscribe: false })],
    ["node-redis without its offline queue", () => node({ disableOfflineQueue: true })],
  ];
  function io(options: object): RedisClient {
    const client = new IoRedis(server.port, "127.0.0.1", { lazyConnect: true, ...options });
    closing.push(() => client.disconnect());
    return client;
  }
  function node(options: object): RedisClient {
    return createClient({ url: server.url, ...options });
  }

  test.each(eager)("%s, messages are heard", async (_name, client) => {
    const store = storeOf({ client: client(), dispose: () => undefined });
    const heard: string[] = [];
    store.backplane.subscribe(({ key }) => void heard.push(key));
    const tell = async (): Promise<void> => {
      await store.backplane.changeCounter();
      await store.backplane.publish({ key: "key", version: "v" });
    };
    await expect.poll(async () => (await tell(), heard.length), { timeout: 5_000 }).toBeGreaterThan(0);
  });
});

describe.skipIf(!redisProgram)("on a Cluster", () => {
  let cluster: RedisCluster;
  beforeAll(async () => {
    cluster = await startRedisCluster();
  }, 60_000);
  afterAll(() => cluster.stop());

  test.each([
    ["node-redis", nodeRedisCluster],
    ["ioredis", ioRedisCluster],
  ] as const)("%s that is closed while it connects leaves no connection behind", async (_name, make) => {
    await expect.poll(sockets).toBe(0);
    const store = storeOf(make(cluster.ports));
    store.backplane.subscribe(() => undefined);
    await store.close();
    await expect.poll(sockets, { timeout: 5_000 }).toBe(0);
  });
});
