import type { AccountActivityRow, ActivityQuery } from "../../../src/store/account-activity-store.ts";
import type { Break, Fault, MemoryStore } from "./fault.ts";

export const ACTIVITY_FAULTS: readonly Fault[] = [
  [
    "ignores ifRevision",
    (store) => withActivity(store, { put: putAnyRow(store) }),
    "put writes the row only if its revision",
  ],
  [
    "ignores ifRevision",
    (store) => withActivity(store, { put: putAnyRow(store) }),
    "requires that there is no row",
  ],
  [
    "ignores ifRevision",
    (store) => withActivity(store, { put: putAnyRow(store) }),
    "at once exactly one writes",
  ],
  [
    "loses a field",
    (store) => withRow(store, (row) => ({ ...row, failureSubError: undefined })),
    "with every field",
  ],
  [
    "turns undefined into null",
    (store) => withRow(store, (row) => ({ ...row, name: row.name ?? (null as unknown as undefined) })),
    "fields that are undefined stay undefined",
  ],
  [
    "turns empty into undefined",
    (store) => withRow(store, (row) => ({ ...row, name: row.name || undefined })),
    "kept apart from undefined",
  ],
  [
    "delete ignores the revision",
    (store) => withActivity(store, { delete: deleteAnyRow(store) }),
    "delete removes the row only if",
  ],
  ["lists rows anew", relists, "listed exactly once"],
  ["pages by offset", pagesByOffset, "listed exactly once"],
  ["drops the last row of a page", dropsRows, "list is by account key"],
  ["filters a page after cutting it", filtersNothing("tenantId"), "list: tenantId"],
  [
    "answers an absent row with null",
    (store) =>
      withActivity(store, {
        get: async (k) => (await store.activity.get(k)) ?? (null as unknown as undefined),
      }),
    "a row that is not there",
  ],
  ["ignores every filter", filtersNothing(), "all filters together"],
  ["ignores status", filtersNothing("status"), "list: status, one"],
  ["ignores activeSince", filtersNothing("activeSince"), "list: activeSince is"],
  ["ignores idleSince", filtersNothing("idleSince"), "list: idleSince is"],
  ["ignores homeAccountId", filtersNothing("homeAccountId"), "list: homeAccountId"],
  ["ignores clientId", filtersNothing("clientId"), "list: clientId"],
  ["ignores keyPrefix", filtersNothing("keyPrefix"), "list: keyPrefix"],
];

function withActivity(store: MemoryStore, broken: Partial<MemoryStore["activity"]>): Partial<MemoryStore> {
  return { activity: { ...store.activity, ...broken } };
}

function withRow(
  store: MemoryStore,
  change: (row: AccountActivityRow) => AccountActivityRow,
): Partial<MemoryStore> {
  return withActivity(store, { put: (row, options) => store.activity.put(change(row), options) });
}

function putAnyRow({ activity }: MemoryStore): MemoryStore["activity"]["put"] {
  return async (row, options) => {
    for (;;) {
      const present = await activity.get(row.accountKey);
      const answer = await activity.put(row, { ...options, ifRevision: present?.revision ?? null });
      if (answer.stored) return answer;
    }
  };
}

function deleteAnyRow({ activity }: MemoryStore): MemoryStore["activity"]["delete"] {
  return async (key) => {
    const present = await activity.get(key);
    return present !== undefined && activity.delete(key, { ifRevision: present.revision });
  };
}

/** The second page begins with the last row of the first. */
function relists(store: MemoryStore): Partial<MemoryStore> {
  return withActivity(store, {
    async list(query) {
      if (query.limit < 2) return store.activity.list(query);
      const page = await store.activity.list(query);
      const before = page.rows.at(-2)?.row.accountKey;
      return page.cursor === undefined || before === undefined ? page : { ...page, cursor: before };
    },
  });
}

function pagesByOffset(store: MemoryStore): Partial<MemoryStore> {
  return withActivity(store, {
    async list({ cursor = "0", limit, ...query }) {
      const { rows } = await store.activity.list({ ...query, limit: 1_000 });
      const end = Number(cursor) + limit;
      const page = rows.slice(Number(cursor), end);
      return end >= rows.length ? { rows: page } : { rows: page, cursor: String(end) };
    },
  });
}

function dropsRows(store: MemoryStore): Partial<MemoryStore> {
  return withActivity(store, {
    async list(query) {
      const page = await store.activity.list(query);
      return page.cursor === undefined ? page : { ...page, rows: page.rows.slice(0, -1) };
    },
  });
}

/** Ignores one filter, or all of them. */
function filtersNothing(filter?: keyof ActivityQuery): Break {
  const isIgnored = (name: string): boolean =>
    filter === undefined ? name !== "limit" && name !== "cursor" : name === filter;
  return (store) =>
    withActivity(store, {
      list: (query) =>
        store.activity.list(
          Object.fromEntries(Object.entries(query).filter(([name]) => !isIgnored(name))) as typeof query,
        ),
    });
}
