/** Account activity in this process's own memory. */
import { matchesQuery } from "./shared/activity-query.ts";
import { checkLimit } from "./shared/arguments.ts";
import type { AccountActivityStore, StoredActivity } from "../store/account-activity-store.ts";

const MAX_PAGE = 1_000;

/** An {@link AccountActivityStore} of this process, for tests and single-process use. */
export function memoryActivity(): AccountActivityStore {
  const rows = new Map<string, StoredActivity>();
  let sortedKeys: readonly string[] | undefined;
  return {
    name: "memory",
    async get(accountKey) {
      const stored = rows.get(accountKey);
      return stored && copy(stored);
    },
    async put(row, { revision, ifRevision }) {
      const present = rows.get(row.accountKey);
      if ((present?.revision ?? null) !== ifRevision) return { stored: false };
      if (present === undefined) sortedKeys = undefined;
      rows.set(row.accountKey, copy({ row, revision }));
      return { stored: true };
    },
    async delete(accountKey, { ifRevision }) {
      if (rows.get(accountKey)?.revision !== ifRevision) return false;
      sortedKeys = undefined;
      return rows.delete(accountKey);
    },
    async list(query) {
      checkLimit(query.limit, MAX_PAGE);
      sortedKeys ??= [...rows.keys()].toSorted();
      const found: StoredActivity[] = [];
      for (const key of sortedKeys) {
        if (query.cursor !== undefined && key <= query.cursor) continue;
        const stored = rows.get(key);
        if (stored === undefined || !matchesQuery(stored.row, query)) continue;
        const last = found.at(-1);
        if (last !== undefined && found.length === query.limit) {
          return { rows: found, cursor: last.row.accountKey };
        }
        found.push(copy(stored));
      }
      return { rows: found };
    },
  };
}

function copy({ row, revision }: StoredActivity): StoredActivity {
  const sealed = row.sealedProperties;
  return { row: { ...row, sealedProperties: sealed && new Uint8Array(sealed) }, revision };
}
