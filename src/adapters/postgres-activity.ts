/** The account activity table. */
import { endOfPrefix } from "./shared/key-range.ts";
import { checkLimit, checkTextKey } from "./shared/arguments.ts";
import { ACTIVITY_COLUMNS } from "./postgres-schema.ts";
import {
  asBase64,
  fromBase64,
  guard,
  statement,
  type Connection,
  type Statement,
} from "./postgres-connection.ts";
import type {
  AccountActivityRow,
  AccountActivityStore,
  ActivityPage,
  ActivityQuery,
  StoredActivity,
} from "../store/account-activity-store.ts";

const MAX_PAGE = 1_000;

const FIELDS = Object.entries(ACTIVITY_COLUMNS).map(([field, definition]) => {
  const [column = "", type = ""] = definition.split(" ");
  return { field: field as keyof AccountActivityRow, column, type };
});

/** How a column is asked for: a bigint would come as text, and none of these is too large for a float. */
function readAs(column: string, type: string): string {
  if (type === "bigint") return `${column}::float8 AS ${column}`;
  return type === "bytea" ? `${asBase64(column)} AS ${column}` : column;
}

function statements({ activity }: Connection["names"]) {
  const columns = FIELDS.map(({ column }) => column);
  const select = `SELECT ${FIELDS.map(({ column, type }) => readAs(column, type)).join(", ")}, revision
FROM ${activity}`;
  const given = FIELDS.map((_, at) => `$${at + 1}`);
  const revision = FIELDS.length + 1;
  return {
    select,
    get: statement(`${select} WHERE account_key = $1`),
    create: statement(`WITH ${guard(revision + 1)}
INSERT INTO ${activity} (${columns.join(", ")}, revision)
SELECT ${FIELDS.map(({ type }, at) => `${given[at]}::${type}`).join(", ")}, $${revision}
FROM guard WHERE guard.is_set IS NOT NULL ON CONFLICT (account_key) DO NOTHING`),
    replace: statement(`WITH ${guard(revision + 2)}
UPDATE ${activity} SET ${columns.map((column, at) => `${column} = ${given[at]}`).join(", ")}, revision = $${revision}
FROM guard WHERE guard.is_set IS NOT NULL AND account_key = $1 AND revision = $${revision + 1}`),
    delete: statement(`WITH ${guard(3)}
DELETE FROM ${activity} USING guard WHERE guard.is_set IS NOT NULL AND account_key = $1 AND revision = $2`),
  };
}

/** The {@link AccountActivityStore} in the same database as the records. */
export function postgresActivity(connection: Connection): AccountActivityStore {
  const { run, lockTimeout } = connection;
  const sql = statements(connection.names);
  return {
    name: "postgres",
    async get(accountKey) {
      checkTextKey("accountKey", accountKey);
      const { rows } = await run("activity get", sql.get, [accountKey]);
      return rows[0] && storedActivity(rows[0]);
    },
    async put(row, { revision, ifRevision }) {
      checkTextKey("accountKey", row.accountKey);
      const values = [...FIELDS.map(({ field }) => columnValue(row[field])), revision];
      const { rowCount } =
        ifRevision === null
          ? await run("activity put", sql.create, [...values, lockTimeout])
          : await run("activity put", sql.replace, [...values, ifRevision, lockTimeout]);
      return { stored: rowCount === 1 };
    },
    async delete(accountKey, { ifRevision }) {
      checkTextKey("accountKey", accountKey);
      return (await run("activity delete", sql.delete, [accountKey, ifRevision, lockTimeout])).rowCount === 1;
    },
    async list(query) {
      checkLimit(query.limit, MAX_PAGE);
      const { listing, values } = activityListing(sql.select, query);
      const { rows } = await run("activity list", listing, values);
      return page(rows.map(storedActivity), query.limit);
    },
  };
}

/**
 * One page by keyset: one row more than asked for, which says whether there is another page. The text depends
 * only on which filters are used, so it is one of a few that stay prepared.
 */
function activityListing(
  select: string,
  query: ActivityQuery,
): { readonly listing: Statement; readonly values: unknown[] } {
  const prefix = query.keyPrefix || undefined;
  const filters: readonly (readonly [condition: (parameter: string) => string, value: unknown])[] = [
    [(p) => `status = ANY(${p}::text[])`, query.status && [...new Set([query.status].flat())]],
    [(p) => `last_activity_at >= ${p}::float8`, query.activeSince],
    [(p) => `last_activity_at < ${p}::float8`, query.idleSince],
    [(p) => `tenant_id = ${p}`, query.tenantId],
    [(p) => `home_account_id = ${p}`, query.homeAccountId],
    [(p) => `client_id = ${p}`, query.clientId],
    [(p) => `account_key >= ${p}`, prefix],
    [(p) => `account_key < ${p}`, prefix && endOfPrefix(prefix)],
    [(p) => `account_key > ${p}`, query.cursor],
  ];
  const used = filters.filter(([, value]) => value !== undefined);
  const conditions = used.map(([condition], at) => condition(`$${at + 1}`));
  const where = conditions.length === 0 ? "" : `WHERE ${conditions.join(" AND ")}`;
  return {
    listing: statement(`${select} ${where} ORDER BY account_key LIMIT $${used.length + 1}`),
    values: [...used.map(([, value]) => value), query.limit + 1],
  };
}

function page(found: readonly StoredActivity[], limit: number): ActivityPage {
  const rows = found.slice(0, limit);
  const last = rows.at(-1);
  return last === undefined || found.length <= limit ? { rows } : { rows, cursor: last.row.accountKey };
}

/** PostgreSQL's text holds no NUL; whoever has one in a name shall not be without a row for it. */
function columnValue(value: AccountActivityRow[keyof AccountActivityRow]): unknown {
  if (value instanceof Uint8Array) return Buffer.from(value);
  return typeof value === "string" ? value.replaceAll("\0", "\ufffd") : (value ?? null);
}

function storedActivity(columns: Record<string, unknown>): StoredActivity {
  const values = FIELDS.map(({ field, column, type }) => {
    const value = columns[column] ?? undefined;
    return [field, type === "bytea" && value !== undefined ? fromBase64(value) : value] as const;
  });
  return {
    row: Object.fromEntries(values) as unknown as AccountActivityRow,
    revision: columns["revision"] as string,
  };
}
