/** The keys behind the files' names, in their order. */
import type { Cells } from "./filesystem-cells.ts";

/** How many files are read at once: enough to keep the disk busy, and few open files. */
const READING_AT_ONCE = 16;

export interface KeyIndex {
  /** Every key there is a file for, ascending, that begins with `prefix` and comes after `cursor`. */
  keys(prefix: string, cursor: string | undefined): Promise<string[]>;
}

/**
 * A name always stands for the same key, so each file is read for its key once in a process's life. The
 * memory is one key a file.
 */
export function createKeyIndex(cells: Cells): KeyIndex {
  const known = new Map<string, string>();
  return {
    async keys(prefix, cursor) {
      const names = await cells.names();
      const present = new Set(names);
      for (const name of known.keys()) if (!present.has(name)) known.delete(name);
      const unknown = names.filter((name) => !known.has(name));
      const headers = await mapSome(unknown, (name) => cells.headerOf(name));
      unknown.forEach((name, at) => {
        const key = headers[at]?.key;
        if (key !== undefined) known.set(name, key);
      });
      return [...known.values()]
        .filter((key) => key.startsWith(prefix) && (cursor === undefined || key > cursor))
        .toSorted();
    },
  };
}

/** Like `Promise.all(items.map(work))`, with so many at a time. */
async function mapSome<Item, Result>(
  items: readonly Item[],
  work: (item: Item) => Promise<Result>,
): Promise<Result[]> {
  const results: Result[] = [];
  for (let start = 0; start < items.length; start += READING_AT_ONCE) {
    results.push(...(await Promise.all(items.slice(start, start + READING_AT_ONCE).map(work))));
  }
  return results;
}

/**
 * Reads in the order of `keys` what there is for each, until there are so many.
 * @returns one more than `limit` if there is more.
 */
export async function readUpTo<Result>(
  keys: readonly string[],
  limit: number,
  read: (key: string) => Promise<Result | undefined>,
): Promise<Result[]> {
  const found: Result[] = [];
  for (let start = 0; start < keys.length && found.length <= limit; start += READING_AT_ONCE) {
    const some = await Promise.all(keys.slice(start, start + READING_AT_ONCE).map(read));
    found.push(...some.filter((result) => result !== undefined));
  }
  return found.slice(0, limit + 1);
}
