/** Real servers that several processes share, each by the same few handles. */
import { Redis } from "ioredis";
import { createClient } from "redis";
import { postgresStore } from "../../src/adapters/postgres.ts";
import { redisStore, type RedisStoreOptions } from "../../src/adapters/redis.ts";
import type { Store } from "../../src/store/store.ts";
import { redisProgram, startRedis } from "../services/redis.ts";
import { createPool, ownPostgres, startPostgres } from "../services/postgres.ts";

export interface SharedServer {
  readonly port: number;
  kill(): Promise<void>;
  restart(): Promise<void>;
  stop(): Promise<void>;
  /** A client of its own on that port, which may be a proxy's. `name` keeps tests apart. */
  open(port: number, name: string): Promise<{ readonly store: Store; close(): Promise<unknown> }>;
}

export interface SharedStore {
  readonly name: string;
  /** A server whose acknowledged writes survive a crash. */
  start(): Promise<SharedServer>;
}

/** Those whose programs are here. */
export const sharedStores: readonly SharedStore[] = [
  ...(redisProgram === undefined
    ? []
    : [
        { name: "Redis by node-redis", start: redis(nodeRedis) },
        { name: "Redis by ioredis", start: redis(ioRedis) },
      ]),
  ...(ownPostgres?.program === undefined
    ? []
    : [{ name: ownPostgres.name, start: postgres(ownPostgres.program) }]),
];

function nodeRedis(port: number): RedisStoreOptions["client"] {
  const socket = { reconnectStrategy: () => 50, connectTimeout: 1_000 };
  return createClient({ url: `redis://127.0.0.1:${port}`, socket });
}

function ioRedis(port: number): RedisStoreOptions["client"] {
  return new Redis({
    host: "127.0.0.1",
    port,
    lazyConnect: true,
    connectTimeout: 1_000,
    retryStrategy: () => 50,
  });
}

function redis(client: (port: number) => RedisStoreOptions["client"]): () => Promise<SharedServer> {
  return async () => {
    const server = await startRedis({ args: ["--appendonly", "yes", "--appendfsync", "always"] });
    return {
      ...server,
      open: async (port, name) => ({
        store: redisStore({ client: client(port), prefix: name }),
        // The caller's own client was never connected.
        close: () => Promise.resolve(),
      }),
    };
  };
}

function postgres(program: string): () => Promise<SharedServer> {
  return async () => {
    const server = await startPostgres(program, ["fsync=on"]);
    return {
      ...server,
      async open(port, name) {
        const url = server.url.replace(`:${server.port}/`, `:${port}/`);
        const pool = createPool(url, { connectionTimeoutMillis: 1_000 });
        const store = postgresStore({ pool, tablePrefix: `${name}_` });
        await store.migrate();
        return { store, close: () => pool.end() };
      },
    };
  };
}
