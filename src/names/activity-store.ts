/** The port of activity over rows that name nobody, also while they move from one naming to another. */
import type { AccountActivityStore } from "../store/account-activity-store.ts";
import type { Outdated } from "../store/outdated.ts";
import { countsUnopened } from "../store/unopened.ts";
import { rowsOf, unreadable, type HiddenRowsOptions, type Rows } from "./activity.ts";
import { hiddenPrefix } from "./naming.ts";
import type { Namings } from "./namings.ts";

export function nameActivity(
  store: AccountActivityStore,
  namings: Namings,
  options: HiddenRowsOptions,
): AccountActivityStore {
  const of = (naming: Namings["current"]): Rows => rowsOf(store, naming, options);
  const current = of(namings.current);
  const other = namings.other && of(namings.other);
  if (!other) return { name: store.name, ...portOf(current, [current]) };
  const [old, next] = namings.moves ? [toMove(other), current] : [current, other];
  // What moves meanwhile moves from the first to the second, and is found in one of them at least.
  return { name: store.name, ...movingPort(old, next, namings.moves), list: lister([old, next], options) };

  function portOf(rows: Rows, all: readonly Rows[]): Omit<AccountActivityStore, "name"> {
    return {
      get: (key) => rows.get(key),
      put: async (row, how) => ({ stored: await rows.put(row, how) }),
      delete: (key, { ifRevision }) => rows.delete(key, ifRevision),
      list: lister(all, options),
    };
  }
}

const outdated: Outdated = { outdated: true };

/** Rows that are to be written anew, if only for that. */
function toMove(rows: Rows): Rows {
  return {
    ...rows,
    async get(key) {
      const found = await rows.get(key);
      return found && { ...found, ...outdated };
    },
    async list(query) {
      const page = await rows.list(query);
      return { ...page, rows: page.rows.map((stored) => ({ ...stored, ...outdated })) };
    },
  };
}

function movingPort(
  old: Rows,
  next: Rows,
  moves: boolean,
): Pick<AccountActivityStore, "get" | "put" | "delete"> {
  type Port = Pick<AccountActivityStore, "get" | "put" | "delete">;

  async function get(key: string): ReturnType<Port["get"]> {
    // The old one first: a row that moves in between is found in the new one.
    const before = await old.get(key);
    return (await next.get(key)) ?? before;
  }

  async function put(...[row, how]: Parameters<Port["put"]>): Promise<boolean> {
    const { revision, ifRevision } = how;
    if (ifRevision === null) {
      if (await get(row.accountKey)) return false;
      // Movers and followers meet in one place; the sign-in that made the row confirms it, and so moves it.
      return old.put(row, how);
    }
    if (await next.put(row, how)) return true;
    if (!moves) return old.put(row, how);
    if ((await old.get(row.accountKey))?.revision !== ifRevision) return false;
    if (!(await next.put(row, { revision, ifRevision: null }))) return false;
    await old.delete(row.accountKey, ifRevision);
    return true;
  }

  return {
    get,
    put: async (row, how) => ({ stored: await put(row, how) }),
    async delete(key, { ifRevision }) {
      const before = await old.get(key);
      const gone = (await next.delete(key, ifRevision)) || (await old.delete(key, ifRevision));
      // What was left behind when the row moved must not come back in its place.
      if (gone && before && before.revision !== ifRevision) await old.delete(key, before.revision);
      return gone;
    },
  };
}

interface Cursor {
  /** Which of the namings. */
  readonly at: number;
  readonly inner?: string | undefined;
  /** Rows so far that are sealed under keys that are not here. */
  readonly lost: number;
}

/** One naming after the other. Rows that do not open are left out, and the listing then ends in an error. */
function lister(all: readonly Rows[], { namespace }: HiddenRowsOptions): AccountActivityStore["list"] {
  return async ({ cursor, ...query }) => {
    const from = cursor === undefined ? { at: 0, lost: 0 } : (JSON.parse(cursor) as Cursor);
    const rows = all[from.at];
    if (!rows) throw unreadable();
    const inner = from.inner === undefined ? {} : { cursor: from.inner };
    const page = await rows.list({ ...query, ...inner });
    const { unopened } = page;
    const lost = countsUnopened(query) ? 0 : from.lost + page.unreadable;
    const isClear = !rows.naming.hides;
    const kept = isClear
      ? page.rows.filter(({ row }) => !row.accountKey.startsWith(hiddenPrefix(namespace)))
      : page.rows;
    const to: Cursor =
      page.cursor === undefined ? { at: from.at + 1, lost } : { at: from.at, inner: page.cursor, lost };
    const isOver = to.at >= all.length && lost === 0;
    const found = { rows: kept, ...(unopened > 0 && { unopened }) };
    return isOver ? found : { ...found, cursor: JSON.stringify(to) };
  };
}
