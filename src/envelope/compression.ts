/**
 * Making a text smaller before it is sealed, and back. Only texts of ours are: where somebody else can write into a
 * text beside a secret, its length after compression would tell whether the two are alike.
 *
 * ```
 * packed   length of the text (4, big endian) | length of the compressed text (4) | compressed text | zeros
 * ```
 * The zeros fill it up to a multiple of 256 bytes, so that what lies in a store tells little of its length.
 */
import * as zlib from "node:zlib";
import { DEFLATE, PLAIN, ZSTD } from "./format.ts";

/**
 * `"auto"`: zstd where this Node has it (from 22.15 on), else deflate. `"deflate"`: what every Node opens, while
 * older ones are among the processes. `"off"`: as it is.
 */
export type Compression = "auto" | "deflate" | "off";

/** A text as it goes into the cipher. */
export interface PackedText {
  readonly flags: number;
  readonly bytes: Uint8Array;
}

/** What is smaller is mostly one token, which does not get smaller. */
const THRESHOLD_BYTES = 4_096;
/** Nothing longer is ever made of what was sealed: a record of ours is far smaller. */
const MAX_TEXT_BYTES = 16 * 1024 * 1024;
const PAD_TO_BYTES = 256;
const LENGTHS_BYTES = 8;
/** The fastest: records are written while somebody waits, and higher levels win a hundredth. */
const LEVEL = 1;

/** The text as it is to be sealed: smaller, if that can be had. */
export function pack(text: Uint8Array, compression: Compression, zstd: Zstd | false): PackedText {
  if (compression === "off" || text.length < THRESHOLD_BYTES || text.length > MAX_TEXT_BYTES)
    return asItIs(text);
  const useZstd = compression === "auto" && zstd !== false;
  const compressed = useZstd ? zstd.compress(text) : zlib.deflateRawSync(text, { level: LEVEL });
  const length = Math.ceil((LENGTHS_BYTES + compressed.length) / PAD_TO_BYTES) * PAD_TO_BYTES;
  if (length >= text.length) return asItIs(text);
  const bytes = Buffer.alloc(length);
  bytes.writeUInt32BE(text.length, 0);
  bytes.writeUInt32BE(compressed.length, 4);
  bytes.set(compressed, LENGTHS_BYTES);
  return { flags: useZstd ? ZSTD : DEFLATE, bytes };
}

/** Whether this process can unpack what has these flags. */
export function canUnpack(flags: number, zstd: Zstd | false): boolean {
  return flags !== ZSTD || zstd !== false;
}

/**
 * The text again. It never takes more memory than the text had, or than any text may have: who has the keys and
 * writes a record by mistake or on purpose must not bring a process down.
 * @returns `undefined` for what no release has packed
 */
export function unpack(flags: number, packed: Buffer, zstd: Zstd | false): Buffer | undefined {
  if (flags === PLAIN) return packed;
  if (packed.length < LENGTHS_BYTES) return undefined;
  const maxOutputLength = packed.readUInt32BE(0);
  const end = LENGTHS_BYTES + packed.readUInt32BE(4);
  if (maxOutputLength === 0 || maxOutputLength > MAX_TEXT_BYTES || end > packed.length) return undefined;
  const compressed = packed.subarray(LENGTHS_BYTES, end);
  try {
    const text =
      flags === ZSTD
        ? zstd && zstd.decompress(compressed, maxOutputLength)
        : zlib.inflateRawSync(compressed, { maxOutputLength });
    return text && text.length === maxOutputLength ? text : undefined;
  } catch {
    return undefined;
  } finally {
    packed.fill(0);
  }
}

/** Node's zstd, where there is one. */
export interface Zstd {
  compress(text: Uint8Array): Buffer;
  decompress(bytes: Uint8Array, maxOutputLength: number): Buffer;
}

function asItIs(text: Uint8Array): PackedText {
  return { flags: PLAIN, bytes: text };
}

/** Node has had it since 22.15 and 23.8; a namespace import, because a missing name would not even load. */
export const systemZstd: Zstd | false =
  typeof zlib.zstdCompressSync === "function"
    ? {
        compress: (text) =>
          zlib.zstdCompressSync(text, { params: { [zlib.constants.ZSTD_c_compressionLevel]: LEVEL } }),
        decompress: (bytes, maxOutputLength) => zlib.zstdDecompressSync(bytes, { maxOutputLength }),
      }
    : false;
