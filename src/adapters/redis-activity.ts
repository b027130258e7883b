/** Account activity: one key a row, and an index of their keys in order. */
import { matchesQuery } from "./shared/activity-query.ts";
import { checkLimit, checkTextKey } from "./shared/arguments.ts";
import { randomId } from "../runtime.ts";
import type { RedisDriver, RedisReply } from "./redis-client.ts";
import type { RedisConnection } from "./redis-connection.ts";
import { putValue } from "./redis-records.ts";
import { headOf, storedFrom } from "./redis-value.ts";
import { DELETE, INDEX_ADD, INDEX_REMOVE } from "./redis-scripts.ts";
import type {
  AccountActivityRow,
  AccountActivityStore,
  ActivityPage,
  ActivityQuery,
  StoredActivity,
} from "../store/account-activity-store.ts";

const MAX_PAGE = 1_000;
/** Of a listing whose filter lets few rows pass, one call looks at so many and hands out a short page. */
const MOST_ROWS_A_CALL = 5_000;
const FOR_EVER = "0";

/**
 * The {@link AccountActivityStore}. On a Cluster a row and the index lie on different nodes, so no script can
 * write both: the index learns of a row before the row is written and again after it, and forgets it only if
 * nobody has spoken of it since. It may know of rows that are gone; never the other way round.
 */
export function redisActivity(connection: RedisConnection, prefix: string): AccountActivityStore {
  const { call, run, runtime } = connection;
  // One hash tag: both live on one node.
  const index = `{${prefix}:activity}:index`;
  const marks = `{${prefix}:activity}:marks`;
  const keyOf = (accountKey: string): string => {
    checkTextKey("accountKey", accountKey);
    return `${prefix}:activity:${accountKey}`;
  };
  const mark = (driver: RedisDriver, accountKey: string): Promise<RedisReply> =>
    run(driver, INDEX_ADD, [index, marks], [accountKey, randomId(runtime)]);
  const markOf = (driver: RedisDriver, accountKey: string): Promise<RedisReply> =>
    driver.send(marks, ["HGET", marks, accountKey]);
  const unmark = async (driver: RedisDriver, accountKey: string, seen: RedisReply): Promise<void> => {
    if (Buffer.isBuffer(seen)) await run(driver, INDEX_REMOVE, [index, marks], [accountKey, seen]);
  };

  async function list(driver: RedisDriver, query: ActivityQuery): Promise<ActivityPage> {
    const rows: StoredActivity[] = [];
    let { cursor } = query;
    for (let looked = 0; ;) {
      const want = query.limit - rows.length;
      const keys = await keysAfter(driver, index, query.keyPrefix ?? "", cursor, want + 1);
      const page = keys.slice(0, want);
      const found = await Promise.all(page.map((key) => rowOf(driver, key)));
      rows.push(...found.filter((row) => row !== undefined).filter(({ row }) => matchesQuery(row, query)));
      looked += page.length;
      cursor = page.at(-1) ?? cursor;
      if (keys.length <= want) return { rows };
      if (rows.length === query.limit || looked >= MOST_ROWS_A_CALL) {
        return cursor === undefined ? { rows } : { rows, cursor };
      }
    }
  }

  async function rowOf(driver: RedisDriver, accountKey: string): Promise<StoredActivity | undefined> {
    const key = keyOf(accountKey);
    const reply = await driver.send(key, ["GET", key]);
    if (reply !== null && reply !== undefined) return rowFrom(reply);
    // Deleted, or not written yet. The mark is read before the row is looked for once more.
    const seen = await markOf(driver, accountKey);
    const again = await driver.send(key, ["GET", key]);
    if (again !== null && again !== undefined) return rowFrom(again);
    await unmark(driver, accountKey, seen);
    return undefined;
  }

  return {
    name: "redis",
    get: (accountKey) =>
      call("activity get", async (driver) => {
        const key = keyOf(accountKey);
        const reply = await driver.send(key, ["GET", key]);
        return reply === null || reply === undefined ? undefined : rowFrom(reply);
      }),
    put: (row, { revision, ifRevision }) =>
      call("activity put", async (driver) => {
        const { accountKey } = row;
        const key = keyOf(accountKey);
        const write = { bytes: bytesOf(row), version: revision, ifVersion: ifRevision, ttl: FOR_EVER };
        if (ifRevision !== null) return { stored: (await putValue(connection, driver, key, write)).stored };
        await mark(driver, accountKey);
        const { stored } = await putValue(connection, driver, key, write);
        if (stored) await mark(driver, accountKey);
        return { stored };
      }),
    delete: (accountKey, { ifRevision }) =>
      call("activity delete", async (driver) => {
        const key = keyOf(accountKey);
        const seen = await markOf(driver, accountKey);
        if ((await run(driver, DELETE, [key], [headOf(ifRevision)])) !== 1) return false;
        await unmark(driver, accountKey, seen);
        return true;
      }),
    list: (query) =>
      call("activity list", (driver) => {
        checkLimit(query.limit, MAX_PAGE);
        return list(driver, query);
      }),
  };
}

/** Redis orders members of one score by their bytes; so the range of a prefix ends before its bytes and 0xff. */
async function keysAfter(
  driver: RedisDriver,
  index: string,
  prefix: string,
  cursor: string | undefined,
  count: number,
): Promise<string[]> {
  const from = cursor === undefined ? (prefix === "" ? "-" : `[${prefix}`) : `(${cursor}`;
  const to = prefix === "" ? "+" : Buffer.concat([Buffer.from(`(${prefix}`), Buffer.of(0xff)]);
  const reply = await driver.send(index, ["ZRANGEBYLEX", index, from, to, "LIMIT", "0", String(count)]);
  return (reply as readonly RedisReply[]).map(String);
}

function bytesOf({ sealedProperties, ...row }: AccountActivityRow): Buffer {
  const sealed = sealedProperties && Buffer.from(sealedProperties).toString("base64");
  return Buffer.from(JSON.stringify({ ...row, sealedProperties: sealed }));
}

function rowFrom(reply: RedisReply): StoredActivity {
  const stored = storedFrom(reply);
  if (!stored) throw new Error("there is no row");
  const { sealedProperties, ...fields } = parsed(stored.bytes);
  const sealed =
    sealedProperties === undefined ? undefined : new Uint8Array(Buffer.from(sealedProperties, "base64"));
  return { row: { ...EMPTY, ...fields, sealedProperties: sealed }, revision: stored.version };
}

type StoredRow = Omit<AccountActivityRow, "sealedProperties"> & { readonly sealedProperties?: string };

/** @throws without quoting what is there */
function parsed(bytes: Uint8Array): StoredRow {
  try {
    return JSON.parse(Buffer.from(bytes).toString("utf8")) as StoredRow;
  } catch {
    throw new Error("a row is damaged");
  }
}

/** Fields that JSON leaves out where they are undefined. */
const EMPTY = {
  name: undefined,
  failureCode: undefined,
  failureSubError: undefined,
  failureClaims: undefined,
  failureCorrelationId: undefined,
  failedAt: undefined,
  nextAttemptAt: undefined,
  lastSignInAt: undefined,
  lastRefreshAt: undefined,
  lastWorkerRunAt: undefined,
  credentialFingerprint: undefined,
};
