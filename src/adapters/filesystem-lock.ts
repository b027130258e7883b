/**
 * The lock of one file: a folder that its holder has moved into place, with the holder's token in it.
 *
 * - Taking it is one `rename` of a prepared folder, which succeeds only where there is none or an empty one.
 * - A `put` ends it by moving its token, which holds the new content, over the file. Whoever takes a lock away
 *   from a dead or stuck holder does so by unlinking exactly that token; the holder's move then fails. So two
 *   never win, whatever anybody believed about the other's life, and no clock is compared.
 * - A lock whose token is gone is empty, and free.
 */
import { readdir, rename, rmdir, unlink } from "node:fs/promises";
import { join } from "node:path";
import { codeOf, fileFailure, isMissing } from "./filesystem-errors.ts";
import { sleep, type Runtime } from "../runtime.ts";
import type { Owner, Token } from "./filesystem-owner.ts";

/** What taking a lock needs. */
export interface LockContext {
  readonly runtime: Runtime;
  readonly owner: Owner;
  /** How long to wait for other holders, ms. */
  readonly lockTimeoutMs: number;
}

/** A `put` holds its lock for one read and one rename; one seen for so long is stuck, and may lose it. */
const STUCK_AFTER_MS = 2_000;

/** For processes that cannot be looked at from here, such as those of another container. */
export const UNSEEN_GONE_AFTER_MS = 60_000;

const FIRST_WAIT_MS = 1;
const LONGEST_WAIT_MS = 25;

/**
 * Moves the folder `prepared`, which holds `token`, to `path`, as soon as nobody else has it.
 * @throws {TokenkeepError} ERR_STORE_UNAVAILABLE when `lockTimeoutMs` has passed, or what `signal` was aborted with.
 */
export async function takeLock(
  context: LockContext,
  prepared: string,
  path: string,
  signal?: AbortSignal,
): Promise<void> {
  const { runtime, lockTimeoutMs } = context;
  const startedAt = runtime.monotonicNow();
  const seen = new Map<string, number>();
  for (let waitMs = FIRST_WAIT_MS; ; waitMs = Math.min(waitMs * 2, LONGEST_WAIT_MS)) {
    // A write must not come to life after its caller has given up waiting for the lock.
    signal?.throwIfAborted();
    if (await movedInto(prepared, path)) return;
    if (await clearAbandoned(context, path, seen)) continue;
    const leftMs = lockTimeoutMs - (runtime.monotonicNow() - startedAt);
    if (leftMs <= 0) throw fileFailure("another process holds the lock of this record for too long");
    await sleep(runtime, Math.min(waitMs * (0.5 + runtime.jitter()), leftMs));
  }
}

/** Ends a holding without having written. */
export async function giveUpLock(path: string, token: Token): Promise<void> {
  await unlink(join(path, token.name)).catch(ignoreMissing);
  await tidyLock(path);
}

/** An empty lock is free already; this only leaves less behind. */
export async function tidyLock(path: string): Promise<void> {
  await rmdir(path).catch(() => undefined);
}

/**
 * Takes the lock away from whoever has ended, or has been seen in it for too long.
 * @returns whether it may be free now, so that trying again at once makes sense.
 */
async function clearAbandoned(
  context: LockContext,
  path: string,
  seen: Map<string, number>,
): Promise<boolean> {
  const names = await readdir(path).catch((error: unknown) => {
    if (isMissing(error)) return [];
    throw error;
  });
  const now = context.runtime.monotonicNow();
  for (const name of names) {
    const firstSeenAt = seen.get(name) ?? now;
    seen.set(name, firstSeenAt);
    if (!(await isAbandoned(context, name, now - firstSeenAt))) return false;
    await unlink(join(path, name)).catch(ignoreMissing);
  }
  // Where a folder cannot be moved over an empty one, on Windows, an empty lock must not stay.
  await tidyLock(path);
  return true;
}

async function isAbandoned({ owner, runtime }: LockContext, name: string, seenMs: number): Promise<boolean> {
  const token = owner.parse(name);
  if (token === undefined) return seenMs >= STUCK_AFTER_MS;
  const ended = await owner.hasEnded(token);
  if (ended === true) return true;
  if (token.purpose === "put") return seenMs >= STUCK_AFTER_MS;
  return ended === undefined && runtime.now() - token.madeAtMs >= UNSEEN_GONE_AFTER_MS;
}

async function movedInto(prepared: string, path: string): Promise<boolean> {
  try {
    await rename(prepared, path);
    return true;
  } catch (error) {
    if (["ENOTEMPTY", "EEXIST", "EPERM"].includes(codeOf(error) ?? "")) return false;
    throw error;
  }
}

function ignoreMissing(error: unknown): void {
  if (!isMissing(error)) throw error;
}
