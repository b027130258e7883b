/** A folder of small files, each named by the hash of its key and replaced under its own lock. */
import { createHash } from "node:crypto";
import { mkdir, readdir, rename, rm, unlink } from "node:fs/promises";
import { join } from "node:path";
import { checkTextKey } from "./shared/arguments.ts";
import { encodeCell, type Cell, type Header } from "./filesystem-format.ts";
import { damaged } from "./filesystem-format.ts";
import { fileFailure, isMissing } from "./filesystem-errors.ts";
import { readCell, readHeader, syncFolder, writeNewFile } from "./filesystem-file.ts";
import { giveUpLock, takeLock, tidyLock, UNSEEN_GONE_AFTER_MS, type LockContext } from "./filesystem-lock.ts";
import type { Purpose, Token } from "./filesystem-owner.ts";

/** What became of a conditional change. */
export type ChangeResult =
  | { readonly done: true }
  | {
      readonly done: false;
      /** What is there instead. */
      readonly current: Cell | undefined;
    };

/** Decides under the lock, from what is there, whether the change is to be made. */
export type Condition = (current: Cell | undefined) => boolean;

export interface Cells {
  read(key: string): Promise<Cell | undefined>;
  readHeader(key: string): Promise<Header | undefined>;
  replace(next: Cell, condition: Condition, signal?: AbortSignal): Promise<ChangeResult>;
  remove(key: string, condition: Condition): Promise<ChangeResult>;
  /** The names of all files, sorted. */
  names(): Promise<string[]>;
  /** The header of the file with that name. */
  headerOf(name: string): Promise<Header | undefined>;
}

export interface CellsContext extends LockContext {
  readonly locks: string;
  readonly work: string;
  /** Whether a write waits for the disk, and whether also for the folder's entry. */
  readonly durability: "full" | "normal" | "none";
  /** Processes changes of one file in turn, so that this process does not wait for its own locks. */
  readonly inTurn: <T>(name: string, work: () => Promise<T>) => Promise<T>;
}

/** A holder stopped for longer than this no longer unlinks: others may have taken its lock away. */
const MAX_HOLDING_MS = UNSEEN_GONE_AFTER_MS / 2;

const NAME = /^[0-9a-f]{64}$/;

/** @param kind part of the locks' names, because all kinds of cells share a folder of locks */
export function createCells(context: CellsContext, folder: string, kind: string): Cells {
  const pathOf = (name: string): string => join(folder, name);
  const lockOf = (name: string): string => join(context.locks, `${kind}-${name}`);

  async function readOwn(key: string): Promise<Cell | undefined> {
    const name = nameOf(key);
    const cell = await readCell(pathOf(name));
    if (cell !== undefined && cell.key !== key) throw damaged(name);
    return cell;
  }

  async function withToken<T>(
    purpose: Purpose,
    content: Uint8Array,
    work: (token: Token, prepared: string) => Promise<T>,
  ): Promise<T> {
    const token = context.owner.createToken(purpose);
    const prepared = join(context.work, token.name);
    try {
      await mkdir(prepared, { mode: 0o700 });
      const sync = purpose === "put" && context.durability !== "none";
      await writeNewFile(join(prepared, token.name), content, sync);
      return await work(token, prepared);
    } finally {
      // Gone already if the lock was taken.
      await rm(prepared, { recursive: true, force: true }).catch(() => undefined);
    }
  }

  return {
    read: readOwn,
    async readHeader(key) {
      const name = nameOf(key);
      const header = await readHeader(pathOf(name));
      if (header !== undefined && header.key !== key) throw damaged(name);
      return header;
    },
    async replace(next, condition, signal) {
      const name = nameOf(next.key);
      const content = encodeCell(next);
      return context.inTurn(lockOf(name), async () => {
        signal?.throwIfAborted();
        // A conflict that can be seen without the lock costs no write.
        const before = await readOwn(next.key);
        if (!condition(before)) return { done: false, current: before };
        return withToken("put", content, async (token, prepared) => {
          await takeLock(context, prepared, lockOf(name), signal);
          const current = await underLock(lockOf(name), token, () => readOwn(next.key));
          if (!condition(current)) {
            await giveUpLock(lockOf(name), token);
            return { done: false, current };
          }
          await commit(join(lockOf(name), token.name), pathOf(name));
          await tidyLock(lockOf(name));
          if (context.durability === "full") await syncFolder(folder);
          return { done: true };
        });
      });
    },
    async remove(key, condition) {
      const name = nameOf(key);
      return context.inTurn(lockOf(name), async () => {
        const before = await readOwn(key);
        if (!condition(before)) return { done: false, current: before };
        return withToken("remove", new Uint8Array(0), async (token, prepared) => {
          await takeLock(context, prepared, lockOf(name));
          const heldSince = context.runtime.monotonicNow();
          try {
            const current = await readOwn(key);
            if (!condition(current)) return { done: false, current };
            if (context.runtime.monotonicNow() - heldSince > MAX_HOLDING_MS) throw lockLost();
            await unlink(pathOf(name));
          } finally {
            await giveUpLock(lockOf(name), token);
          }
          if (context.durability === "full") await syncFolder(folder);
          return { done: true };
        });
      });
    },
    async names() {
      return (await readdir(folder)).filter((name) => NAME.test(name)).toSorted();
    },
    async headerOf(name) {
      const header = await readHeader(pathOf(name));
      // A file that was moved here from another name is nobody's.
      return header !== undefined && nameOf(header.key) === name ? header : undefined;
    },
  };
}

/** The name of a key's file; no key can be read from it. */
export function nameOf(key: string): string {
  checkTextKey("key", key);
  return createHash("sha256").update(key, "utf8").digest("hex");
}

async function underLock<T>(lock: string, token: Token, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    await giveUpLock(lock, token);
    throw error;
  }
}

/** The one step that writes. It fails if the lock was taken away meanwhile: then nothing has happened. */
async function commit(content: string, path: string): Promise<void> {
  try {
    await rename(content, path);
  } catch (error) {
    throw isMissing(error) ? lockLost() : error;
  }
}

function lockLost(): Error {
  return fileFailure("this process held a lock for too long and lost it; nothing was written");
}

/** Runs what has the same name one after the other, in the order of the calls. */
export function createTurns(): CellsContext["inTurn"] {
  const last = new Map<string, Promise<unknown>>();
  return async (name, work) => {
    const turn = (last.get(name) ?? Promise.resolve()).then(work, work);
    last.set(name, turn);
    try {
      return await turn;
    } finally {
      if (last.get(name) === turn) last.delete(name);
    }
  };
}
