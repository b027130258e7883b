import type pg from "pg";
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import { postgresStore, type PostgresStoreOptions } from "../../src/adapters/postgres.ts";
import { randomId, systemRuntime } from "../../src/runtime.ts";
import {
  activityStoreContract,
  backplaneContract,
  blobAdminContract,
  blobStoreContract,
  refreshLeaseContract,
} from "../../src/testing/contract/index.ts";
import {
  createPool,
  ownPostgres,
  pgbouncerProgram,
  postgresVersions,
  startPgbouncer,
  startPostgres,
  type PostgresServer,
} from "../services/postgres.ts";

vi.setConfig({ testTimeout: 60_000, hookTimeout: 60_000 });

/** The suites wait for the server's clock, so they do so together. */
const runner = { test: test.concurrent, expect, describe };
const TTL_STEP_MS = 500;

interface Place {
  readonly url: () => string;
  readonly options?: Partial<PostgresStoreOptions>;
}

function contractOn(name: string, { url, options = {} }: Place): void {
  const schema = `tokenkeep_${randomId(systemRuntime)
    .toLowerCase()
    .replaceAll(/[^a-z0-9]/g, "_")
    .slice(0, 12)}`;
  let pools: readonly pg.Pool[] = [];
  let stores = 0;
  let writes = 0;

  beforeAll(async () => {
    pools = [1, 2].map(() => createPool(url()));
    await pools[0]?.query(`CREATE SCHEMA ${schema}`);
  });
  afterAll(async () => {
    await pools[0]?.query(`DROP SCHEMA ${schema} CASCADE`);
    await Promise.all(pools.map((pool) => pool.end()));
  });

  async function open() {
    const [first, other] = pools;
    if (first === undefined || other === undefined) throw new Error("unreachable");
    const tablePrefix = `t${(stores += 1)}_`;
    const [store, second] = [first, other].map((pool) =>
      postgresStore({ pool, schema, tablePrefix, ...options }),
    );
    if (store === undefined || second === undefined) throw new Error("unreachable");
    await store.migrate();
    return {
      store,
      second,
      fail: () => store.close(),
      async close() {
        await store.close();
        await second.close();
      },
    };
  }

  const capabilities = { canFail: true, ttlStepMs: TTL_STEP_MS };
  blobStoreContract({ ...runner, name, capabilities, open });
  activityStoreContract({
    ...runner,
    name,
    async open() {
      const opened = await open();
      return { ...opened, activity: opened.store.activity, second: opened.second.activity };
    },
  });
  blobAdminContract({
    ...runner,
    name,
    capabilities: { ttlStepMs: TTL_STEP_MS },
    async open() {
      const opened = await open();
      return { ...opened, admin: opened.store.admin };
    },
  });
  refreshLeaseContract({
    ...runner,
    name,
    capabilities,
    async open() {
      const opened = await open();
      return { ...opened, lease: opened.store.lease, second: opened.second.lease };
    },
  });
  backplaneContract({
    ...runner,
    name,
    capabilities: { messagesReachOthers: options.messages ?? true },
    async open() {
      const { store, second, ...opened } = await open();
      const kept = { version: "v", ifVersion: null, ttlMs: 60_000 };
      const write = () => store.put(`key ${(writes += 1)}`, Uint8Array.of(1), kept);
      return { ...opened, backplane: store.backplane, second: second.backplane, write };
    },
  });
}

for (const { name, program, url } of postgresVersions) {
  describe(name, () => {
    let server: PostgresServer | undefined;
    beforeAll(async () => {
      if (program !== undefined) server = await startPostgres(program);
    });
    afterAll(() => server?.stop());
    contractOn(name, { url: () => url ?? server?.url ?? "" });
  });
}

const pooled = ownPostgres?.program;

describe.runIf(pooled && pgbouncerProgram)("behind a transaction pooler", () => {
  let server: PostgresServer | undefined;
  let pooler: PostgresServer | undefined;
  beforeAll(async () => {
    server = await startPostgres(pooled ?? "");
    pooler = await startPgbouncer(server.port);
  });
  afterAll(async () => {
    await pooler?.stop();
    await server?.stop();
  });
  contractOn("PgBouncer", { url: () => pooler?.url ?? "", options: { messages: false } });
});
