/** The database file: who may read it, and what it may be. */
import { accessSync, closeSync, constants, lstatSync, openSync, statSync, type Stats } from "node:fs";
import { dirname } from "node:path";
import { TokenkeepError } from "../errors.ts";
import { reasonOf } from "./sqlite-errors.ts";
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
 * before SQLite opens it; SQLite gives `-wal` and `-shm` the same mode. And that this process is one who
 * may: SQLite opens what it may not write to without a word, and leaves a `-wal` behind that nobody may.
 * @returns whether it was created, and its inode; `undefined` if somebody removed it meanwhile.
 * @throws {TokenkeepError} ERR_STORE_OPEN for anything else; an existing file is never changed.
 */
export function prepareFile(path: string): { readonly created: boolean; readonly inode: number } | undefined {
  checkFolder(dirname(path));
  const created = createPrivate(path);
  // Looked at, not opened: closing any descriptor of this file would drop the locks that another
  // connection of this process holds on it (POSIX).
  const stats = statsOf(path);
  if (stats === undefined) return undefined;
  const [problem] = [{ path, stats }, ...companionsOf(path)].flatMap(problemsOf);
  if (problem !== undefined) throw openFailure(problem);
  return { created, inode: stats.ino };
}

/** True if what is at `path` is not that file any more; false where that cannot be seen. */
export function isGone(path: string, inode: number): boolean {
  try {
    return statsOf(path)?.ino !== inode;
  } catch {
    return false;
  }
}

/** What an operator should know about the file; `inode` is that of the file when it was opened. */
export function inspectFile(path: string, inode: number): Finding[] {
  try {
    const stats = statsOf(path);
    if (stats === undefined || stats.ino !== inode) {
      const message = `${path} has been removed or replaced since it was opened; restart the process`;
      return [{ severity: "error", code: "file-replaced", message }];
    }
    const problems = [{ path, stats }, ...companionsOf(path)].flatMap(problemsOf);
    return [...permissions(problems), ...inspectFolder(dirname(path))];
  } catch (error) {
    return permissions([`${path} cannot be looked at (${reasonOf(error)})`]);
  }
}

function permissions(problems: readonly string[]): Finding[] {
  if (problems.length > 0) {
    return problems.map((message) => ({ severity: "error", code: "permissions", message }));
  }
  return [{ severity: "info", code: "permissions", message: "only the owner may read the database" }];
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
    if ((error as NodeJS.ErrnoException).code === "EEXIST") return false;
    throw openFailure(`${path} cannot be created (${reasonOf(error)})`, error);
  }
}

interface SeenFile {
  readonly path: string;
  readonly stats: Stats;
}

function companionsOf(path: string): SeenFile[] {
  return COMPANIONS.flatMap((suffix) => {
    const stats = statsOf(path + suffix);
    return stats === undefined ? [] : [{ path: path + suffix, stats }];
  });
}

function statsOf(path: string): Stats | undefined {
  try {
    return lstatSync(path);
  } catch (error) {
    if (isMissing(error)) return undefined;
    throw error;
  }
}

function isMissing(error: unknown): boolean {
  const { code } = error as NodeJS.ErrnoException;
  return code === "ENOENT" || code === "ENOTDIR";
}

function problemsOf({ path, stats }: SeenFile): string[] {
  const problem = problemOf(path, stats) ?? accessProblem(path);
  return problem === undefined ? [] : [problem];
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

/** As the system answers it, so that access lists and read-only mounts count. */
function accessProblem(path: string): string | undefined {
  try {
    accessSync(path, constants.R_OK | constants.W_OK);
    return undefined;
  } catch (error) {
    // SQLite removes -wal and -shm when the last process closes.
    if (isMissing(error)) return undefined;
    return `this process may not read and write ${path} (${reasonOf(error)}); ${remedy(path, "600", error)}`;
  }
}

function checkFolder(folder: string): void {
  try {
    accessSync(folder, constants.W_OK | constants.X_OK);
  } catch (error) {
    if (isMissing(error)) {
      throw openFailure(`the folder ${folder} does not exist; create it with mode 700`, error);
    }
    const what = `this process may not create files in the folder ${folder} (${reasonOf(error)})`;
    throw openFailure(`${what}, as SQLite has to; ${remedy(folder, "700", error)}`, error);
  }
}

function remedy(path: string, mode: string, error: unknown): string {
  if ((error as NodeJS.ErrnoException).code === "EROFS") return "choose a file system that is not read-only";
  const id = process.geteuid?.();
  const user = id === undefined ? "the user that runs it" : `user ${id}, which runs it,`;
  return `make ${user} the owner, and run: chmod ${mode} ${path}`;
}

function inspectFolder(folder: string): Finding[] {
  const writableByOthers = HAS_MODES && (statSync(folder).mode & 0o022) !== 0;
  if (!writableByOthers) return [];
  const message = `others than the owner may write to ${folder} and could replace the database; use mode 700`;
  return [{ severity: "warning", code: "folder-permissions", message }];
}
