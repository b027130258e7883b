/** What stands in one file: a small header that says whose it is, and bytes. */
import { fileFailure } from "./filesystem-errors.ts";

/** What a header may say. The key is in it because the file's name is only its hash. */
export interface Header {
  readonly key: string;
  /** Which write this is: a version, a revision or the owner of a lease. */
  readonly version: string;
  /** ms since the epoch; absent if it does not expire. */
  readonly expiresAtMs?: number;
}

/** A file as it was read. */
export interface Cell extends Header {
  readonly bytes: Uint8Array;
}

/** "TKFS", then one byte: the version of this format. */
const MAGIC = Buffer.from("TKFS", "latin1");
const FORMAT_VERSION = 1;

/** Magic, version, length of the header, length of the bytes. */
const PREFIX_BYTES = MAGIC.length + 1 + 4 + 4;

/** Enough for the header of every key that is not unusually long. */
export const HEADER_READ_BYTES = 4_096;

export function encodeCell({ key, version, expiresAtMs, bytes }: Cell): Buffer {
  const header = Buffer.from(JSON.stringify({ key, version, expiresAtMs }), "utf8");
  const file = Buffer.alloc(PREFIX_BYTES + header.length + bytes.length);
  MAGIC.copy(file);
  file.writeUInt8(FORMAT_VERSION, MAGIC.length);
  file.writeUInt32BE(header.length, MAGIC.length + 1);
  file.writeUInt32BE(bytes.length, MAGIC.length + 5);
  header.copy(file, PREFIX_BYTES);
  file.set(bytes, PREFIX_BYTES + header.length);
  return file;
}

/**
 * @throws {TokenkeepError} ERR_STORE_UNAVAILABLE for anything but a whole file: damage is never taken for "not there".
 */
export function decodeCell(file: Buffer, name: string): Cell {
  const { end, total } = lengthsOf(file, name);
  if (file.length !== total) throw damaged(name);
  // A view: the buffer was read for this and belongs to nobody else.
  const bytes = new Uint8Array(file.buffer, file.byteOffset + end, total - end);
  return { ...decodeHeader(file, name), bytes };
}

/** Where the header ends and how long the whole file is, by what stands at its `start`. */
export function lengthsOf(start: Buffer, name: string): { readonly end: number; readonly total: number } {
  if (start.length < PREFIX_BYTES || !start.subarray(0, MAGIC.length).equals(MAGIC)) throw damaged(name);
  if (start.readUInt8(MAGIC.length) > FORMAT_VERSION) {
    throw fileFailure(`the file ${name} was written by a newer tokenkeep; upgrade this process too`);
  }
  const end = PREFIX_BYTES + start.readUInt32BE(MAGIC.length + 1);
  return { end, total: end + start.readUInt32BE(MAGIC.length + 5) };
}

/** @param start of the file, at least up to the header's end */
export function decodeHeader(start: Buffer, name: string): Header {
  const { key, version, expiresAtMs } = parseHeader(start, name);
  if (typeof key !== "string" || typeof version !== "string") throw damaged(name);
  if (expiresAtMs === undefined) return { key, version };
  if (typeof expiresAtMs !== "number") throw damaged(name);
  return { key, version, expiresAtMs };
}

function parseHeader(start: Buffer, name: string): Partial<Header> {
  try {
    return JSON.parse(start.toString("utf8", PREFIX_BYTES, lengthsOf(start, name).end)) as Partial<Header>;
  } catch (error) {
    // The parser's own error would repeat part of what it read.
    throw error instanceof SyntaxError ? damaged(name) : error;
  }
}

export function damaged(name: string): Error {
  const advice = "trying again will not mend it: restore the file or remove it (its user signs in again)";
  return fileFailure(`the file ${name} is damaged; ${advice}`);
}
