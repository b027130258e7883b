/** Account activity as files, one a row. */
import { matchesQuery } from "./shared/activity-query.ts";
import { checkLimit } from "./shared/arguments.ts";
import { createKeyIndex, readUpTo } from "./filesystem-index.ts";
import { damaged } from "./filesystem-format.ts";
import { nameOf, type Cells } from "./filesystem-cells.ts";
import type { Calls } from "./filesystem-calls.ts";
import type { Cell } from "./filesystem-format.ts";
import type {
  AccountActivityRow,
  AccountActivityStore,
  StoredActivity,
} from "../store/account-activity-store.ts";

const MAX_PAGE = 1_000;

/** The {@link AccountActivityStore} beside the records. The revision stands where a version would. */
export function filesystemActivity({ call }: Calls, cells: Cells): AccountActivityStore {
  const index = createKeyIndex(cells);
  const hasRevision = (revision: string | null) => (current: Cell | undefined) =>
    (current?.version ?? null) === revision;

  async function read(accountKey: string): Promise<StoredActivity | undefined> {
    const cell = await cells.read(accountKey);
    return cell && storedActivity(cell);
  }

  return {
    name: "filesystem",
    get: (accountKey) => call("activity get", () => read(accountKey)),
    put(row, { revision, ifRevision }) {
      // At once, because the caller may change its row while this waits for its turn.
      const bytes = encodeRow(row);
      return call("activity put", async () => {
        const next = { key: row.accountKey, version: revision, bytes };
        return { stored: (await cells.replace(next, hasRevision(ifRevision))).done };
      });
    },
    delete: (accountKey, { ifRevision }) =>
      call("activity delete", async () => (await cells.remove(accountKey, hasRevision(ifRevision))).done),
    list: (query) =>
      call("activity list", async () => {
        checkLimit(query.limit, MAX_PAGE);
        const keys = await index.keys(query.keyPrefix ?? "", query.cursor);
        const found = await readUpTo(keys, query.limit, async (key) => {
          const stored = await read(key);
          return stored !== undefined && matchesQuery(stored.row, query) ? stored : undefined;
        });
        const rows = found.slice(0, query.limit);
        const last = rows.at(-1);
        return last === undefined || found.length <= query.limit
          ? { rows }
          : { rows, cursor: last.row.accountKey };
      }),
  };
}

/** JSON has neither `undefined` nor bytes: `null` stands for the one, base64 for the other. */
function encodeRow({ sealedProperties, ...row }: AccountActivityRow): Uint8Array {
  const fields = Object.entries(row).map(([field, value]) => [field, value ?? null] as const);
  const sealed = sealedProperties === undefined ? null : Buffer.from(sealedProperties).toString("base64");
  return Buffer.from(JSON.stringify({ ...Object.fromEntries(fields), sealedProperties: sealed }), "utf8");
}

function storedActivity({ key, version, bytes }: Cell): StoredActivity {
  const fields = parse(key, bytes).map(([field, value]) => [field, value ?? undefined] as const);
  const row = Object.fromEntries(fields) as unknown as AccountActivityRow;
  const sealed: unknown = row.sealedProperties;
  const sealedProperties =
    typeof sealed === "string" ? new Uint8Array(Buffer.from(sealed, "base64")) : undefined;
  return { row: { ...row, accountKey: key, sealedProperties }, revision: version };
}

function parse(key: string, bytes: Uint8Array): [string, unknown][] {
  try {
    return Object.entries(JSON.parse(Buffer.from(bytes).toString("utf8")) as object);
  } catch {
    throw damaged(nameOf(key));
  }
}
