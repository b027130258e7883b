/** Keys page by page, and clean-up: of what has expired, and of what processes that died have left behind. */
import { readdir, rm } from "node:fs/promises";
import { join } from "node:path";
import { checkLimit, checkTextKey } from "./shared/arguments.ts";
import { createKeyIndex, readUpTo } from "./filesystem-index.ts";
import { isMissing } from "./filesystem-errors.ts";
import { tidyLock, UNSEEN_GONE_AFTER_MS, type LockContext } from "./filesystem-lock.ts";
import type { Calls } from "./filesystem-calls.ts";
import type { Cells, CellsContext } from "./filesystem-cells.ts";
import type { Header } from "./filesystem-format.ts";
import type { BlobAdmin } from "../store/blob-admin.ts";

const MAX_PAGE = 10_000;

/** The {@link BlobAdmin} of the records; expired leases are purged with them. `limit` is from 1 to 10,000. */
export function filesystemAdmin(
  { call, now }: Calls,
  records: Cells,
  leases: Cells,
  context: CellsContext,
): BlobAdmin {
  const index = createKeyIndex(records);
  const purges = [createPurge(records, now), createPurge(leases, now)];
  return {
    keys: ({ prefix, limit, cursor }) =>
      call("keys", async () => {
        checkLimit(limit, MAX_PAGE);
        checkTextKey("prefix", prefix);
        const found = await readUpTo(await index.keys(prefix, cursor), limit, async (key) => {
          const header = await records.readHeader(key);
          return header !== undefined && !hasExpired(header, now()) ? key : undefined;
        });
        const keys = found.slice(0, limit);
        const last = keys.at(-1);
        return last === undefined || found.length <= limit ? { keys } : { keys, cursor: last };
      }),
    purgeExpired: ({ limit }) =>
      call("purge", async () => {
        checkLimit(limit, MAX_PAGE);
        let purged = 0;
        for (const purge of purges) purged += await purge(limit - purged);
        await clearRemains(context);
        return purged;
      }),
  };
}

function hasExpired({ expiresAtMs }: Header, now: number): boolean {
  return expiresAtMs !== undefined && expiresAtMs <= now;
}

/** Every file has to be looked at, so each call goes on where the last one stopped. */
function createPurge(cells: Cells, now: () => number): (limit: number) => Promise<number> {
  let stoppedAt = "";
  return async (limit) => {
    if (limit === 0) return 0;
    const names = await cells.names();
    const start = names.findIndex((name) => name > stoppedAt);
    const ordered = start < 0 ? names : [...names.slice(start), ...names.slice(0, start)];
    let purged = 0;
    for (const name of ordered) {
      const header = await cells.headerOf(name).catch(() => undefined);
      if (header === undefined || !hasExpired(header, now())) continue;
      const isExpired = (current: Header | undefined): boolean =>
        current !== undefined && hasExpired(current, now());
      if (!(await cells.remove(header.key, isExpired)).done) continue;
      purged += 1;
      stoppedAt = name;
      if (purged === limit) break;
    }
    return purged;
  };
}

/**
 * Removes what processes that ended in the middle of a call left behind: half-written files, and locks. What
 * belongs to a living process is never touched; one that cannot be seen from here is left its time.
 */
export async function clearRemains({
  owner,
  runtime,
  work,
  locks,
}: CellsContext & LockContext): Promise<void> {
  const isLeft = async (name: string): Promise<boolean> => {
    const token = owner.parse(name);
    if (token === undefined) return false;
    const ended = await owner.hasEnded(token);
    return ended ?? runtime.now() - token.madeAtMs >= UNSEEN_GONE_AFTER_MS;
  };
  for (const name of await readdir(work)) {
    if (await isLeft(name)) await rm(join(work, name), { recursive: true, force: true });
  }
  for (const lock of await readdir(locks)) {
    for (const name of await namesIn(join(locks, lock))) {
      if (await isLeft(name)) await rm(join(locks, lock, name), { force: true });
    }
    await tidyLock(join(locks, lock));
  }
}

async function namesIn(folder: string): Promise<string[]> {
  try {
    return await readdir(folder);
  } catch (error) {
    if (isMissing(error)) return [];
    throw error;
  }
}
