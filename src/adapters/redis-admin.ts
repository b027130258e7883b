/** Keys page by page. Redis has no order of keys, so a page is taken from a sorted part of a whole scan. */
import { checkLimit, checkTextKey } from "./shared/arguments.ts";
import type { RedisReply } from "./redis-client.ts";
import type { RedisConnection } from "./redis-connection.ts";
import type { BlobAdmin } from "../store/blob-admin.ts";

const MAX_PAGE = 10_000;
const SCAN_COUNT = "1000";
/** So many keys, the first in order, are kept from one scan for the pages that follow: some ten megabytes. */
const KEPT_KEYS = 100_000;

/** The keys of one prefix that come first after `after`; `isWhole`: there are no others. */
interface Part {
  readonly prefix: string;
  readonly after: string | undefined;
  readonly keys: readonly string[];
  readonly isWhole: boolean;
}

type Master = (args: readonly string[]) => Promise<RedisReply>;

/**
 * The {@link BlobAdmin}: for operators and clean-up, never on the path of a token. Each hundred thousand keys cost one
 * scan of the whole database. Redis drops what has expired by itself.
 */
export function redisAdmin({ call }: RedisConnection): BlobAdmin {
  let kept: Part | undefined;
  return {
    keys: ({ prefix, limit, cursor }) =>
      call("keys", async (driver) => {
        checkLimit(limit, MAX_PAGE);
        checkTextKey("prefix", prefix);
        if (!kept || kept.prefix !== prefix || !continues(kept, cursor)) {
          kept = await scan(await driver.masters(), prefix, cursor);
        }
        const from = firstAfter(kept.keys, cursor);
        const keys = kept.keys.slice(from, from + limit);
        const last = keys.at(-1);
        const isLast = kept.isWhole && from + limit >= kept.keys.length;
        if (isLast) kept = undefined;
        return isLast || last === undefined ? { keys } : { keys, cursor: last };
      }),
    purgeExpired: ({ limit }) =>
      call("purge", () => {
        checkLimit(limit, MAX_PAGE);
        return Promise.resolve(0);
      }),
  };
}

/** A listing from its beginning always looks anew. */
function continues({ keys, isWhole, after }: Part, cursor: string | undefined): boolean {
  if (cursor === undefined || (after !== undefined && compare(cursor, after) < 0)) return false;
  return isWhole || firstAfter(keys, cursor) < keys.length;
}

async function scan(masters: readonly Master[], prefix: string, after: string | undefined): Promise<Part> {
  const found = new Set<string>();
  let isWhole = true;
  const keep = (): void => {
    if (found.size <= KEPT_KEYS * 2) return;
    isWhole = false;
    const first = [...found].toSorted(compare).slice(0, KEPT_KEYS);
    found.clear();
    for (const key of first) found.add(key);
  };
  for (const send of masters) {
    let position = "0";
    do {
      const reply = await send([
        "SCAN",
        position,
        "MATCH",
        `${escaped(prefix)}*`,
        "COUNT",
        SCAN_COUNT,
        "TYPE",
        "string",
      ]);
      const [next, keys] = reply as readonly [RedisReply, readonly RedisReply[]];
      position = String(next);
      for (const bytes of keys) {
        const key = String(bytes);
        if (after === undefined || compare(key, after) > 0) found.add(key);
      }
      keep();
    } while (position !== "0");
  }
  const sorted = [...found].toSorted(compare);
  if (sorted.length > KEPT_KEYS) isWhole = false;
  return { prefix, after, keys: sorted.slice(0, KEPT_KEYS), isWhole };
}

function firstAfter(keys: readonly string[], cursor: string | undefined): number {
  if (cursor === undefined) return 0;
  let [low, high] = [0, keys.length];
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (compare(keys[middle] ?? "", cursor) > 0) high = middle;
    else low = middle + 1;
  }
  return low;
}

/** Any order will do that stays the same. */
function compare(a: string, b: string): number {
  if (a === b) return 0;
  return a < b ? -1 : 1;
}

/** Redis's glob characters, taken literally. */
function escaped(prefix: string): string {
  return prefix.replaceAll(/[\\*?[\]^]/g, String.raw`\$&`);
}
