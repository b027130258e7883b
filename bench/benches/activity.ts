/** Paging through everybody's activity: a page must cost the same among a million rows as among ten thousand. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { redisStore } from "../../src/adapters/redis.ts";
import { sqliteStore } from "../../src/adapters/sqlite.ts";
import type { AccountActivityRow, AccountActivityStore } from "../../src/store/account-activity-store.ts";
import type { Benchmark } from "../lib/benchmark.ts";
import { compare, type Result, type Subject } from "../lib/compare.ts";
import { nodeRedis, withRedis } from "../lib/redis.ts";

const PAGE_ROWS = 1_000;
const LANES = 256;

export const activity: Benchmark = {
  title: `Pages of ${PAGE_ROWS.toLocaleString("en")} rows, one after the other, over and over`,
  async run({ pace, isQuick }) {
    const [few, many] = isQuick ? [1_000, 5_000] : [10_000, 1_000_000];
    const folder = mkdtempSync(join(tmpdir(), "tokenkeep-bench-"));
    const files = [few, many].map((rows) => ({ rows, ...sqliteRows(join(folder, `${rows}.db`), rows) }));
    try {
      return await withRedis(async ({ url }): Promise<Result[]> => {
        const client = await nodeRedis(url);
        const servers = [few, many].map((rows) => ({
          rows,
          store: redisStore({ client, prefix: `rows${rows}` }),
        }));
        for (const { rows, store } of servers) await fill(store.activity, rows);
        const subjects = [
          ...files.map(({ rows, store }) =>
            pages(`SQLite, ${rows.toLocaleString("en")} rows`, store.activity),
          ),
          ...servers.map(({ rows, store }) =>
            pages(`Redis, ${rows.toLocaleString("en")} rows`, store.activity),
          ),
        ];
        const results = await compare({
          bench: "activity",
          params: { pageRows: PAGE_ROWS },
          subjects,
          pace,
        });
        for (const { store } of servers) await store.close();
        client.destroy();
        return results;
      });
    } finally {
      for (const { store } of files) await store.close();
      rmSync(folder, { recursive: true, force: true });
    }
  },
};

/** The next page, from the first again after the last. */
function pages(name: string, store: AccountActivityStore): Subject {
  let cursor: string | undefined;
  return {
    name,
    async operation() {
      const page = await store.list({ keyPrefix: "bench:", limit: PAGE_ROWS, ...(cursor && { cursor }) });
      if (page.rows.length === 0) throw new Error("there are rows on every page");
      cursor = page.cursor;
    },
  };
}

function rowOf(index: number): AccountActivityRow {
  const id = index.toString(16).padStart(12, "0");
  const oid = `00000000-0000-4000-8000-${id}`;
  const tenantId = "11111111-1111-4111-8111-111111111111";
  return {
    accountKey: `bench:user:${oid}.${tenantId}`,
    clientId: "22222222-2222-4222-8222-222222222222",
    homeAccountId: `${oid}.${tenantId}`,
    localAccountId: oid,
    tenantId,
    environment: "login.microsoftonline.com",
    username: `user${index}@contoso.example`,
    name: undefined,
    status: "ok",
    failureCode: undefined,
    failureSubError: undefined,
    failureClaims: undefined,
    failureCorrelationId: undefined,
    failedAt: undefined,
    failedAttempts: 0,
    nextAttemptAt: undefined,
    createdAt: 1_700_000_000_000,
    lastActivityAt: 1_700_000_000_000 + index,
    lastSignInAt: 1_700_000_000_000,
    lastRefreshAt: undefined,
    lastWorkerRunAt: undefined,
    confirmed: true,
    credentialFingerprint: `fingerprint-${id}-of-22`,
    sealedProperties: undefined,
  };
}

async function fill(store: AccountActivityStore, rows: number): Promise<void> {
  let next = 0;
  const lane = async (): Promise<void> => {
    while (next < rows) await store.put(rowOf(next++), { revision: "r1", ifRevision: null });
  };
  await Promise.all(Array.from({ length: LANES }, lane));
}

/** A million writes that each wait for the disk take too long: the first row is the store's, the others its copies. */
function sqliteRows(path: string, rows: number): { readonly store: ReturnType<typeof sqliteStore> } {
  const made = sqliteStore({ path });
  const db = new DatabaseSync(path);
  const {
    accountKey: _key,
    homeAccountId: _home,
    localAccountId: _local,
    username: _name,
    ...common
  } = rowOf(0);
  const columns: Record<string, string | number> = {
    client_id: common.clientId,
    tenant_id: common.tenantId,
    environment: common.environment,
    status: common.status,
    failed_attempts: 0,
    created_at: common.createdAt,
    last_activity_at: common.lastActivityAt,
    confirmed: 1,
    revision: "r1",
  };
  const names = Object.keys(columns);
  const insert = db.prepare(
    `INSERT INTO account_activity (account_key, home_account_id, local_account_id, username, ${names.join(", ")})
     VALUES (?, ?, ?, ?, ${names.map(() => "?").join(", ")})`,
  );
  db.exec("BEGIN");
  for (let index = 0; index < rows; index += 1) {
    const { accountKey, homeAccountId, localAccountId, username } = rowOf(index);
    insert.run(accountKey, homeAccountId, localAccountId, username, ...Object.values(columns));
  }
  db.exec("COMMIT");
  db.close();
  return { store: made };
}
