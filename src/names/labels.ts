/**
 * What is laid around a record whose name says nothing: a label with its partition key, sealed, so that whoever
 * has the keys can list a store; and the mark of a record that has moved to another name.
 *
 * ```
 * labelled   "TKN" 0x01 | length of the label (2, big endian) | label | record
 * moved      "TKE" 0xf0 | time it expires (8, ms) | length of the version (1) | version | labelled record
 * ```
 * A process that knows nothing of moving takes the second for a record of a newer release, and waits.
 */
import type { Stored } from "../store/blob-store.ts";

const LABELLED = Buffer.from("TKN\x01", "latin1");
const MOVED = Buffer.from("TKE\xf0", "latin1");
const MAGIC_BYTES = 3;
const LABEL_OFFSET = LABELLED.length + 2;
const VERSION_OFFSET = MOVED.length + 9;
/** Opens as `unsupported`: a newer release has laid something else around the record. */
const NEWER = Buffer.from("TKE\xff", "latin1");

export function withLabel(label: Uint8Array, record: Uint8Array): Buffer {
  const length = Buffer.alloc(2);
  length.writeUInt16BE(label.length);
  return Buffer.concat([LABELLED, length, label, record]);
}

/** The label, where there is one. */
export function labelOf(bytes: Uint8Array): Buffer | undefined {
  const view = viewOf(bytes);
  if (!startsWith(view, LABELLED) || view.length < LABEL_OFFSET) return undefined;
  const end = LABEL_OFFSET + view.readUInt16BE(LABELLED.length);
  return view.length < end ? undefined : view.subarray(LABEL_OFFSET, end);
}

/** The record without its label. Total: what is none is handed on, for the sealer to refuse. */
export function withoutLabel(bytes: Uint8Array): Uint8Array {
  const label = labelOf(bytes);
  if (label) return bytes.subarray(LABEL_OFFSET + label.length);
  const view = viewOf(bytes);
  const isNewer = startsWith(view, LABELLED.subarray(0, MAGIC_BYTES)) && view[MAGIC_BYTES] !== LABELLED[3];
  return isNewer ? NEWER : bytes;
}

/** What is left behind under an old name. */
export interface Moved {
  readonly expiresAtMs: number;
  /** Of the record under its new name; `undefined`: it is there already. */
  readonly version: string | undefined;
  readonly bytes: Uint8Array;
}

export function movedMark({ expiresAtMs, version = "", bytes }: Moved): Buffer {
  const head = Buffer.alloc(9);
  // What is kept for ever has a time that does not fit.
  head.writeBigUInt64BE(BigInt(Math.min(Math.ceil(expiresAtMs), Number.MAX_SAFE_INTEGER)));
  head.writeUInt8(Buffer.byteLength(version), 8);
  return Buffer.concat([MOVED, head, Buffer.from(version), bytes]);
}

export function movedFrom({ bytes }: Stored): Moved | undefined {
  const view = viewOf(bytes);
  if (!startsWith(view, MOVED) || view.length < VERSION_OFFSET) return undefined;
  const end = VERSION_OFFSET + view.readUInt8(VERSION_OFFSET - 1);
  return {
    expiresAtMs: Number(view.readBigUInt64BE(MOVED.length)),
    version: view.toString("utf8", VERSION_OFFSET, end) || undefined,
    bytes: view.subarray(end),
  };
}

function startsWith(bytes: Buffer, prefix: Buffer): boolean {
  return bytes.subarray(0, prefix.length).equals(prefix);
}

function viewOf(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
