import { Redis } from "ioredis";
import { createClient } from "redis";
import { afterAll, beforeAll, describe } from "vitest";
import { redisProgram, startRedis, type RedisServer } from "../services/redis.ts";
import { ioRedis, nodeRedis, type OwnedClient } from "./redis-clients.ts";
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

/** A server of somebody's own, whose database is emptied: so the address must name one, and it must be empty. */
const given = process.env["TOKENKEEP_REDIS_URL"];

// Not skipped where there is none: that is nothing left out.
describe.each(given ? [given] : [])("Redis of TOKENKEEP_REDIS_URL", (url) => {
  let admin: ReturnType<typeof createClient> | undefined;

  beforeAll(async () => {
    if (!/\/[1-9]\d*$/.test(url)) throw new Error("TOKENKEEP_REDIS_URL must name a database, e.g. …/15");
    admin = createClient({ url });
    await admin.connect();
    const keys = await admin.dbSize();
    if (keys === 0) return;
    admin.destroy();
    throw new Error(`the database of TOKENKEEP_REDIS_URL holds ${keys} keys: name an empty one`);
  });
  afterAll(async () => {
    if (!admin?.isOpen) return;
    await admin.flushDb();
    admin.destroy();
  });

  const flush = async (): Promise<unknown> => admin?.flushDb();
  const byNodeRedis = (): OwnedClient => {
    const client = createClient({ url });
    client.on("error", () => undefined);
    return { client, dispose: () => undefined };
  };
  const byIoRedis = (): OwnedClient => {
    const client = new Redis(url, { lazyConnect: true });
    client.on("error", () => undefined);
    return { client, dispose: () => client.disconnect() };
  };
  redisContracts("a given redis by node-redis", byNodeRedis, flush);
  redisContracts("a given redis by ioredis", byIoRedis, flush);
});
