/** The store of the demonstration: a place in the data folder, or a server of its own. */
import { join } from "node:path";
import pg from "pg";
import { createClient, RESP_TYPES } from "redis";
import { postgresStore } from "../../src/adapters/postgres.ts";
import type { DataFolder } from "./data-folder.ts";
import type { Haystack } from "./scan.ts";

/** What `--store` may say; the first is the default. */
export const STORE_KINDS = ["sqlite", "filesystem", "postgres", "redis"] as const;

export type StoreKind = (typeof STORE_KINDS)[number];

export interface DemoStore {
  /** As `openStore` takes it. */
  readonly location: string;
  /** Everything that lies in a server, as whoever may read it all would see it. Files are looked at beside it. */
  readonly contents: () => Promise<Haystack[]>;
  readonly stop: () => Promise<void>;
}

/** Makes the store ready for web app and worker. */
export async function prepareStore(kind: StoreKind, data: DataFolder): Promise<DemoStore> {
  if (kind === "postgres") return preparePostgres();
  if (kind === "redis") return prepareRedis();
  const location = kind === "sqlite" ? data.storePath : `filesystem:${join(data.path, "tokens")}`;
  return { location, contents: async () => [], stop: async () => undefined };
}

/** A server that `TOKENKEEP_POSTGRES_URL` names, else one that is started and ended with the demonstration. */
async function preparePostgres(): Promise<DemoStore> {
  const given = process.env["TOKENKEEP_POSTGRES_URL"];
  const server = given ? undefined : await startPostgresServer();
  const location = given ?? server?.url ?? "";
  const pool = new pg.Pool({ connectionString: location });
  pool.on("error", () => undefined);
  await postgresStore({ pool }).migrate();
  return {
    location,
    contents: () => dump(pool),
    async stop() {
      await pool.end();
      await server?.stop();
    },
  };
}

async function startPostgresServer(): Promise<{ readonly url: string; stop(): Promise<void> }> {
  const { ownPostgres, startPostgres } = await import("../../test/services/postgres.ts");
  if (ownPostgres?.program === undefined) {
    throw new Error(
      "there is no PostgreSQL server here; install postgresql-15, or set TOKENKEEP_POSTGRES_URL",
    );
  }
  return startPostgres(ownPostgres.program);
}

/** Rows as text, and the sealed bytes as they are. */
async function dump(pool: pg.Pool): Promise<Haystack[]> {
  const haystacks: Haystack[] = [];
  for (const table of ["records", "leases", "account_activity"]) {
    const { rows } = await pool.query<{ line: string }>(
      `SELECT t::text AS line FROM tokenkeep_${table} AS t`,
    );
    haystacks.push({ name: `table ${table}`, bytes: Buffer.from(rows.map(({ line }) => line).join("\n")) });
  }
  const { rows } = await pool.query<{ bytes: Buffer }>("SELECT bytes FROM tokenkeep_records");
  haystacks.push({ name: "sealed records", bytes: Buffer.concat(rows.map(({ bytes }) => bytes)) });
  return haystacks;
}

/** A server that `TOKENKEEP_REDIS_URL` names, else one that is started and ended with the demonstration. */
async function prepareRedis(): Promise<DemoStore> {
  const given = process.env["TOKENKEEP_REDIS_URL"];
  const server = given ? undefined : await startRedisServer();
  const location = given ?? server?.url ?? "";
  return {
    location,
    contents: () => dumpRedis(location),
    stop: async () => server?.stop(),
  };
}

async function startRedisServer(): Promise<{ readonly url: string; stop(): Promise<void> }> {
  const { redisProgram, startRedis } = await import("../../test/services/redis.ts");
  if (redisProgram === undefined) {
    throw new Error("there is no Redis server here; install redis-server, or set TOKENKEEP_REDIS_URL");
  }
  return startRedis();
}

/** Names as text, and what lies under them, byte for byte. */
async function dumpRedis(url: string): Promise<Haystack[]> {
  const client = redisClient(url);
  await client.connect();
  try {
    const names: string[] = [];
    for await (const found of client.scanIterator({ COUNT: 1_000 })) names.push(...found);
    const own = names.filter((name) => name.includes("tokenkeep"));
    const values = await Promise.all(own.map((name) => contentsOf(client, name)));
    return [
      { name: "names in Redis", bytes: Buffer.from(own.join("\n")) },
      { name: "values in Redis", bytes: Buffer.concat(values) },
    ];
  } finally {
    client.destroy();
  }
}

function redisClient(url: string) {
  const client = createClient({ url });
  client.on("error", () => undefined);
  return client;
}

async function contentsOf(client: ReturnType<typeof redisClient>, name: string): Promise<Buffer> {
  const bytes = client.withTypeMapping({ [RESP_TYPES.BLOB_STRING]: Buffer });
  switch (await client.type(name)) {
    case "string":
      return (await bytes.get(name)) ?? Buffer.alloc(0);
    case "hash":
      return Buffer.concat(Object.values(await bytes.hGetAll(name)));
    case "zset":
      return Buffer.from((await client.zRange(name, 0, -1)).join("\n"));
    default:
      return Buffer.alloc(0);
  }
}
