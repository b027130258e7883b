/** The database file: who may read it, and what it may be. */
import { closeSync, constants, lstatSync, openSync, statSync, type Stats } from "node:fs";
import { dirname } from "node:path";
import { TokenkeepError } from "../errors.ts";
import type { Finding } from "../store/blob-store.ts";

/** What SQLite may put beside the file; each may hold whole records. */
const COMPANIONS = ["-wal", "-shm", "-journal"] as const;

const OTHERS_MAY = 0o077;

/** Windows has no mode bits; there the folder's access list decides. */
const HAS_MODES = process.platform !== "win32";

/** An ERR_STORE_OPEN, which is final until somebody changes the file or the path. */
export function openFailure(problem: string, cause?: unknown): TokenkeepError {
  return new TokenkeepError("ERR_STORE_OPEN", `store sqlite: ${problem}`, { cause });
}

/**
 * Makes sure that the file exists as a regular file which only its owner may read and write (mode 0600),
 * before SQLite opens it; SQLite gives `-wal` and `-shm` the same mode.
 * @throws {TokenkeepError} ERR_STORE_OPEN for anything else; an existing file is never changed.
 */
export function prepareFile(path: string): void {
  if (createPrivate(path)) return;
  // Looked at, not opened: closing any descriptor of this file would drop the locks that another
  // connection of this process holds on it (POSIX).
  const problem = problemOf(path, lstatSync(path));
  if (problem !== undefined) throw openFailure(problem);
  for (const companion of companionsOf(path)) {
    const other = problemOf(companion.path, companion.stats);
    if (other !== undefined) throw openFailure(other);
  }
}

/** What an operator should know about the file; `inode` is that of the file when it was opened. */
export function inspectFile(path: string, inode: number): Finding[] {
  const stats = lstatSync(path, { throwIfNoEntry: false });
  if (stats === undefined || stats.ino !== inode) {
    const message = `${path} has been removed or replaced since it was opened; restart the process`;
    return [{ severity: "error", code: "file-replaced", message }];
  }
  const files = [{ path, stats }, ...companionsOf(path)];
  const problems = files.flatMap((file) => problemOf(file.path, file.stats) ?? []);
  const findings: Finding[] = problems.map((message) => ({
    severity: "error",
    code: "permissions",
    message,
  }));
  if (findings.length === 0) {
    findings.push({ severity: "info", code: "permissions", message: "only the owner may read the database" });
  }
  return [...findings, ...inspectFolder(dirname(path))];
}

/** The file's inode, by which {@link inspectFile} sees that it was replaced. */
export function inodeOf(path: string): number {
  return lstatSync(path).ino;
}

/** @returns false if there is something at `path` already. */
function createPrivate(path: string): boolean {
  try {
    closeSync(openSync(path, constants.O_CREAT | constants.O_EXCL | constants.O_RDWR, 0o600));
    return true;
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === "EEXIST") return false;
    if (code === "ENOENT" || code === "ENOTDIR") {
      throw openFailure(`the folder ${dirname(path)} does not exist; create it with mode 700`, error);
    }
    throw openFailure(`${path} cannot be created`, error);
  }
}

function companionsOf(path: string): { readonly path: string; readonly stats: Stats }[] {
  return COMPANIONS.flatMap((suffix) => {
    const stats = lstatSync(path + suffix, { throwIfNoEntry: false });
    return stats === undefined ? [] : [{ path: path + suffix, stats }];
  });
}

function problemOf(path: string, stats: Stats): string | undefined {
  if (stats.isSymbolicLink()) return `${path} is a symbolic link; give the path of the file itself`;
  if (!stats.isFile()) return `${path} is not a regular file`;
  if (HAS_MODES && (stats.mode & OTHERS_MAY) !== 0) {
    const mode = (stats.mode & 0o777).toString(8);
    return `${path} has mode ${mode}, others than its owner may use it; run: chmod 600 ${path}`;
  }
  return undefined;
}

function inspectFolder(folder: string): Finding[] {
  const writableByOthers = HAS_MODES && (statSync(folder).mode & 0o022) !== 0;
  if (!writableByOthers) return [];
  const message = `others than the owner may write to ${folder} and could replace the database; use mode 700`;
  return [{ severity: "warning", code: "folder-permissions", message }];
}
