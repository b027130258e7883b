/** Activity rows that name nobody: whose row it is stands sealed in it, and in the row's name. */
import type { Sealer } from "../envelope/sealer.ts";
import { TokenkeepError } from "../errors.ts";
import { partitionLabel, type Emit } from "../telemetry/emitter.ts";
import type { OpenFailureReason } from "../telemetry/events.ts";
import type {
  AccountActivityRow,
  AccountActivityStore,
  ActivityPage,
  ActivityQuery,
  StoredActivity,
} from "../store/account-activity-store.ts";
import type { Outdated } from "../store/outdated.ts";
import type { Naming } from "./naming.ts";

export interface HiddenRowsOptions {
  readonly sealer: Sealer;
  readonly namespace: string;
  readonly emit: Emit;
}

/** Rows of one naming. A row that cannot be opened is not there, or says why. */
export interface Rows {
  readonly naming: Naming;
  /** @throws `ERR_KEY_UNKNOWN`, `ERR_RECORD_UNSUPPORTED`, retryable */
  get(key: string): Promise<StoredActivity | undefined>;
  put(row: AccountActivityRow, how: { revision: string; ifRevision: string | null }): Promise<boolean>;
  delete(key: string, ifRevision: string): Promise<boolean>;
  /** `unreadable`: how many rows of the page are sealed under keys that are not here; `unopened`: those and refused ones. */
  list(
    query: ActivityQuery,
  ): Promise<ActivityPage & { readonly unreadable: number; readonly unopened: number }>;
}

/** What is sealed in a row. Short names: it is part of every row. */
interface Hidden {
  readonly k: string;
  readonly c: string;
  readonly h: string;
  readonly l: string;
  readonly t: string;
  readonly e: string;
  readonly u: string;
  readonly n?: string | undefined;
  /** Claims challenge and correlation id of a failure: the provider's own words about a person. */
  readonly fc?: string | undefined;
  readonly fi?: string | undefined;
  /** The application's properties, sealed by themselves; base64. */
  readonly p?: string | undefined;
}

export function rowsOf(store: AccountActivityStore, naming: Naming, options: HiddenRowsOptions): Rows {
  const { name } = naming;
  const rows = naming.hides ? hiddenRows(naming, options) : clearRows();

  async function get(key: string): Promise<StoredActivity | undefined> {
    const found = await store.get(name(key));
    if (!found) return undefined;
    const row = await rows.show(found.row, key);
    if (typeof row === "object") return { ...found, ...row };
    if (row === "refused") return { ...found, row: namedByKey(found.row, key) };
    throw unreadable();
  }

  return {
    naming,
    get,
    put: async (row, how) => (await store.put(rows.hide(row), how)).stored,
    delete: (key, ifRevision) => store.delete(name(key), { ifRevision }),
    async list(query) {
      const { keyPrefix = "", ...filters } = query;
      const page = await store.list(rows.query(filters, keyPrefix));
      let unreadableRows = 0;
      let refusedRows = 0;
      const shown: StoredActivity[] = [];
      for (const { row: stored, revision } of page.rows) {
        const opened = await rows.show(stored);
        if (opened === "unknown-key" || opened === "unsupported") unreadableRows += 1;
        else if (opened === "refused") refusedRows += 1;
        else if (opened.row.accountKey.startsWith(keyPrefix)) shown.push({ ...opened, revision });
      }
      return {
        ...page,
        rows: shown,
        unreadable: unreadableRows,
        unopened: unreadableRows + refusedRows,
      };
    },
  };
}

export function unreadable(): TokenkeepError {
  return new TokenkeepError("ERR_KEY_UNKNOWN", "an activity row is sealed under a key that is not here", {
    retryable: true,
  });
}

type Shown = Pick<StoredActivity, "row"> & Outdated;

interface RowForm {
  hide(row: AccountActivityRow): AccountActivityRow;
  show(row: AccountActivityRow, key?: string): Promise<Shown | OpenFailureReason>;
  query(filters: Omit<ActivityQuery, "keyPrefix">, keyPrefix: string): ActivityQuery;
}

function clearRows(): RowForm {
  return {
    hide: (row) => row,
    show: (row) => Promise.resolve({ row }),
    query: (filters, keyPrefix) => ({ ...filters, keyPrefix }),
  };
}

const FILTERED = ["clientId", "homeAccountId", "tenantId"] as const;

function hiddenRows(naming: Naming, { sealer, namespace, emit }: HiddenRowsOptions): RowForm {
  const context = (name: string): { namespace: string; key: string; kind: string } => ({
    namespace,
    key: name,
    kind: "activity-name",
  });
  return {
    hide(row) {
      const accountKey = naming.name(row.accountKey);
      const sealed = sealer.seal(Buffer.from(JSON.stringify(hiddenOf(row))), context(accountKey));
      return {
        ...row,
        accountKey,
        clientId: naming.field("clientId", row.clientId),
        homeAccountId: naming.field("homeAccountId", row.homeAccountId),
        tenantId: naming.field("tenantId", row.tenantId),
        localAccountId: "",
        environment: "",
        username: "",
        name: undefined,
        failureClaims: undefined,
        failureCorrelationId: undefined,
        sealedProperties: sealed,
      };
    },
    async show(row, key) {
      // A database may hand out text where bytes were.
      const bytes = row.sealedProperties instanceof Uint8Array ? row.sealedProperties : new Uint8Array();
      const opened = await sealer.openOrAsk(bytes, context(row.accountKey));
      const reason = opened.ok ? "refused" : opened.reason;
      const shown = opened.ok ? shownBy(row, opened.plaintext.toString("utf8")) : undefined;
      if (shown && opened.ok && naming.name(shown.accountKey) === row.accountKey) {
        return { row: shown, ...(opened.keyId !== sealer.keyId && { outdated: true }) };
      }
      emit({ type: "record-unreadable", partition: partitionLabel(key ?? row.accountKey), reason });
      return reason;
    },
    query(filters, _keyPrefix) {
      const hidden = FILTERED.flatMap((column) => {
        const text = filters[column];
        return text === undefined ? [] : [[column, naming.field(column, text)]];
      });
      return { ...filters, ...Object.fromEntries(hidden), keyPrefix: naming.prefix };
    },
  };
}

function hiddenOf(row: AccountActivityRow): Hidden {
  return {
    k: row.accountKey,
    c: row.clientId,
    h: row.homeAccountId,
    l: row.localAccountId,
    t: row.tenantId,
    e: row.environment,
    u: row.username,
    n: row.name,
    fc: row.failureClaims,
    fi: row.failureCorrelationId,
    p: row.sealedProperties && Buffer.from(row.sealedProperties).toString("base64"),
  };
}

function shownBy(row: AccountActivityRow, json: string): AccountActivityRow | undefined {
  try {
    const { k, c, h, l, t, e, u, n, fc, fi, p } = JSON.parse(json) as Hidden;
    if (![k, c, h, l, t, e, u].every((value) => typeof value === "string")) return undefined;
    return {
      ...row,
      accountKey: k,
      clientId: c,
      homeAccountId: h,
      localAccountId: l,
      tenantId: t,
      environment: e,
      username: u,
      name: n,
      failureClaims: fc,
      failureCorrelationId: fi,
      sealedProperties: p === undefined ? undefined : Buffer.from(p, "base64"),
    };
  } catch {
    return undefined;
  }
}

/** A row that somebody has damaged: the next sign-in fills it again, from what the key alone does not say. */
function namedByKey(row: AccountActivityRow, key: string): AccountActivityRow {
  const [, , clientId = "", , homeAccountId = ""] = key.split(":").map(decoded);
  const identity = { localAccountId: "", tenantId: "", environment: "", username: "" };
  return { ...row, ...identity, accountKey: key, clientId, homeAccountId, sealedProperties: undefined };
}

function decoded(part: string): string {
  try {
    return decodeURIComponent(part);
  } catch {
    return part;
  }
}
