import { inspect } from "node:util";
import { createClient } from "redis";
import { Redis as IoRedis } from "ioredis";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { redisStore, type RedisStore } from "../../src/adapters/redis.ts";
import { OptionsError } from "../../src/errors.ts";
import { activityRow } from "../../src/testing/contract/activity-rows.ts";
import { startFaultProxy, type FaultProxy } from "../services/fault-proxy.ts";
import { redisProgram, startRedis, type RedisServer } from "../services/redis.ts";
import { ioRedis, nodeRedis, type OwnedClient, type Reach } from "./redis-clients.ts";

type Make = (reach: Reach) => OwnedClient;
const CLIENTS: readonly (readonly [string, Make])[] = [
  ["node-redis", nodeRedis],
  ["ioredis", ioRedis],
];
const HOUR = { ttlMs: 3_600_000 };
const bytes = Buffer.from("sealed");
let version = 0;
const fresh = (): string => `v${(version += 1)}`;

describe.skipIf(!redisProgram)("Redis store", () => {
  let server: RedisServer;
  let proxy: FaultProxy;
  let admin: ReturnType<typeof createClient>;

  beforeAll(async () => {
    server = await startRedis();
    proxy = await startFaultProxy(server.port);
    admin = createClient({ url: server.url });
    admin.on("error", () => undefined);
    await admin.connect();
  });
  afterAll(async () => {
    admin.destroy();
    await proxy.close();
    await server.stop();
  });

  /** Calls of each command since the statistics were reset, but for those of connecting and of this test. */
  async function commands(work: () => Promise<unknown>): Promise<Record<string, number>> {
    await admin.sendCommand(["CONFIG", "RESETSTAT"]);
    await work();
    const info = await admin.info("commandstats");
    const counts = [...info.matchAll(/^cmdstat_([^:]+):calls=(\d+)/gm)].map(
      ([, name = "", calls]) => [name, Number(calls)] as const,
    );
    return Object.fromEntries(counts.filter(([name]) => !OTHERS.test(name)));
  }
  const OTHERS = /^(config|info|hello|client|ping|command|select|flushall|script|auth)/;

  describe.each(CLIENTS)("by %s", (_name, make) => {
    let owned: OwnedClient;
    let store: RedisStore;

    beforeEach(async () => {
      await admin.flushAll();
      owned = make({ port: server.port });
      store = redisStore({ client: owned.client });
      // Connected, and the scripts are known.
      await store.put("warm", bytes, { version: fresh(), ifVersion: null, ...HOUR });
      await store.get("warm", { unlessVersion: "none" });
    });
    afterEach(async () => {
      await store.close();
      owned.dispose();
    });

    test("a read is one command, and so is a write, also one that loses", async () => {
      const first = fresh();
      await store.put("key", bytes, { version: first, ifVersion: null, ...HOUR });
      expect(await commands(() => store.get("key"))).toEqual({ get: 1 });
      const revalidated = await commands(() => store.get("key", { unlessVersion: first }));
      expect(revalidated).toEqual({ evalsha: 1, getrange: 1 });
      const won = await commands(() =>
        store.put("key", bytes, { version: fresh(), ifVersion: first, ...HOUR }),
      );
      expect(won).toEqual({ evalsha: 1, getrange: 1, set: 1 });
      let lost: unknown;
      const conflict = await commands(async () => {
        lost = await store.put("key", bytes, { version: fresh(), ifVersion: first, ...HOUR });
      });
      expect(conflict).toEqual({ evalsha: 1, getrange: 1, get: 1 });
      expect(lost).toMatchObject({ stored: false, current: { bytes } });
    });

    test("readings that begin together are one command for each 64, and everybody gets what lies under his key", async () => {
      const keys = Array.from({ length: 130 }, (_, index) => `key-${index}`);
      for (const key of keys.slice(1)) {
        await store.put(key, Buffer.from(key), { version: fresh(), ifVersion: null, ...HOUR });
      }
      let stored: Awaited<ReturnType<RedisStore["get"]>>[] = [];
      const together = await commands(async () => {
        stored = await Promise.all(keys.map((key) => store.get(key)));
      });
      expect(together).toEqual({ mget: 3 });
      const texts = stored.map((one) => (one && one !== "unchanged" ? String(one.bytes) : one));
      expect(texts).toEqual([undefined, ...keys.slice(1)]);
    });

    test("one of several readings that finds what another program wrote fails alone", async () => {
      await store.put("key", bytes, { version: fresh(), ifVersion: null, ...HOUR });
      await admin.set("foreign", "");
      const [good, bad] = await Promise.allSettled([store.get("key"), store.get("foreign")]);
      expect(good).toMatchObject({ status: "fulfilled", value: { bytes } });
      expect(bad).toMatchObject({ status: "rejected", reason: { code: "ERR_STORE_UNAVAILABLE" } });
    });

    test("a user who may not read several keys by one command reads them one by one", async () => {
      await admin.sendCommand(["ACL", "SETUSER", "lean", "on", ">pw", "~*", "&*", "+@all", "-mget"]);
      const lean = make({ port: server.port, username: "lean", password: "pw" });
      const one = redisStore({ client: lean.client });
      await one.put("key", bytes, { version: fresh(), ifVersion: null, ...HOUR });
      for (const refused of [1, 0]) {
        const found = await commands(async () => {
          expect(await Promise.all([one.get("key"), one.get("absent")])).toMatchObject([
            { bytes },
            undefined,
          ]);
        });
        expect(found).toEqual({ get: 2, ...(refused && { mget: 0 }) });
      }
      await one.close();
      lean.dispose();
    });

    test("a page of activity costs its rows and one look into the index, whatever there is beside it", async () => {
      for (let count = 0; count < 30; count += 1) {
        const row = activityRow({ accountKey: `n:${String(count).padStart(3, "0")}` });
        await store.activity.put(row, { revision: fresh(), ifRevision: null });
      }
      const page = await commands(() => store.activity.list({ limit: 10, cursor: "n:009" }));
      expect(page).toEqual({ zrangebylex: 1, get: 10 });
    });

    test("a server that has forgotten the scripts is given them again", async () => {
      await admin.sendCommand(["SCRIPT", "FLUSH"]);
      const put = await store.put("key", bytes, { version: fresh(), ifVersion: null, ...HOUR });
      expect(put).toEqual({ stored: true });
    });

    test("what Redis evicts or another program writes is told apart: absent, and an error", async () => {
      await admin.set("foreign", "");
      await expect(store.get("foreign")).rejects.toMatchObject({ code: "ERR_STORE_UNAVAILABLE" });
      await admin.lPush("list", "x");
      await expect(store.get("list")).rejects.toThrow(/another program/);
      expect(await store.get("absent")).toBeUndefined();
    });

    test("a row that was deleted while somebody created it anew stays in the index", async () => {
      const row = activityRow({ accountKey: "n:1" });
      const revision = fresh();
      await store.activity.put(row, { revision, ifRevision: null });
      const [deleted, created] = await Promise.all([
        store.activity.delete("n:1", { ifRevision: revision }),
        store.activity.put(row, { revision: fresh(), ifRevision: null }),
      ]);
      expect(deleted).toBe(true);
      if (!created.stored) await store.activity.put(row, { revision: fresh(), ifRevision: null });
      expect((await store.activity.list({ limit: 10 })).rows).toHaveLength(1);
    });

    test("an entry of the index without a row is forgotten by a listing", async () => {
      await admin.zAdd("{tokenkeep:activity}:index", { score: 0, value: "n:ghost" });
      await admin.hSet("{tokenkeep:activity}:marks", "n:ghost", "mark");
      expect((await store.activity.list({ limit: 10 })).rows).toEqual([]);
      expect(await admin.zCard("{tokenkeep:activity}:index")).toBe(0);
    });

    test("inspect reports an evicting policy, and configures nothing", async () => {
      expect(await store.inspect()).not.toContainEqual(expect.objectContaining({ code: "eviction-policy" }));
      await admin.configSet("maxmemory-policy", "allkeys-lru");
      try {
        const finding = { code: "eviction-policy", severity: "warning" };
        expect(await store.inspect()).toContainEqual(expect.objectContaining(finding));
        expect(await admin.configGet("maxmemory-policy")).toEqual({ "maxmemory-policy": "allkeys-lru" });
      } finally {
        await admin.configSet("maxmemory-policy", "noeviction");
      }
    });

    test("inspect of a server that cannot be reached fails: it has not refused anything", async () => {
      const client = make({ port: proxy.port });
      const cut = redisStore({ client: client.client });
      try {
        await cut.get("key");
        proxy.set({ kind: "refuse" });
        await expect(cut.inspect()).rejects.toMatchObject({ code: "ERR_STORE_UNAVAILABLE" });
      } finally {
        proxy.heal();
        await cut.close();
        client.dispose();
      }
    });

    test("a command that cannot be sent fails, and nothing of it comes to life when the server is back", async () => {
      const client = make({ port: proxy.port });
      const cut = redisStore({ client: client.client });
      try {
        await cut.put("key", bytes, { version: fresh(), ifVersion: null, ...HOUR });
        proxy.set({ kind: "refuse" });
        const late = cut.put("late", bytes, { version: fresh(), ifVersion: null, ...HOUR });
        await expect(late).rejects.toMatchObject({ code: "ERR_STORE_UNAVAILABLE" });
        await expect(cut.get("key")).rejects.toMatchObject({ code: "ERR_STORE_UNAVAILABLE" });
        proxy.heal();
        // Reconnected: the clients' own strategy decides when.
        await expect.poll(() => cut.get("key").catch(() => undefined), { timeout: 20_000 }).toBeTruthy();
        expect(await store.get("late")).toBeUndefined();
      } finally {
        proxy.heal();
        await cut.close();
        client.dispose();
      }
    });

    test("a write whose answer was lost fails, is not sent again, and has landed at most once", async () => {
      const client = make({ port: proxy.port });
      const cut = redisStore({ client: client.client });
      try {
        const first = fresh();
        await cut.put("key", bytes, { version: first, ifVersion: null, ...HOUR });
        proxy.set({ kind: "half-open" });
        const mine = fresh();
        const writing = cut.put("key", bytes, { version: mine, ifVersion: first, ...HOUR });
        const outcome = expect(writing).rejects.toMatchObject({ code: "ERR_STORE_UNAVAILABLE" });
        await expect.poll(() => store.get("key")).toMatchObject({ version: mine });
        const calls = await commands(async () => {
          proxy.heal();
          await outcome;
          await expect.poll(() => cut.get("key").catch(() => undefined), { timeout: 20_000 }).toBeTruthy();
        });
        expect(calls["set"]).toBeUndefined();
      } finally {
        proxy.heal();
        await cut.close();
        client.dispose();
      }
    });

    test("a subscriber whose connection is killed listens again, and the counter has moved meanwhile", async () => {
      const other = make({ port: server.port });
      const publisher = redisStore({ client: other.client });
      try {
        const heard: string[] = [];
        store.backplane.subscribe(({ key }) => void heard.push(key));
        const tell = async (key: string): Promise<void> => {
          await publisher.backplane.publish({ key, version: fresh() });
        };
        await expect.poll(async () => (await tell("before"), heard.includes("before"))).toBe(true);
        const before = await store.backplane.changeCounter();
        await admin.sendCommand(["CLIENT", "KILL", "TYPE", "pubsub"]);
        await tell("lost");
        expect(await store.backplane.changeCounter()).not.toBe(before);
        await expect
          .poll(async () => (await tell("after"), heard.includes("after")), { timeout: 20_000 })
          .toBe(true);
      } finally {
        await publisher.close();
        other.dispose();
      }
    });

    test("a removal is told, and the counter moves, also while the server's memory is full", async () => {
      const heard: string[] = [];
      store.backplane.subscribe(({ key }) => void heard.push(key));
      const tell = async (key: string): Promise<void> => {
        await store.backplane.publish({ key, version: fresh() });
      };
      await expect.poll(async () => (await tell("before"), heard.includes("before"))).toBe(true);
      const before = await store.backplane.changeCounter();
      await admin.configSet("maxmemory", "1");
      try {
        const put = store.put("key", bytes, { version: fresh(), ifVersion: null, ...HOUR });
        await expect(put).rejects.toMatchObject({ code: "ERR_STORE_FULL" });
        await tell("full");
      } finally {
        await admin.configSet("maxmemory", "0");
      }
      expect(await store.backplane.changeCounter()).not.toBe(before);
      await expect.poll(() => heard).toContain("full");
    });

    test("an address that leads to a replica after a failover is connected to anew, and leads to the new master", async () => {
      const promoted = await startRedis();
      const moving = await startFaultProxy(server.port);
      const client = make({ port: moving.port });
      const moved = redisStore({ client: client.client });
      const write = (key: string): Promise<unknown> =>
        moved.put(key, bytes, { version: fresh(), ifVersion: null, ...HOUR });
      try {
        await write("before");
        await admin.sendCommand(["REPLICAOF", "127.0.0.1", `${promoted.port}`]);
        moving.redirect(promoted.port);
        await expect(write("during")).rejects.toThrow(/this node is a replica/);
        const isWritten = (): Promise<unknown> => write("after").catch(() => undefined);
        await expect.poll(isWritten, { timeout: 10_000 }).toEqual({ stored: true });
      } finally {
        await admin.sendCommand(["REPLICAOF", "NO", "ONE"]);
        await moved.close();
        client.dispose();
        await moving.close();
        await promoted.stop();
      }
    });

    test("closing ends the store's own connections and leaves the caller's client alone", async () => {
      const connected = async (): Promise<number> =>
        Number((await admin.info("clients")).match(/connected_clients:(\d+)/)?.[1]);
      const before = await connected();
      const client = make({ port: server.port });
      const own = redisStore({ client: client.client });
      own.backplane.subscribe(() => undefined);
      await own.get("key");
      await own.close();
      await expect.poll(connected).toBe(before);
      await expect(own.get("key")).rejects.toMatchObject({ code: "ERR_CLOSED" });
      client.dispose();
    });

    test("no error quotes a key, a value or a command", async () => {
      await admin.lPush("key-of-somebody", "x");
      const put = store.put("key-of-somebody", Buffer.from("secret-bytes"), {
        version: fresh(),
        ifVersion: "v0",
        ...HOUR,
      });
      const error: unknown = await put.catch((failure: unknown) => failure);
      expect(inspect(error, { depth: 10, showHidden: true })).not.toMatch(
        /key-of-somebody|secret-bytes|EVALSHA/,
      );
    });
  });

  test.each(CLIENTS)(
    "by %s, no error quotes what a server that lacks a command was sent",
    async (_name, make) => {
      const strange = await startRedis({ args: ["--rename-command", "EVALSHA", ""] });
      const client = make({ port: strange.port });
      const store = redisStore({ client: client.client });
      try {
        const put = store.put("key-of-somebody", Buffer.from("secret-bytes"), {
          version: fresh(),
          ifVersion: null,
          ...HOUR,
        });
        const error: unknown = await put.catch((failure: unknown) => failure);
        expect(error).toMatchObject({ code: "ERR_STORE_UNAVAILABLE", cause: { message: "ERR" } });
        expect(inspect(error, { depth: 10, showHidden: true })).not.toMatch(
          /key-of-somebody|secret-bytes|EVALSHA/,
        );
      } finally {
        await store.close();
        client.dispose();
        await strange.stop();
      }
    },
  );

  test.each<[string, unknown]>([
    ["nothing", undefined],
    ["an address", "redis://127.0.0.1"],
    ["an object of another library", { get: () => undefined, set: () => undefined }],
    ["a client taken from a pool", { sendCommand: () => undefined, connect: () => undefined }],
  ])("%s is refused as a client, by the option's name", (_what, client) => {
    const making = (): unknown => redisStore({ client: client as never });
    expect(making).toThrow(expect.objectContaining({ option: "client" }));
    expect(making).toThrow(OptionsError);
  });

  test("the application's own client is neither connected nor changed", async () => {
    const node = createClient({ url: server.url });
    const io = new IoRedis(server.port, "127.0.0.1", { lazyConnect: true });
    for (const client of [node, io]) {
      const store = redisStore({ client });
      await store.get("key");
      await store.close();
    }
    expect(node.isOpen).toBe(false);
    expect(io.status).toBe("wait");
  });

  test("a wrong prefix and a misspelt option are named", () => {
    const { client } = nodeRedis({ port: server.port });
    expect(() => redisStore({ client, prefix: "a b" })).toThrow(
      expect.objectContaining({ option: "prefix" }),
    );
    expect(() => redisStore({ client, prefixx: "a" } as never)).toThrow(
      expect.objectContaining({ option: "prefixx" }),
    );
  });
});
