/**
 * How sealed bytes are laid out. Knows positions and lengths, no cryptography.
 *
 * ```
 * offset  length  field
 *      0       3  magic "TKE"
 *      3       1  format version, 1
 *      4       1  suite, 1
 *      5       1  flags: what was done to the text before it was sealed; 0 nothing, 2 deflate, 4 zstd
 *      6       1  length n of the key id, 1 to 32
 *      7       n  key id, characters of [A-Za-z0-9._-]
 *    7+n      32  salt
 *   39+n      32  key commitment
 *   71+n       …  ciphertext
 *    end      16  tag
 * ```
 */

/** The format version and the suite that this release writes and reads. */
const FORMAT_VERSION = 1;
const SUITE = 1;
/** Nothing was done to the text. */
export const PLAIN = 0;
/** It was packed: see `compression.ts`. */
export const DEFLATE = 2;
export const ZSTD = 4;

export const SALT_BYTES = 32;
export const COMMITMENT_BYTES = 32;
export const TAG_BYTES = 16;

const KEY_ID_OFFSET = 7;
const KEY_ID = /^[A-Za-z0-9._-]{1,32}$/;

const SEALED_MAGIC = Buffer.from("TKE", "latin1");
const PLAIN_PREFIX = Buffer.from("TKP\x01", "latin1");
const MAGIC_BYTES = 3;

/** What stands before the ciphertext. The byte fields are views of the bytes that were parsed. */
export interface Header {
  readonly suite: number;
  readonly flags: number;
  readonly keyId: string;
  readonly salt: Buffer;
  readonly commitment: Buffer;
  /** The whole header as it was read: the first part of the associated data. */
  readonly bytes: Buffer;
}

/**
 * `refused`: not sealed bytes, or cut short. `unsupported`: sealed by a release that knows more than this one.
 */
export type HeaderProblem = "refused" | "unsupported";

export type ParsedHeader =
  { readonly ok: true; readonly header: Header } | { readonly ok: false; readonly reason: HeaderProblem };

/** True for 1 to 32 characters of `[A-Za-z0-9._-]`. */
export function isKeyId(value: unknown): value is string {
  return typeof value === "string" && KEY_ID.test(value);
}

/** Reads the header of sealed bytes. Total: any input gives an answer, none throws. */
export function parseHeader(bytes: Uint8Array): ParsedHeader {
  const view = viewOf(bytes);
  if (!startsWith(view, SEALED_MAGIC)) return refused;
  // Each field is judged as soon as it is there: a newer format may be shorter than ours from here on.
  const version = view[MAGIC_BYTES];
  const suite = view[MAGIC_BYTES + 1];
  const flags = view[MAGIC_BYTES + 2];
  const keyIdLength = view[MAGIC_BYTES + 3];
  if (version === undefined) return refused;
  if (version !== FORMAT_VERSION) return unsupported;
  if (suite === undefined) return refused;
  if (suite !== SUITE) return unsupported;
  if (flags === undefined) return refused;
  if (flags !== PLAIN && flags !== DEFLATE && flags !== ZSTD) return unsupported;
  if (keyIdLength === undefined) return refused;

  const saltOffset = KEY_ID_OFFSET + keyIdLength;
  const commitmentOffset = saltOffset + SALT_BYTES;
  const end = commitmentOffset + COMMITMENT_BYTES;
  if (view.length < end) return refused;
  const keyId = view.toString("latin1", KEY_ID_OFFSET, saltOffset);
  if (!isKeyId(keyId)) return refused;
  return {
    ok: true,
    header: {
      suite,
      flags,
      keyId,
      salt: view.subarray(saltOffset, commitmentOffset),
      commitment: view.subarray(commitmentOffset, end),
      bytes: view.subarray(0, end),
    },
  };
}

/**
 * A new header with this key id, which must satisfy {@link isKeyId}, salt and flags. Its commitment is zero: it is
 * derived from the rest, and filled in through `header.commitment`.
 */
export function startHeader(keyId: string, salt: Uint8Array, flags: number): Header {
  const saltOffset = KEY_ID_OFFSET + keyId.length;
  const commitmentOffset = saltOffset + SALT_BYTES;
  const bytes = Buffer.alloc(commitmentOffset + COMMITMENT_BYTES);
  bytes.set(SEALED_MAGIC, 0);
  bytes.set([FORMAT_VERSION, SUITE, flags, keyId.length], MAGIC_BYTES);
  bytes.write(keyId, KEY_ID_OFFSET, "latin1");
  bytes.set(salt, saltOffset);
  return {
    suite: SUITE,
    flags,
    keyId,
    salt: bytes.subarray(saltOffset, commitmentOffset),
    commitment: bytes.subarray(commitmentOffset),
    bytes,
  };
}

/** Puts the mark of unsealed bytes, "TKP" and version 1, before `plaintext`. */
export function writePlain(plaintext: Uint8Array): Buffer {
  return Buffer.concat([PLAIN_PREFIX, plaintext]);
}

export type ParsedPlain =
  { readonly ok: true; readonly plaintext: Buffer } | { readonly ok: false; readonly reason: HeaderProblem };

/** Reads what {@link writePlain} wrote; the plaintext is a copy. Total, like {@link parseHeader}. */
export function parsePlain(bytes: Uint8Array): ParsedPlain {
  const view = viewOf(bytes);
  if (startsWith(view, PLAIN_PREFIX)) {
    return { ok: true, plaintext: Buffer.from(view.subarray(PLAIN_PREFIX.length)) };
  }
  const newer = view.length > MAGIC_BYTES && startsWith(view, PLAIN_PREFIX.subarray(0, MAGIC_BYTES));
  return newer ? unsupported : refused;
}

const refused = Object.freeze({ ok: false, reason: "refused" } as const);
const unsupported = Object.freeze({ ok: false, reason: "unsupported" } as const);

function startsWith(bytes: Buffer, prefix: Buffer): boolean {
  return bytes.subarray(0, prefix.length).equals(prefix);
}

function viewOf(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
