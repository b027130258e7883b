/** The stores of a drive, and everything that lies in them afterwards, byte by byte. */
import { chmodSync, mkdtempSync, readdirSync, readFileSync, rmSync, type Dirent } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Haystack } from "../../examples/demo/scan.ts";
import { filesystemStore } from "../../src/adapters/filesystem.ts";
import { memoryStore } from "../../src/adapters/memory.ts";
import { postgresStore } from "../../src/adapters/postgres.ts";
import { redisStore } from "../../src/adapters/redis.ts";
import { sqliteStore } from "../../src/adapters/sqlite.ts";
import type { Store } from "../../src/store/store.ts";
import { ioRedis, nodeRedis, type OwnedClient, type Reach } from "../adapters/redis-clients.ts";
import { createPool, ownPostgres, startPostgres } from "../services/postgres.ts";
import { redisProgram, startRedis } from "../services/redis.ts";

/** One backend that several processes share. */
export interface DriveBackend {
  /** Another process's link to it. */
  open(): Promise<Store>;
  /** All that has ever been written, where the backend keeps that; else all that lies there. */
  dump(): Promise<Haystack[]>;
  close(): Promise<void>;
}

export interface DriveStore {
  readonly name: string;
  start(): Promise<DriveBackend>;
}

/** Those whose programs are here. */
export const driveStores: readonly DriveStore[] = [
  { name: "memory", start: () => Promise.resolve(memory()) },
  {
    name: "SQLite",
    start: () => Promise.resolve(inFolder((path) => sqliteStore({ path: join(path, "db") }))),
  },
  {
    name: "filesystem",
    start: () => Promise.resolve(inFolder((path) => filesystemStore({ folder: join(path, "tokens") }))),
  },
  ...(ownPostgres?.program === undefined
    ? []
    : [{ name: ownPostgres.name, start: postgres(ownPostgres.program) }]),
  ...(redisProgram === undefined
    ? []
    : [
        { name: "Redis by node-redis", start: redis(nodeRedis) },
        { name: "Redis by ioredis", start: redis(ioRedis) },
      ]),
];

function memory(): DriveBackend {
  const store = memoryStore();
  return {
    open: () => Promise.resolve({ ...store, close: () => Promise.resolve() }),
    dump: () => portDump(store),
    close: () => Promise.resolve(store.close?.()),
  };
}

/** What the port hands out: the only way to look into memory. */
async function portDump(store: Store): Promise<Haystack[]> {
  const { keys } = await store.admin!.keys({ prefix: "", limit: 1_000 });
  const parts: Buffer[] = [];
  for (const key of keys) {
    const stored = await store.get(key);
    if (typeof stored !== "object") continue;
    parts.push(Buffer.from(`${key} ${stored.version} `), Buffer.from(stored.bytes));
  }
  const { rows } = await store.activity!.list({ limit: 1_000 });
  for (const { row, revision } of rows) {
    parts.push(Buffer.from(JSON.stringify({ ...row, revision, sealedProperties: undefined })));
    if (row.sealedProperties) parts.push(Buffer.from(row.sealedProperties));
  }
  return [{ name: "memory", bytes: Buffer.concat(parts) }];
}

function inFolder(open: (folder: string) => Store): DriveBackend {
  const folder = mkdtempSync(join(tmpdir(), "tokenkeep-canary-"));
  chmodSync(folder, 0o700);
  return {
    open: () => Promise.resolve(open(folder)),
    dump: () => Promise.resolve(filesIn(folder)),
    close: () => Promise.resolve(rmSync(folder, { recursive: true, force: true })),
  };
}

/** Names and contents of all files in a folder. */
export function filesIn(folder: string): Haystack[] {
  const isFile = (entry: Dirent): boolean => entry.isFile();
  const files = readdirSync(folder, { recursive: true, withFileTypes: true }).filter(isFile);
  const names = files.map((file) => join(file.parentPath, file.name));
  return [
    { name: "the names of files", bytes: Buffer.from(names.join("\n")) },
    ...names.map((name) => ({ name, bytes: readFileSync(name) })),
  ];
}

function postgres(program: string): () => Promise<DriveBackend> {
  return async () => {
    const server = await startPostgres(program, ["log_statement=all", "wal_level=logical"]);
    const pools = [createPool(server.url)];
    const store = postgresStore({ pool: pools[0]! });
    await store.migrate();
    return {
      open() {
        const pool = createPool(server.url);
        pools.push(pool);
        return Promise.resolve(postgresStore({ pool }));
      },
      async dump() {
        const { rows: tables } = await pools[0]!.query<{ name: string }>(
          "SELECT table_name AS name FROM information_schema.tables WHERE table_schema = 'public'",
        );
        const dumps = await Promise.all(
          tables.map(async ({ name }) => {
            const { rows } = await pools[0]!.query<{ row: string }>(`SELECT t::text AS row FROM "${name}" t`);
            return { name: `table ${name}`, bytes: Buffer.from(rows.map(({ row }) => row).join("\n")) };
          }),
        );
        // Whatever was ever written, whether or not it lies there still.
        return [
          ...dumps,
          ...filesIn(join(server.folder, "data", "pg_wal")),
          { name: "the server's log", bytes: Buffer.from(server.log()) },
        ];
      },
      async close() {
        await store.close?.();
        await Promise.all(pools.map((pool) => pool.end()));
        await server.stop();
      },
    };
  };
}

function redis(client: (reach: Reach) => OwnedClient): () => Promise<DriveBackend> {
  return async () => {
    // The append-only file keeps every command, also what has been overwritten or has expired since.
    const server = await startRedis({ args: ["--appendonly", "yes", "--appendfsync", "always"] });
    const owned: OwnedClient[] = [];
    return {
      open() {
        const own = client(server);
        owned.push(own);
        return Promise.resolve(redisStore({ client: own.client }));
      },
      dump: () => Promise.resolve(filesIn(server.folder)),
      async close() {
        for (const { dispose } of owned) dispose();
        await server.stop();
      },
    };
  };
}
