/** Results that wait for the store, kept in sealed files as well, so that a crash does not lose them. */
import { createHash } from "node:crypto";
import { closeSync, fsyncSync, lstatSync, mkdirSync, openSync, readdirSync, readFileSync } from "node:fs";
import { renameSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { blobFromObject } from "../blob/entities.ts";
import type { Sealer } from "../envelope/sealer.ts";
import { OptionsError } from "../errors.ts";
import { processName } from "../runtime.ts";
import type { Place } from "./change.ts";
import type { RemovalMarker, TokenRecord } from "./record.ts";
import type { UnsavedEntry } from "./unsaved.ts";

/** One file a waiting result. A file that cannot be written or read costs durability, never a result. */
export interface Spill {
  write(key: string, entry: UnsavedEntry): void;
  remove(key: string): void;
  /**
   * Takes over what processes that are gone have left behind; each file goes to one taker only.
   * @returns keys under which something else waits: their files are left for a later call
   */
  adopt(taker: Taker): readonly string[];
}

/** Who takes results over: one a key, because each is what its own process had made of the partition. */
export interface Taker {
  has(key: string): boolean;
  adopt(key: string, entry: UnsavedEntry): void;
}

export interface SpillOptions {
  readonly folder: string;
  readonly sealer: Sealer;
  readonly namespace: string;
  /** What a file is called after; default: the partition key itself. */
  readonly nameOf?: (key: string) => string;
  readonly onFailure: (operation: string, error: unknown) => void;
}

/** Version of what is inside a file. */
const SPILL_FORMAT = 1;

const FILE_NAME = /^((\d+)-[0-9a-z]+)-([A-Za-z0-9_-]{43})\.unsaved$/;

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
        const bytes = options.sealer.seal(
          Buffer.from(JSON.stringify({ f: SPILL_FORMAT, key, entry })),
          contextOf(options),
        );
        writeWhole(join(folder, fileName(digestOf(options, key))), bytes);
      }),
    remove: (key) =>
      guarded("spill remove", undefined, () => {
        rmSync(join(folder, fileName(digestOf(options, key))), { force: true });
      }),
    adopt(taker) {
      return guarded("spill adopt", [], () => leftBehind(folder)).flatMap((name) =>
        // One by one: a file that cannot be opened must not keep the others from being stored.
        guarded("spill adopt", [], () => take(options, name, taker)),
      );
    },
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
function digestOf({ nameOf = (own) => own }: SpillOptions, key: string): string {
  return createHash("sha256").update(nameOf(key)).digest("base64url");
}

function fileName(digest: string): string {
  return `${processName}-${digest}.unsaved`;
}

/** Whole or not at all, also after a power failure, and where the disk is full: then what was there stays. */
function writeWhole(path: string, bytes: Uint8Array): void {
  const draft = `${path}.draft`;
  try {
    writeDraft(draft, bytes);
    renameSync(draft, path);
  } catch (error) {
    rmSync(draft, { force: true });
    throw error;
  }
}

function writeDraft(path: string, bytes: Uint8Array): void {
  const file = openSync(path, "w", 0o600);
  try {
    // Not `writeSync`: on a disk that is nearly full that writes a part, and only its answer tells.
    writeFileSync(file, bytes);
    fsyncSync(file);
  } finally {
    closeSync(file);
  }
}

function leftBehind(folder: string): string[] {
  return readdirSync(folder).flatMap((name) => {
    const [, owner, pid] = FILE_NAME.exec(name) ?? [];
    if (!pid || owner === processName) return [];
    // Our own pid under another name: whoever had it before us is gone.
    return Number(pid) === process.pid || !isAlive(Number(pid)) ? [name] : [];
  });
}

/** Renaming is how one process among several that start together becomes the taker. */
function take(options: SpillOptions, name: string, taker: Taker): string[] {
  const left = join(options.folder, name);
  const opened = options.sealer.open(readFileSync(left), contextOf(options));
  // Kept as it is: another process, or a later one with the right keys, may still open it.
  if (!opened.ok) throw new Error(`a spilled result cannot be opened: ${opened.reason}`);
  const { key, entry } = spilledFrom(opened.plaintext.toString("utf8"));
  // Its file would take the place of the one that is there for the key.
  if (taker.has(key)) return [key];
  try {
    renameSync(left, join(options.folder, fileName(digestOf(options, key))));
  } catch {
    return [];
  }
  taker.adopt(key, entry);
  return [];
}

/** Authentic, and still perhaps another release's. @throws without quoting what was sealed */
function spilledFrom(text: string): { key: string; entry: UnsavedEntry } {
  try {
    const { f, key, entry } = JSON.parse(text) as { f: unknown; key: string; entry: UnsavedEntry };
    if (f === SPILL_FORMAT && isText(key)) return { key, entry: entryFrom(entry) };
  } catch {
    // Told below.
  }
  throw new Error("a spilled result is of another format");
}

function entryFrom(entry: UnsavedEntry): UnsavedEntry {
  const { kind, clientId, issuer, id } = entry.partition;
  mustHold(entry.weight > 0 && [kind, clientId, issuer, id].every(isText));
  switch (entry.kind) {
    case "tokens": {
      const { base, beneath, before, after, afterKnewOf, over, sinceMs } = entry;
      mustHold((after === undefined || isMarker(after)) && [over, afterKnewOf, sinceMs].every(isTime));
      mustHold(entry.signInId === undefined || isText(entry.signInId));
      const record = tokenRecordFrom(entry.record);
      return {
        ...entry,
        record,
        // An older release kept none.
        place: placeFrom(entry.place ?? record),
        base: base && tokenRecordFrom(base),
        beneath: beneath && blobFromObject(beneath),
        before: before && blobFromObject(before),
      };
    }
    case "removal":
      mustHold(isMarker(entry.marker) && isTime(entry.knewOf));
      return entry;
    case "stamp":
      mustHold(Number.isFinite(entry.signedOutAtMs));
      return entry;
    default:
      throw new TypeError("kind");
  }
}

function tokenRecordFrom(record: TokenRecord): TokenRecord {
  const { type, seq, signedInAtMs, afterMs, signIns = [] } = record;
  mustHold(type === "tokens" && Number.isFinite(seq) && isTime(signedInAtMs) && isTime(afterMs));
  mustHold(Array.isArray(signIns) && signIns.every(isText));
  placeFrom(record);
  return { ...record, blob: blobFromObject(record.blob) };
}

function placeFrom({ incarnation, provenance }: Place): Place {
  const origins = Object.values(provenance).flatMap(({ grant, generation }) => [grant, generation]);
  mustHold(isText(incarnation) && origins.every(Number.isFinite));
  return { incarnation, provenance };
}

function isTime(value: unknown): boolean {
  return value === undefined || Number.isFinite(value);
}

function isMarker({ type, incarnation = "none", seq, grant, removedAtMs }: RemovalMarker): boolean {
  return type === "removed" && isText(incarnation) && [seq, grant, removedAtMs].every(Number.isFinite);
}

function isText(value: unknown): boolean {
  return typeof value === "string" && value !== "";
}

function mustHold(holds: boolean): void {
  if (!holds) throw new TypeError("a field is of another type");
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === "EPERM";
  }
}
