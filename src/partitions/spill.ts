/** Results that wait for the store, kept in sealed files as well, so that a crash does not lose them. */
import { createHash } from "node:crypto";
import { closeSync, fsyncSync, lstatSync, mkdirSync, openSync, readdirSync, readFileSync } from "node:fs";
import { renameSync, rmSync, writeSync } from "node:fs";
import { join } from "node:path";
import type { Sealer } from "../envelope/sealer.ts";
import { OptionsError } from "../errors.ts";
import type { UnsavedEntry } from "./unsaved.ts";

/** One file a waiting result. A file that cannot be written or read costs durability, never a result. */
export interface Spill {
  write(key: string, entry: UnsavedEntry): void;
  remove(key: string): void;
  /** Takes over what processes that are gone have left behind; each file goes to one taker only. */
  adopt(): { readonly key: string; readonly entry: UnsavedEntry }[];
}

export interface SpillOptions {
  readonly folder: string;
  readonly sealer: Sealer;
  readonly namespace: string;
  readonly onFailure: (operation: string, error: unknown) => void;
}

const FILE_NAME = /^(\d+)-([A-Za-z0-9_-]{43})\.unsaved$/;

/** @throws {OptionsError} if the folder cannot be made, or others than its owner may enter it */
export function createSpill(options: SpillOptions): Spill {
  const { folder, onFailure } = options;
  prepareFolder(folder);

  function guarded<R>(operation: string, fallback: R, work: () => R): R {
    try {
      return work();
    } catch (error) {
      onFailure(operation, error);
      return fallback;
    }
  }

  return {
    write: (key, entry) =>
      guarded("spill write", undefined, () => {
        const bytes = options.sealer.seal(Buffer.from(JSON.stringify({ key, entry })), contextOf(options));
        writeWhole(join(folder, fileName(process.pid, key)), bytes);
      }),
    remove: (key) =>
      guarded("spill remove", undefined, () => {
        rmSync(join(folder, fileName(process.pid, key)), { force: true });
      }),
    adopt: () => guarded("spill adopt", [], () => leftBehind(folder).flatMap((file) => take(options, file))),
  };
}

function contextOf({ namespace }: SpillOptions): { namespace: string; key: string; kind: string } {
  return { namespace, key: "unsaved", kind: "spill" };
}

function prepareFolder(folder: string): void {
  try {
    mkdirSync(folder, { mode: 0o700, recursive: true });
    const stats = lstatSync(folder);
    if (stats.isDirectory() && (process.platform === "win32" || (stats.mode & 0o077) === 0)) return;
  } catch {
    throw new OptionsError("spillFolder", "cannot be created");
  }
  throw new OptionsError(
    "spillFolder",
    "must be a folder that only its owner may enter; run chmod 700 on it",
  );
}

/** The partition key names a user; a file name must not. */
function fileName(pid: number, key: string): string {
  return `${pid}-${createHash("sha256").update(key).digest("base64url")}.unsaved`;
}

/** Whole or not at all, also after a power failure. */
function writeWhole(path: string, bytes: Uint8Array): void {
  const draft = `${path}.draft`;
  const file = openSync(draft, "w", 0o600);
  try {
    writeSync(file, bytes);
    fsyncSync(file);
  } finally {
    closeSync(file);
  }
  renameSync(draft, path);
}

interface LeftFile {
  readonly name: string;
  readonly digest: string;
}

function leftBehind(folder: string): LeftFile[] {
  return readdirSync(folder).flatMap((name) => {
    const [, pid, digest] = FILE_NAME.exec(name) ?? [];
    return pid && digest && Number(pid) !== process.pid && !isAlive(Number(pid)) ? [{ name, digest }] : [];
  });
}

/** Renaming is how one process among several that start together becomes the taker. */
function take(options: SpillOptions, file: LeftFile): { key: string; entry: UnsavedEntry }[] {
  const mine = join(options.folder, `${process.pid}-${file.digest}.unsaved`);
  try {
    renameSync(join(options.folder, file.name), mine);
  } catch {
    return [];
  }
  const opened = options.sealer.open(readFileSync(mine), contextOf(options));
  // Kept where it is: another process, or this one with the right keys, may still open it.
  if (!opened.ok) throw new Error(`a spilled result cannot be opened: ${opened.reason}`);
  return [JSON.parse(opened.plaintext.toString("utf8")) as { key: string; entry: UnsavedEntry }];
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === "EPERM";
  }
}
