/** The tables, their version, and how they come to be. */
import { createHash } from "node:crypto";
import { OptionsError } from "../errors.ts";
import { postgresFailure, schemaFailure, sqlStateOf } from "./postgres-errors.ts";
import type { AccountActivityRow } from "../store/account-activity-store.ts";
import type { PgClient, PgPool } from "./postgres-pool.ts";

/** In the table `meta`. A database with a larger one was migrated by a newer tokenkeep. */
export const SCHEMA_VERSION = 1;

/** The names of everything, quoted. */
export interface Names {
  readonly schema: string;
  readonly meta: string;
  readonly records: string;
  readonly leases: string;
  readonly activity: string;
  readonly changes: string;
  /** For LISTEN and NOTIFY. One channel for each set of tables: it is the whole database's. */
  readonly channel: string;
  /** The identifiers without quotes, for indexes. */
  readonly prefix: string;
}

/** No quotes, no upper case, and short enough that nothing made of it is cut off (63 bytes). */
const IDENTIFIER = /^[a-z_][a-z0-9_]{0,29}$/;

/** @throws {OptionsError} naming the option. */
export function namesOf(schema: string, tablePrefix: string): Names {
  for (const [option, value] of Object.entries({ schema, tablePrefix })) {
    if (typeof value === "string" && IDENTIFIER.test(value)) continue;
    throw new OptionsError(
      option,
      "must be 1 to 30 letters a to z, digits and _, and not begin with a digit",
    );
  }
  const name = (table: string): string => `"${schema}"."${tablePrefix}${table}"`;
  const hash = createHash("sha256").update(`${schema}.${tablePrefix}`).digest("hex").slice(0, 16);
  return {
    schema,
    prefix: tablePrefix,
    meta: name("meta"),
    records: name("records"),
    leases: name("leases"),
    activity: name("account_activity"),
    changes: name("changes"),
    channel: `tokenkeep_${hash}`,
  };
}

/** Every field of an activity row and its column. A field without a column does not compile. */
export const ACTIVITY_COLUMNS = Object.freeze({
  accountKey: 'account_key text COLLATE "C" PRIMARY KEY',
  clientId: "client_id text NOT NULL",
  homeAccountId: "home_account_id text NOT NULL",
  localAccountId: "local_account_id text NOT NULL",
  tenantId: "tenant_id text NOT NULL",
  environment: "environment text NOT NULL",
  username: "username text NOT NULL",
  name: "name text",
  status: "status text NOT NULL",
  failureCode: "failure_code text",
  failureSubError: "failure_sub_error text",
  failureClaims: "failure_claims text",
  failureCorrelationId: "failure_correlation_id text",
  failedAt: "failed_at bigint",
  failedAttempts: "failed_attempts bigint NOT NULL",
  nextAttemptAt: "next_attempt_at bigint",
  createdAt: "created_at bigint NOT NULL",
  lastActivityAt: "last_activity_at bigint NOT NULL",
  lastSignInAt: "last_sign_in_at bigint",
  lastRefreshAt: "last_refresh_at bigint",
  lastWorkerRunAt: "last_worker_run_at bigint",
  confirmed: "confirmed boolean NOT NULL",
  credentialFingerprint: "credential_fingerprint text",
  sealedProperties: "sealed_properties bytea",
} satisfies Record<keyof AccountActivityRow, string>);

/**
 * Version 1. Records: sealed bytes do not compress (EXTERNAL), and pages keep room for the next version of a
 * row. "C": keys compare byte by byte whatever the database's own collation is. The counter is a sequence,
 * which no transaction holds up and no crash sets back.
 */
function createTables({ meta, records, leases, activity, changes, prefix }: Names): string {
  return `
CREATE TABLE ${meta} (only_row boolean PRIMARY KEY DEFAULT true CHECK (only_row), version integer NOT NULL);
CREATE TABLE ${records} (
  key text COLLATE "C" PRIMARY KEY,
  version text NOT NULL,
  bytes bytea NOT NULL,
  expires_at timestamptz NOT NULL
) WITH (fillfactor = 80);
ALTER TABLE ${records} ALTER COLUMN bytes SET STORAGE EXTERNAL;
CREATE INDEX "${prefix}records_expiry" ON ${records} (expires_at);
CREATE TABLE ${leases} (
  key text COLLATE "C" PRIMARY KEY,
  owner text NOT NULL,
  expires_at timestamptz NOT NULL
);
CREATE TABLE ${activity} (
  ${Object.values(ACTIVITY_COLUMNS).join(",\n  ")},
  revision text NOT NULL
);
CREATE INDEX "${prefix}activity_home" ON ${activity} (home_account_id, account_key);
CREATE INDEX "${prefix}activity_tenant" ON ${activity} (tenant_id, account_key);
CREATE INDEX "${prefix}activity_status" ON ${activity} (status, account_key);
CREATE SEQUENCE ${changes};
INSERT INTO ${meta} (version) VALUES (${SCHEMA_VERSION});
`;
}

/**
 * Brings the tables to {@link SCHEMA_VERSION}, in one transaction; does nothing if they are. Processes that do
 * so at once wait for each other.
 * @throws {TokenkeepError} ERR_STORE_OPEN for a newer schema, which stays as it is.
 */
export async function migrate(pool: PgPool, names: Names): Promise<void> {
  let client: PgClient | undefined;
  const ignore = (): void => undefined;
  let isSound = false;
  try {
    client = await pool.connect();
    client.on("error", ignore);
    await client.query({ text: "BEGIN" });
    // For the length of the transaction, so that it is safe behind a transaction pooler too.
    const lock = `tokenkeep ${names.schema}.${names.prefix}`;
    await client.query({ text: "SELECT pg_advisory_xact_lock(hashtextextended($1, 0))", values: [lock] });
    await migrateLocked(client, names);
    await client.query({ text: "COMMIT" });
    isSound = true;
  } catch (error) {
    await client?.query({ text: "ROLLBACK" }).then(() => (isSound = true), ignore);
    throw postgresFailure("migrate", error);
  } finally {
    client?.removeListener("error", ignore);
    client?.release(!isSound);
  }
}

async function migrateLocked(client: PgClient, names: Names): Promise<void> {
  const found = await client.query({
    text: "SELECT to_regnamespace($1) IS NOT NULL AS schema, to_regclass($2) IS NOT NULL AS meta",
    values: [`"${names.schema}"`, names.meta],
  });
  const { schema, meta } = found.rows[0] ?? {};
  if (schema !== true) await client.query({ text: `CREATE SCHEMA "${names.schema}"` });
  if (meta === true) return checkVersion(await client.query({ text: versionQuery(names) }));
  await client.query({ text: createTables(names) });
}

function versionQuery({ meta }: Names): string {
  return `SELECT version FROM ${meta}`;
}

function checkVersion({ rows }: { readonly rows: Record<string, unknown>[] }): void {
  const version = rows[0]?.["version"];
  if (version === SCHEMA_VERSION) return;
  if (typeof version === "number" && version > SCHEMA_VERSION) {
    throw schemaFailure(
      `a newer tokenkeep migrated the tables to version ${version}; upgrade this process too`,
    );
  }
  throw schemaFailure("the table that holds the schema's version does not say it; restore it");
}

/**
 * The version in the database, as `query` reads it.
 * @throws {TokenkeepError} ERR_STORE_OPEN, naming migrate() if there are no tables.
 */
export async function checkSchema(
  names: Names,
  query: (text: string) => ReturnType<PgClient["query"]>,
): Promise<void> {
  checkVersion(await query(versionQuery(names)));
}

/** For `inspect()`: the same as a text, or `undefined` if all is well. */
export async function schemaProblem(
  names: Names,
  query: (text: string) => ReturnType<PgClient["query"]>,
): Promise<string | undefined> {
  try {
    await checkSchema(names, query);
    return undefined;
  } catch (error) {
    const known = sqlStateOf(error) === undefined ? error : postgresFailure("inspect", error);
    if (known instanceof Error && "code" in known && known.code === "ERR_STORE_OPEN") return known.message;
    throw error;
  }
}
