/** A firewall forgets the connections there are and tells nobody: the store is well, and must be found again. */
import pg from "pg";
import { afterEach, describe, expect, test, vi } from "vitest";
import { postgresStore } from "../../src/adapters/postgres.ts";
import { redisStore } from "../../src/adapters/redis.ts";
import type { Store } from "../../src/store/store.ts";
import { ioRedis, nodeRedis, type OwnedClient, type Reach } from "../adapters/redis-clients.ts";
import { startFaultProxy } from "../services/fault-proxy.ts";
import { ownPostgres, startPostgres } from "../services/postgres.ts";
import { redisProgram, startRedis } from "../services/redis.ts";
import type { Server } from "../services/server.ts";

vi.setConfig({ testTimeout: 90_000, hookTimeout: 60_000 });

const POOL = 3;

interface Backend {
  readonly name: string;
  readonly isMissing: boolean;
  start(): Promise<Server>;
  open(port: number, server: Server): Promise<{ readonly store: Store; readonly dispose: () => unknown }>;
}

function redis(name: string, make: (reach: Reach) => OwnedClient): Backend {
  return {
    name,
    isMissing: !redisProgram,
    start: () => startRedis(),
    open: async (port) => {
      const { client, dispose } = make({ port });
      return { store: redisStore({ client }), dispose };
    },
  };
}

const BACKENDS: readonly Backend[] = [
  redis("Redis by node-redis", nodeRedis),
  redis("Redis by ioredis", ioRedis),
  {
    name: "PostgreSQL",
    isMissing: !ownPostgres,
    start: () => startPostgres(ownPostgres!.program!),
    open: async (port) => {
      const pool = new pg.Pool({
        connectionString: `postgres://tokenkeep@127.0.0.1:${port}/postgres`,
        max: POOL,
        connectionTimeoutMillis: 1_000,
      });
      const store = postgresStore({ pool });
      await store.migrate();
      return { store, dispose: () => pool.end() };
    },
  },
];

const closing: (() => unknown)[] = [];
afterEach(async () => {
  for (const close of closing.splice(0).toReversed()) await close();
});

describe.each(BACKENDS)("$name", ({ isMissing, start, open }) => {
  test.skipIf(isMissing)(
    "is found again in half a minute after every connection to it was forgotten",
    async () => {
      const server = await start();
      closing.push(() => server.stop());
      const proxy = await startFaultProxy(server.port);
      closing.push(() => proxy.close());
      const { store, dispose } = await open(proxy.port, server);
      closing.push(dispose, () => store.close?.());
      // As many calls at once as there may be connections.
      const readAll = (): Promise<unknown> =>
        Promise.all(Array.from({ length: POOL }, () => store.get("key")));
      await readAll();
      proxy.forget();
      readAll().catch(() => undefined);
      let isBack = false;
      const ask = async (): Promise<boolean> => {
        store.get("key").then(
          () => (isBack = true),
          () => undefined,
        );
        return isBack;
      };
      await expect.poll(ask, { timeout: 30_000, interval: 250 }).toBe(true);
    },
  );
});
