/** The store of the demonstration: a place in the data folder, or a server of its own. */
import { join } from "node:path";
import pg from "pg";
import { postgresStore } from "../../src/adapters/postgres.ts";
import type { DataFolder } from "./data-folder.ts";
import type { Haystack } from "./scan.ts";

/** What `--store` may say; the first is the default. */
export const STORE_KINDS = ["sqlite", "filesystem", "postgres"] as const;

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
  const location = kind === "sqlite" ? data.storePath : `filesystem:${join(data.path, "tokens")}`;
  return { location, contents: async () => [], stop: async () => undefined };
}

/** A server that `TOKENKEEP_POSTGRES_URL` names, else one that is started and ended with the demonstration. */
async function preparePostgres(): Promise<DemoStore> {
  const given = process.env["TOKENKEEP_POSTGRES_URL"];
  const server = given ? undefined : await startServer();
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

async function startServer(): Promise<{ readonly url: string; stop(): Promise<void> }> {
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
