/**
 * Suite 1: HKDF-SHA-512 (RFC 5869) for a key, a commitment and a nonce per record; AES-256-GCM (NIST
 * SP 800-38D) with a tag of 16 bytes.
 *
 * A key per record lifts GCM's limit on messages under one key (SP 800-38D, section 8.3). The commitment
 * ties the bytes to one key: GCM alone does not, and a key ring would let one ciphertext open under two.
 */
import { createCipheriv, createDecipheriv, createSecretKey, hkdfSync, timingSafeEqual } from "node:crypto";
import type { KeyObject } from "node:crypto";

import { associatedData } from "./context.ts";
import type { SealContext } from "./context.ts";
import type { PackedText } from "./compression.ts";
import { COMMITMENT_BYTES, TAG_BYTES, startHeader } from "./format.ts";
import type { Header } from "./format.ts";

const CIPHER = "aes-256-gcm";
const CIPHER_OPTIONS = Object.freeze({ authTagLength: TAG_BYTES });
const INFO = "tokenkeep/envelope/v1";
const RECORD_KEY_BYTES = 32;
const NONCE_BYTES = 12;
const NONCE_OFFSET = RECORD_KEY_BYTES + COMMITMENT_BYTES;

/**
 * Seals a text under `key`, whose id is `keyId`. `salt` must be 32 fresh random bytes: record key and
 * nonce follow from it, so a salt used twice is a nonce used twice.
 */
export function sealSuiteOne(
  key: KeyObject,
  keyId: string,
  salt: Uint8Array,
  text: PackedText,
  context: SealContext,
): Buffer {
  const header = startHeader(keyId, salt, text.flags);
  const derived = derive(key, header);
  try {
    header.commitment.set(derived.commitment);
    const cipher = createCipheriv(CIPHER, derived.recordKey, derived.nonce, CIPHER_OPTIONS);
    cipher.setAAD(associatedData(header.bytes, context));
    const ciphertext = cipher.update(text.bytes);
    return Buffer.concat([header.bytes, ciphertext, cipher.final(), cipher.getAuthTag()]);
  } finally {
    derived.all.fill(0);
  }
}

/**
 * Opens `bytes`, whose parsed header is `header`. `undefined` if they are not exactly what was sealed under
 * this key for this context; the answer does not say what differs.
 */
export function openSuiteOne(
  key: KeyObject,
  header: Header,
  bytes: Uint8Array,
  context: SealContext,
): Buffer | undefined {
  const tagOffset = bytes.length - TAG_BYTES;
  if (tagOffset < header.bytes.length) return undefined;
  const derived = derive(key, header);
  try {
    if (!timingSafeEqual(derived.commitment, header.commitment)) return undefined;
    const decipher = createDecipheriv(CIPHER, derived.recordKey, derived.nonce, CIPHER_OPTIONS);
    decipher.setAAD(associatedData(header.bytes, context));
    decipher.setAuthTag(bytes.subarray(tagOffset));
    const plaintext = decipher.update(bytes.subarray(header.bytes.length, tagOffset));
    return isAuthentic(decipher) ? plaintext : discard(plaintext);
  } finally {
    derived.all.fill(0);
  }
}

interface Derived {
  /** Its copy of the key is wiped when it is collected, as those of the ring are. */
  readonly recordKey: KeyObject;
  readonly commitment: Buffer;
  readonly nonce: Buffer;
  /** The memory that all three come from, to be zeroed after use. */
  readonly all: Buffer;
}

function derive(key: KeyObject, header: Header): Derived {
  const info = Buffer.from(
    `${INFO}${String.fromCharCode(header.suite, header.flags)}${header.keyId}`,
    "latin1",
  );
  const all = Buffer.from(hkdfSync("sha512", key, header.salt, info, NONCE_OFFSET + NONCE_BYTES));
  return {
    // A KeyObject: Node finds out that bytes are none by an exception, which takes longer than all the rest.
    recordKey: createSecretKey(all.subarray(0, RECORD_KEY_BYTES)),
    commitment: all.subarray(RECORD_KEY_BYTES, NONCE_OFFSET),
    nonce: all.subarray(NONCE_OFFSET),
    all,
  };
}

/** Only the verdict of GCM is caught here; any other error of the crypto library is not about these bytes. */
function isAuthentic(decipher: ReturnType<typeof createDecipheriv>): boolean {
  try {
    // GCM is a stream mode: update() has already given the whole text, final() adds nothing to it.
    decipher.final();
    return true;
  } catch {
    return false;
  }
}

function discard(unauthenticated: Buffer): undefined {
  unauthenticated.fill(0);
  return undefined;
}
