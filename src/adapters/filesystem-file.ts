/** Reading and writing single files, and refusing what somebody else has put in their place. */
import { constants } from "node:fs";
import { open, type FileHandle } from "node:fs/promises";
import { basename } from "node:path";
import { damaged, decodeCell, decodeHeader, HEADER_READ_BYTES, lengthsOf } from "./filesystem-format.ts";
import { codeOf, fileFailure, isMissing } from "./filesystem-errors.ts";
import type { Cell, Header } from "./filesystem-format.ts";

/** Windows has no mode bits; there the folder's access list decides. */
export const HAS_MODES = process.platform !== "win32";

export const OTHERS_MAY = 0o077;

/** NONBLOCK: a pipe in place of the file must not hold anybody up. */
const READ = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK;

export async function readCell(path: string): Promise<Cell | undefined> {
  return withFile(path, async (file) => decodeCell(await file.readFile(), basename(path)));
}

/** Reads no more than it has to. */
export async function readHeader(path: string): Promise<Header | undefined> {
  return withFile(path, async (file, size) => {
    const name = basename(path);
    const buffer = Buffer.alloc(HEADER_READ_BYTES);
    const { bytesRead } = await file.read(buffer, 0, buffer.length, 0);
    const start = buffer.subarray(0, bytesRead);
    const { end, total } = lengthsOf(start, name);
    // Cut files are damaged for whoever asks for their header, too.
    if (total !== size) throw damaged(name);
    return decodeHeader(end <= bytesRead ? start : await file.readFile(), name);
  });
}

/** A new private file that has reached the disk when this returns, if `sync`. */
export async function writeNewFile(path: string, content: Uint8Array, sync: boolean): Promise<void> {
  const file = await open(path, "wx", 0o600);
  try {
    await file.writeFile(content);
    if (sync) await file.sync();
  } finally {
    await file.close();
  }
}

/** Makes what was moved into or out of a folder survive a power failure. */
export async function syncFolder(path: string): Promise<void> {
  // Windows cannot open one.
  if (!HAS_MODES) return;
  const folder = await open(path, "r");
  try {
    await folder.sync();
  } finally {
    await folder.close();
  }
}

async function withFile<T>(
  path: string,
  read: (file: FileHandle, size: number) => Promise<T>,
): Promise<T | undefined> {
  const file = await openChecked(path);
  if (file === undefined) return undefined;
  try {
    const stats = await file.stat();
    const problem = problemOf(stats);
    if (problem !== undefined) throw fileFailure(`${path} ${problem}`);
    return await read(file, stats.size);
  } finally {
    await file.close();
  }
}

async function openChecked(path: string): Promise<FileHandle | undefined> {
  try {
    return await open(path, READ);
  } catch (error) {
    if (isMissing(error)) return undefined;
    if (codeOf(error) === "ELOOP") {
      throw fileFailure(`${path} is a symbolic link, which tokenkeep never makes; remove it`);
    }
    throw error;
  }
}

/** What is wrong with a file that is to be believed. */
function problemOf(stats: {
  isFile(): boolean;
  readonly mode: number;
  readonly uid: number;
}): string | undefined {
  if (!stats.isFile()) return "is not a regular file; remove it";
  if (!HAS_MODES) return undefined;
  if (stats.uid !== process.geteuid?.())
    return `belongs to user ${stats.uid}, not to the one that runs this process`;
  if ((stats.mode & OTHERS_MAY) === 0) return undefined;
  const mode = (stats.mode & 0o777).toString(8);
  return `has mode ${mode}, others than its owner may use it; see who may have, then run: chmod 600`;
}
