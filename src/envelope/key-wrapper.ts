/**
 * Data keys wrapped by somebody else: the port that a key management service is plugged into, and the text
 * that wrapped keys are kept as.
 *
 * Wrapped keys are no secret. Who can change them, though, chooses the key that is sealed under: keep them
 * where configuration is kept that only the operator can write.
 */
import { OptionsError } from "../errors.ts";
import { isKeyId } from "./format.ts";
import { KEY_ID_RULE } from "./key-ring.ts";

/**
 * Wraps and unwraps data keys under a key that never leaves its place: a vault, an HSM, a key ring of one's own.
 *
 * An implementation throws a `TokenkeepError` with `ERR_KEYS_REFUSED` where trying again is of no use (a missing
 * permission, an unknown key), its message saying what to do. Anything else it throws means: not now. Of that
 * only the class, `code` and `statusCode` are shown: the rest may hold what was answered.
 *
 * `keyWrapperContract` of `tokenkeep/testing` holds one to all of this.
 */
export interface KeyWrapper {
  /** For errors and events, e.g. `azure-key-vault`. */
  readonly name: string;
  /** Wraps the 32 bytes of a data key, which are the caller's and must not be kept. */
  wrap(dataKey: Uint8Array, options: KeyWrapperCall): Promise<WrapAnswer>;
  /** The data key, in bytes that nobody else holds: the caller zeroes them. */
  unwrap(wrapped: Uint8Array, options: UnwrapCall): Promise<Uint8Array>;
}

/** What each call of a {@link KeyWrapper} is told. */
export interface KeyWrapperCall {
  /** Aborted when the call's budget is used up; the answer is then of no use to anybody. */
  readonly signal: AbortSignal;
}

/** What an unwrapping is told besides. */
export interface UnwrapCall extends KeyWrapperCall {
  /** As {@link WrapAnswer.keyVersion} was, when this key was wrapped. */
  readonly keyVersion: string;
}

/** What a wrapping answers. */
export interface WrapAnswer {
  /** The wrapped key, as `unwrap` takes it. */
  readonly wrapped: Uint8Array;
  /**
   * Which version of the wrapping key it was, so that the key can be rotated where it is. 1 to 512 visible
   * ASCII characters but the comma.
   */
  readonly keyVersion: string;
}

/** A wrapped data key and the id it goes by. */
export interface WrappedKey {
  readonly id: string;
  readonly keyVersion: string;
  readonly wrapped: Uint8Array;
}

const KEY_VERSION = /^[!-+\--~]{1,512}$/;
const BASE64 = /^(?:[A-Za-z0-9+/]+|[A-Za-z0-9_-]+)={0,2}$/;
const FORM = "`id:version:wrapped`";

export function isKeyVersion(value: unknown): value is string {
  return typeof value === "string" && KEY_VERSION.test(value);
}

/** `id:version:wrapped`, the last in base64url. */
export function formatWrappedKey({ id, keyVersion, wrapped }: WrappedKey): string {
  const bytes = Buffer.from(wrapped.buffer, wrapped.byteOffset, wrapped.byteLength);
  return `${id}:${keyVersion}:${bytes.toString("base64url")}`;
}

/**
 * Entries `id:version:wrapped`, separated by commas or white space; the first is the sealing key. From `#` at the
 * start of a line or after white space, the rest of the line is a comment.
 *
 * Throws {@link OptionsError} named `option`. It counts entries and shows nothing of them: somebody may have put
 * keys there that are not wrapped.
 */
export function parseWrappedKeys(text: string, option: string): readonly WrappedKey[] {
  if (typeof text !== "string") throw new OptionsError(option, `must be a text of entries ${FORM}`);
  const entries = text
    .replace(/(^|\s)#.*$/gm, "$1")
    .split(/[\s,]+/)
    .filter((entry) => entry !== "");
  if (entries.length === 0) throw new OptionsError(option, `holds no key; an entry is ${FORM}`);
  const ids = new Set<string>();
  return entries.map((entry, index) => {
    const fail = (problem: string) => new OptionsError(option, `has an entry ${index + 1} ${problem}`);
    const [first, last] = [entry.indexOf(":"), entry.lastIndexOf(":")];
    if (first === last) throw fail(`that is not of the form ${FORM}`);
    const id = entry.slice(0, first);
    const keyVersion = entry.slice(first + 1, last);
    const wrapped = entry.slice(last + 1);
    if (!isKeyId(id)) throw fail(`whose id ${KEY_ID_RULE}`);
    if (ids.has(id)) throw fail("whose id another entry has too");
    ids.add(id);
    if (!isKeyVersion(keyVersion)) throw fail("whose version must be visible ASCII characters");
    if (!BASE64.test(wrapped)) throw fail("whose wrapped key must be base64 or base64url");
    return { id, keyVersion, wrapped: Buffer.from(wrapped, "base64") };
  });
}
