/** Where the demonstration keeps its SQLite file and its keys. */
import { lstatSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join, resolve } from "node:path";
import { systemRuntime, writeNewKeyFile } from "../../src/index.ts";
import type { Haystack } from "./scan.ts";

export interface DataFolder {
  readonly path: string;
  readonly storePath: string;
  /** Seals the token cache. */
  readonly keyFile: string;
  /** Seals the session cookies. */
  readonly sessionKeyFile: string;
}

/**
 * Opens the folder; makes it (mode 0700) and the keys (mode 0600) where there are none.
 * @throws {Error} that says what is wrong with the path
 */
export function openDataFolder(path: string): DataFolder {
  const folder = resolve(path);
  makeFolder(folder);
  const there = lstatSync(folder);
  if (there.isSymbolicLink()) throw new Error(`${folder} is a symbolic link; name the folder it leads to`);
  if (!there.isDirectory()) throw new Error(`${folder} is not a folder`);
  if (process.platform !== "win32" && (there.mode & 0o077) !== 0) {
    throw new Error(`${folder} is open to others than its owner; run: chmod 700 ${folder}`);
  }
  const data: DataFolder = {
    path: folder,
    storePath: join(folder, "tokens.db"),
    keyFile: join(folder, "tokens.key"),
    sessionKeyFile: join(folder, "session.key"),
  };
  writeNewKeyFile(data.keyFile, systemRuntime);
  writeNewKeyFile(data.sessionKeyFile, systemRuntime);
  return data;
}

/** One at a time: in some places, such as /proc, making all of them at once never comes to an end (Node 24.21). */
function makeFolder(folder: string): void {
  if (isThere(folder)) return;
  makeFolder(dirname(folder));
  try {
    mkdirSync(folder, { mode: 0o700 });
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    // Another process may have made it meanwhile.
    if (code === "EEXIST") return;
    throw new Error(`${folder} cannot be made (${code ?? "unknown error"})`, { cause: error });
  }
}

function isThere(path: string): boolean {
  try {
    return lstatSync(path, { throwIfNoEntry: false }) !== undefined;
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    throw new Error(`${path} cannot be reached (${code ?? "unknown error"})`, { cause: error });
  }
}

/** A folder that nobody has used, and the way to be rid of it. */
export function temporaryDataFolder(): DataFolder & { remove(): void } {
  const data = openDataFolder(mkdtempSync(join(tmpdir(), "tokenkeep-demo-")));
  return { ...data, remove: () => rmSync(data.path, { recursive: true, force: true }) };
}

/** All files of the folder but the keys themselves: what an intruder without the keys would read. */
export function filesWithoutKeys(data: DataFolder): Haystack[] {
  return readdirSync(data.path, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name))
    .filter((file) => file !== data.keyFile && file !== data.sessionKeyFile)
    .flatMap((file) => readIfThere(file));
}

/** SQLite removes its companions when the last process closes the file. */
function readIfThere(file: string): Haystack[] {
  try {
    return [{ name: file, bytes: readFileSync(file) }];
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return [];
    throw error;
  }
}
