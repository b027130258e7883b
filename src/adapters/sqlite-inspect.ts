/** What an operator should know about a SQLite store. */
import type { DatabaseSync } from "node:sqlite";
import { statfsSync } from "node:fs";
import { isDamaged } from "./sqlite-errors.ts";
import { inspectFile } from "./sqlite-file.ts";
import { pragma } from "./sqlite-open.ts";
import type { Finding } from "../store/blob-store.ts";

/** A check reads the whole file and holds up the event loop; beyond this it is left to the operator. */
const MAX_CHECKED_BYTES = 64 * 1024 * 1024;

/** The magic numbers of statfs(2): NFS, CIFS, SMB, SMB2. */
const NETWORK_FILE_SYSTEMS: ReadonlySet<number> = new Set([0x6969, 0xff53_4d42, 0x517b, 0xfe53_4d42]);

const DAMAGED: Finding = Object.freeze({
  severity: "error",
  code: "integrity",
  message:
    "the database is damaged; stop all processes that use it, then restore the file or move it away with its " +
    "-wal and -shm (its users sign in again)",
});

/** Findings on permissions, journal mode, durability, size and integrity. Changes nothing. */
export function inspectDatabase(db: DatabaseSync, path: string, inode: number): Finding[] {
  return [...inspectFile(path, inode), ...inspectFileSystem(path), ...inspectContent(db)];
}

function inspectContent(db: DatabaseSync): Finding[] {
  try {
    return contentFindings(db);
  } catch (error) {
    if (isDamaged(error)) return [DAMAGED];
    throw error;
  }
}

function contentFindings(db: DatabaseSync): Finding[] {
  const bytes = Number(pragma(db, "page_count")) * Number(pragma(db, "page_size"));
  const free = Number(pragma(db, "freelist_count")) * Number(pragma(db, "page_size"));
  return [
    journalMode(String(pragma(db, "journal_mode"))),
    durability(Number(pragma(db, "synchronous"))),
    { severity: "info", code: "size", message: `${bytes} bytes, of which ${free} are free for reuse` },
    integrity(db, bytes),
  ];
}

function journalMode(mode: string): Finding {
  if (mode === "wal") return { severity: "info", code: "journal-mode", message: "journal mode is WAL" };
  const message = `journal mode is ${mode}, so that readers and writers wait for each other; another program changed it`;
  return { severity: "warning", code: "journal-mode", message };
}

function durability(synchronous: number): Finding {
  const message =
    synchronous >= 2
      ? "an acknowledged write survives a power failure"
      : "an acknowledged write survives a crash of the process, not a power failure";
  return { severity: "info", code: "durability", message };
}

function integrity(db: DatabaseSync, bytes: number): Finding {
  if (bytes > MAX_CHECKED_BYTES) {
    const message = "not checked because the file is large; run: PRAGMA quick_check";
    return { severity: "info", code: "integrity", message };
  }
  // The answer is not repeated: it may name what is in the damaged rows.
  const sound = pragma(db, "quick_check(1)") === "ok";
  if (sound) return { severity: "info", code: "integrity", message: "quick_check found no damage" };
  return DAMAGED;
}

function inspectFileSystem(path: string): Finding[] {
  if (!NETWORK_FILE_SYSTEMS.has(fileSystemType(path))) return [];
  const message =
    "the file is on a network file system, where SQLite's locks and WAL are not safe; use a local disk";
  return [{ severity: "error", code: "network-file-system", message }];
}

/** A file that is not there any more, or out of reach, has been reported as that already. */
function fileSystemType(path: string): number {
  try {
    return statfsSync(path).type;
  } catch {
    return 0;
  }
}
