/** A Redis server of the benchmark's own, and what meets on it: bare clients, caches over them, and ours. */
import KeyvRedis from "@keyv/redis";
import { BentoCache, bentostore } from "bentocache";
import { redisDriver } from "bentocache/drivers/redis";
import { Redis as IoRedis6 } from "ioredis-6";
import { Keyv } from "keyv";
import { createClient } from "redis";
import { redisStore } from "../../src/adapters/redis.ts";
import type { Tiers } from "../../src/tiers/tiers.ts";
import { redisProgram, startRedis, type RedisServer } from "../../test/services/redis.ts";
import { bytesTiers } from "./tiers.ts";

/** Runs `work` beside a server; without the program it says so, and there are no results. */
export async function withRedis<R>(
  work: (server: RedisServer) => Promise<readonly R[]>,
): Promise<readonly R[]> {
  if (!redisProgram) {
    console.error("redis-server is not here: left out");
    return [];
  }
  const server = await startRedis();
  try {
    return await work(server);
  } finally {
    await server.stop();
  }
}

type NodeRedis = Awaited<ReturnType<typeof nodeRedis>>;

/** A client whose answers are bytes. The type is long, and the library's own. */
// oxlint-disable-next-line typescript/explicit-function-return-type
export async function nodeRedis(url: string) {
  const client = createClient({ url });
  client.on("error", () => undefined);
  await client.connect();
  return client.withTypeMapping({ 36: Buffer });
}

async function ioRedis(url: string): Promise<IoRedis6> {
  const client = new IoRedis6(url, { lazyConnect: true });
  client.on("error", () => undefined);
  await client.connect();
  return client;
}

/** Everybody who keeps bytes in Redis. */
export interface RedisParties {
  readonly node: NodeRedis;
  readonly io: IoRedis6;
  readonly oursOnNode: Tiers<Uint8Array>;
  readonly oursOnIo: Tiers<Uint8Array>;
  readonly bento: BentoCache<{ redis: ReturnType<typeof bentostore> }>;
  readonly keyv: Keyv<string>;
  close(): Promise<void>;
}

/** All connected; nobody has a copy in memory. */
export async function redisParties({ url, port }: RedisServer): Promise<RedisParties> {
  const [node, io] = [await nodeRedis(url), await ioRedis(url)];
  const stores = { node: redisStore({ client: node }), io: redisStore({ client: io }) };
  const oursOnNode = bytesTiers(stores.node, { l1MaxBytes: false });
  const oursOnIo = bytesTiers(stores.io, { l1MaxBytes: false });
  const store = bentostore().useL2Layer(redisDriver({ connection: { port } }));
  const bento = new BentoCache({ default: "redis", stores: { redis: store } });
  const keyv = new Keyv<string>({ store: new KeyvRedis(url), namespace: "keyv" });
  return {
    node,
    io,
    oursOnNode,
    oursOnIo,
    bento,
    keyv,
    async close() {
      oursOnNode.close();
      oursOnIo.close();
      await Promise.all([stores.node.close(), stores.io.close(), bento.disconnect(), keyv.disconnect()]);
      node.destroy();
      io.disconnect();
    },
  };
}
