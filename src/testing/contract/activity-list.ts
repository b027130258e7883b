/** Clauses: listing accounts by filter, page by page. */
import { activityRow, expectSameRow } from "./activity-rows.ts";
import { everyByte, fresh } from "./bytes.ts";
import type { ActivityContext } from "./activity-store.ts";
import type { Clause } from "./runner.ts";
import type {
  AccountActivityRow,
  AccountActivityStore,
  ActivityQuery,
  StoredActivity,
} from "../../store/account-activity-store.ts";

/** Four rows that differ in every field a filter speaks of. */
const ROWS: readonly AccountActivityRow[] = [
  {
    accountKey: "n%:1",
    status: "ok",
    lastActivityAt: 100,
    tenantId: "t1",
    homeAccountId: "h1",
    clientId: "c1",
  },
  {
    accountKey: "n%:2",
    status: "retry-later",
    lastActivityAt: 200,
    tenantId: "t1",
    homeAccountId: "h2",
    clientId: "c2",
  },
  {
    accountKey: "nx:3",
    status: "needs-interaction",
    lastActivityAt: 300,
    tenantId: "t2",
    homeAccountId: "h1",
    clientId: "c1",
  },
  {
    accountKey: "N%:4",
    status: "ok",
    lastActivityAt: 400,
    tenantId: "T1",
    homeAccountId: "H1",
    clientId: "C1",
  },
].map((fields) => activityRow(fields as Partial<AccountActivityRow> & { accountKey: string }));

/** A filter and the rows it lets through, by the end of their key. */
const FILTERS: readonly (readonly [title: string, query: Omit<ActivityQuery, "limit">, rows: string])[] = [
  ["no filter lists every row", {}, "1234"],
  ["status, one", { status: "ok" }, "14"],
  ["status, several", { status: ["ok", "retry-later"] }, "124"],
  ["status, none such", { status: "consent-required" }, ""],
  ["activeSince is lastActivityAt >= it", { activeSince: 200 }, "234"],
  ["idleSince is lastActivityAt < it", { idleSince: 200 }, "1"],
  ["activeSince and idleSince together", { activeSince: 100, idleSince: 400 }, "123"],
  ["tenantId, exactly", { tenantId: "t1" }, "12"],
  ["homeAccountId, exactly", { homeAccountId: "h1" }, "13"],
  ["clientId, exactly", { clientId: "c1" }, "13"],
  ["keyPrefix is the beginning of the key, in its own case and without wildcards", { keyPrefix: "n%" }, "12"],
  [
    "all filters together",
    {
      status: "ok",
      activeSince: 1,
      idleSince: 999,
      tenantId: "t1",
      homeAccountId: "h1",
      clientId: "c1",
      keyPrefix: "n",
    },
    "1",
  ],
];

const filterClauses: readonly Clause<ActivityContext>[] = FILTERS.map(([title, query, rows]) => ({
  title: `list: ${title}`,
  async check({ activity, expect }) {
    for (const row of ROWS) await activity.put(row, { revision: fresh(), ifRevision: null });
    // Once on one page and once with a page for each row: the filter must hold on every page.
    for (const limit of [1_000, 1]) {
      const found = await listAll(activity, { ...query, limit });
      const ends = found.map(({ row }) => row.accountKey.slice(-1)).toSorted();
      expect(ends.join("")).toBe(rows);
    }
  },
}));

export const activityListClauses: readonly Clause<ActivityContext>[] = [
  ...filterClauses,
  {
    title: "list hands out whole rows with their revisions",
    async check({ activity, expect }) {
      const row = activityRow({ accountKey: "key", sealedProperties: everyByte(), failureCode: undefined });
      const revision = fresh();
      await activity.put(row, { revision, ifRevision: null });
      const [found] = await listAll(activity, { limit: 10 });
      expect(found === undefined).toBe(false);
      if (found !== undefined) expectSameRow(expect, found, { row, revision });
    },
  },
  {
    title: "list is by account key, ascending, at most limit on a page, with no cursor on the last",
    async check({ activity, expect }) {
      const keys = ["b2", "a1", "c3", "a3", "b1", "a2"];
      for (const accountKey of keys) {
        await activity.put(activityRow({ accountKey }), { revision: fresh(), ifRevision: null });
      }
      for (const limit of [1, 4, 6, 7]) {
        const found = await listAll(activity, { limit }, (page) => {
          expect(page.length <= limit).toBe(true);
        });
        expect(found.map(({ row }) => row.accountKey)).toEqual(keys.toSorted());
      }
      expect(await listAll(activity, { limit: 5, keyPrefix: "d" })).toEqual([]);
    },
  },
  {
    title: "a row that exists during the whole listing is listed exactly once, whatever is written meanwhile",
    async check({ activity, second, expect }) {
      const lasting = Array.from({ length: 30 }, (_, index) => `k${String(index * 10).padStart(4, "0")}`);
      for (const accountKey of [...lasting, "k0005", "k0285"]) {
        await second.put(activityRow({ accountKey }), { revision: "first", ifRevision: null });
      }
      let pages = 0;
      const found = await listAll(activity, { limit: 4 }, async () => {
        pages += 1;
        // New rows before and behind the cursor, changed ones everywhere, and one of either side leaves.
        await insertAround(second, pages);
        for (const accountKey of lasting) await change(second, accountKey, pages);
        if (pages === 2) for (const key of ["k0005", "k0285"]) await remove(second, key);
      });
      const listed = found.map(({ row }) => row.accountKey);
      expect(new Set(listed).size).toBe(listed.length);
      expect(lasting.filter((key) => !listed.includes(key))).toEqual([]);
      expect(listed.includes("k0285")).toBe(false);
    },
  },
];

/** All pages together. `between` is called after each page. */
async function listAll(
  activity: AccountActivityStore,
  query: ActivityQuery,
  between: (page: readonly StoredActivity[]) => Promise<void> | void = () => {},
): Promise<StoredActivity[]> {
  const found: StoredActivity[] = [];
  let cursor: string | undefined;
  do {
    const page = await activity.list(cursor === undefined ? query : { ...query, cursor });
    found.push(...page.rows);
    cursor = page.cursor;
    await between(page.rows);
  } while (cursor !== undefined);
  return found;
}

async function insertAround(activity: AccountActivityStore, page: number): Promise<void> {
  for (const number of [page, 100 + page * 10 + 1]) {
    const row = activityRow({ accountKey: `k${String(number).padStart(4, "0")}` });
    await activity.put(row, { revision: fresh(), ifRevision: null });
  }
}

async function change(activity: AccountActivityStore, accountKey: string, page: number): Promise<void> {
  const found = await activity.get(accountKey);
  if (found === undefined) return;
  const row = { ...found.row, lastActivityAt: found.row.lastActivityAt + page, status: "ok" as const };
  await activity.put(row, { revision: fresh(), ifRevision: found.revision });
}

async function remove(activity: AccountActivityStore, accountKey: string): Promise<void> {
  const found = await activity.get(accountKey);
  if (found !== undefined) await activity.delete(accountKey, { ifRevision: found.revision });
}
