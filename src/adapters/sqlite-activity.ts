/** The account activity table. */
import type { SQLInputValue, SQLOutputValue } from "node:sqlite";
import { checkLimit, checkTextKey } from "./shared/arguments.ts";
import { keyRange } from "./sqlite-range.ts";
import { ACTIVITY_COLUMNS } from "./sqlite-schema.ts";
import type { Connection } from "./sqlite-connection.ts";
import type {
  AccountActivityRow,
  AccountActivityStore,
  ActivityPage,
  ActivityQuery,
  StoredActivity,
} from "../store/account-activity-store.ts";

const MAX_PAGE = 1_000;

const FIELDS = Object.entries(ACTIVITY_COLUMNS).map(([field, definition]) => ({
  field: field as keyof AccountActivityRow,
  column: definition.slice(0, definition.indexOf(" ")),
}));

const COLUMNS = FIELDS.map(({ column }) => column).join(", ");

const SELECT = `SELECT ${COLUMNS}, revision FROM account_activity`;

const CREATE = `INSERT INTO account_activity (${COLUMNS}, revision)
VALUES (${FIELDS.map(() => "?").join(", ")}, ?) ON CONFLICT (account_key) DO NOTHING`;

const REPLACE = `UPDATE account_activity SET ${FIELDS.map(({ column }) => `${column} = ?`).join(", ")}, revision = ?
WHERE account_key = ? AND revision = ?`;

const DELETE = "DELETE FROM account_activity WHERE account_key = ? AND revision = ?";

/** The {@link AccountActivityStore} in the same database as the records. */
export function sqliteActivity({ call, statement }: Connection): AccountActivityStore {
  return {
    name: "sqlite",
    get: (accountKey) =>
      call("activity get", () => {
        checkTextKey("accountKey", accountKey);
        const found = statement(`${SELECT} WHERE account_key = ?`).get(accountKey);
        return found && storedActivity(found);
      }),
    put(row, { revision, ifRevision }) {
      const { accountKey } = row;
      const values = [...FIELDS.map(({ field }) => columnValue(row[field])), revision];
      return call("activity put", () => {
        checkTextKey("accountKey", accountKey);
        const { changes } =
          ifRevision === null
            ? statement(CREATE).run(...values)
            : statement(REPLACE).run(...values, accountKey, ifRevision);
        return { stored: changes === 1 };
      });
    },
    delete: (accountKey, { ifRevision }) =>
      call("activity delete", () => {
        checkTextKey("accountKey", accountKey);
        return statement(DELETE).run(accountKey, ifRevision).changes === 1;
      }),
    list: (query) =>
      call("activity list", () => {
        checkLimit(query.limit, MAX_PAGE);
        const { sql, values } = activityListSql(query);
        return page(
          statement(sql)
            .all(...values)
            .map(storedActivity),
          query.limit,
        );
      }),
  };
}

/**
 * One page by keyset: one row more than asked for, which says whether there is another page. The text
 * depends only on which filters are used, so it is one of a few that stay prepared.
 */
export function activityListSql(query: ActivityQuery): {
  readonly sql: string;
  readonly values: SQLInputValue[];
} {
  const range = keyRange("account_key", query.keyPrefix ?? "", query.cursor);
  const statuses = query.status === undefined ? undefined : [...new Set([query.status].flat())];
  // "+": with several statuses the index on status would need a sort for every page; the key does not.
  const anyStatus = `+status IN (${(statuses ?? []).map(() => "?").join(", ")})`;
  const filters: readonly (readonly [string, readonly SQLInputValue[] | undefined])[] = [
    [statuses?.length === 1 ? "status = ?" : anyStatus, statuses],
    ["last_activity_at >= ?", given(query.activeSince)],
    ["last_activity_at < ?", given(query.idleSince)],
    ["tenant_id = ?", given(query.tenantId)],
    ["home_account_id = ?", given(query.homeAccountId)],
    ["client_id = ?", given(query.clientId)],
    ...range,
  ];
  const used = filters.filter(([, values]) => values !== undefined);
  const where = used.length === 0 ? "" : ` WHERE ${used.map(([condition]) => condition).join(" AND ")}`;
  return {
    sql: `${SELECT}${where} ORDER BY account_key LIMIT ?`,
    values: [...used.flatMap(([, values]) => values ?? []), query.limit + 1],
  };
}

function given(value: SQLInputValue | undefined): readonly SQLInputValue[] | undefined {
  return value === undefined ? undefined : [value];
}

function page(found: readonly StoredActivity[], limit: number): ActivityPage {
  const rows = found.slice(0, limit);
  const last = rows.at(-1);
  return last === undefined || found.length <= limit ? { rows } : { rows, cursor: last.row.accountKey };
}

function columnValue(value: AccountActivityRow[keyof AccountActivityRow]): SQLInputValue {
  if (value === undefined) return null;
  // A copy, because the caller may reuse the bytes while this waits for a lock.
  if (value instanceof Uint8Array) return new Uint8Array(value);
  return typeof value === "boolean" ? Number(value) : value;
}

function storedActivity(columns: Record<string, SQLOutputValue>): StoredActivity {
  const values = FIELDS.map(({ field, column }) => [field, plain(columns[column])] as const);
  const row = Object.fromEntries(values) as unknown as AccountActivityRow;
  // SQLite has no booleans.
  return {
    row: { ...row, confirmed: plain(columns["confirmed"]) === 1 },
    revision: columns["revision"] as string,
  };
}

/** Integers are read as bigints; the nearest number is near enough for what only a tampered row can hold. */
function plain(value: SQLOutputValue | undefined): SQLOutputValue | undefined {
  return typeof value === "bigint" ? Number(value) : (value ?? undefined);
}
