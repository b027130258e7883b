/**
 * The keys a cache is sealed with. Rotation has two phases: give every process the new key for opening,
 * then make it the sealing key.
 */
import { createSecretKey, KeyObject } from "node:crypto";
import { types } from "node:util";

import { checkedRuntime, checkOptionNames } from "../checks.ts";
import { OptionsError } from "../errors.ts";
import type { Runtime } from "../runtime.ts";
import { isKeyId } from "./format.ts";

const KNOWN_OPTIONS = new Set(["sealing", "opening"]);
export const KEY_BYTES = 32;
const KEY_TEXT = /^(?:[A-Za-z0-9+/]{43}=?|[A-Za-z0-9_-]{43}=?)$/;
export const KEY_ID_RULE = "must be 1 to 32 characters of A-Z a-z 0-9 . _ -";
const KEY_RULE = "must be 32 bytes, or their base64 or base64url text";

/** One sealing key and any number of opening keys. Printing it shows ids only. */
export interface KeyRing {
  /** The key that new values are sealed under. */
  readonly sealingKeyId: string;
  /** All ids, the sealing key's first. */
  readonly keyIds: readonly string[];
  /** The key with exactly this id, 32 bytes. Keys are never tried one after the other. */
  find(keyId: string): KeyObject | undefined;
}

/** One key of a ring and the id it goes by. */
export interface KeyEntry {
  /** 1 to 32 characters of `[A-Za-z0-9._-]`. It stands in clear in every record. */
  readonly id: string;
  /** 32 bytes (copied), or their base64 or base64url text. */
  readonly key: Uint8Array | string;
}

/** The keys of {@link createKeyRing}. */
export interface KeyRingOptions {
  /** Seals, and opens what was sealed under it. */
  readonly sealing: KeyEntry;
  /** Open only: yesterday's keys, and tomorrow's. Default none. */
  readonly opening?: readonly KeyEntry[];
}

/**
 * Makes a key ring. Throws {@link OptionsError} for an id or key of the wrong form, and for one id with two
 * different keys; the error names the option and shows nothing of it.
 */
export function createKeyRing(options: KeyRingOptions): KeyRing {
  const given: Partial<KeyRingOptions> = options ?? {};
  checkOptionNames(given, KNOWN_OPTIONS, "createKeyRing");
  const { sealing, opening = [] } = given;
  if (!Array.isArray(opening)) throw new OptionsError("opening", "must be an array of { id, key }");
  try {
    return ringOf([
      { name: "sealing", entry: sealing },
      ...opening.map((entry: KeyEntry, index) => ({ name: `opening[${index}]`, entry })),
    ]);
  } finally {
    forgetMatches();
  }
}

/**
 * Reads a key ring from text: entries `id:key`, the key in base64 or base64url, separated by commas or white
 * space. The first is the sealing key. From `#` at the start of a line or after white space, the rest of the
 * line is a comment.
 *
 * Throws {@link OptionsError} with `option`, by default `keys`, as its name; it counts entries and shows nothing
 * of them.
 */
export function parseKeys(text: string, option = "keys"): KeyRing {
  if (typeof text !== "string") throw new OptionsError(option, "must be a text of entries `id:key`");
  try {
    const entries = text
      .replace(/(^|\s)#.*$/gm, "$1")
      .split(/[\s,]+/)
      .filter((entry) => entry !== "");
    if (entries.length === 0) throw new OptionsError(option, "holds no key; an entry is `id:key`");
    return ringOf(entries.map((entry, index) => parseEntry(entry, option, index + 1)));
  } finally {
    forgetMatches();
  }
}

/**
 * A new random key as an entry for {@link parseKeys}: `id:key`, base64url. `id` defaults to `k-` and 8
 * random hexadecimal digits. The text is a secret. `runtime` is for tests; default: the system's.
 */
export function generateKey(runtime?: Runtime, id?: string): string {
  const source = checkedRuntime(runtime);
  const keyId = id ?? `k-${Buffer.from(source.randomBytes(4)).toString("hex")}`;
  if (!isKeyId(keyId)) throw new OptionsError("id", KEY_ID_RULE);
  const key = source.randomBytes(KEY_BYTES);
  try {
    return `${keyId}:${Buffer.from(key.buffer, key.byteOffset, key.byteLength).toString("base64url")}`;
  } finally {
    key.fill(0);
  }
}

/**
 * A ring may be of somebody's own making, and a derivation takes any key: with an empty one everybody could open
 * and make records. Throws {@link OptionsError} named `option`, unless the sealing key and all others that are
 * there have 32 bytes.
 */
export function checkRingKeys(ring: KeyRing, option: string): void {
  if (ring.find(ring.sealingKeyId) === undefined) {
    throw new OptionsError(option, "must be a key ring that has its own sealing key");
  }
  for (const id of [ring.sealingKeyId, ...(ring.keyIds ?? [])]) {
    const key: unknown = ring.find(id);
    if (key !== undefined && !isRingKey(key)) {
      throw new OptionsError(option, "must be a key ring whose keys are secret KeyObjects of 32 bytes");
    }
  }
}

function isRingKey(key: unknown): boolean {
  return key instanceof KeyObject && key.type === "secret" && key.symmetricKeySize === KEY_BYTES;
}

/** An entry and how to call it in an error: an option's path, or its place in a text. */
interface NamedEntry {
  readonly name: string;
  readonly entry: KeyEntry | undefined;
  /** For an entry of a text: its place there; `name` is then the option that holds the text. */
  readonly place?: number;
}

function parseEntry(text: string, option: string, place: number): NamedEntry {
  const colon = text.indexOf(":");
  if (colon < 0) throw new OptionsError(option, `has an entry ${place} that is not of the form \`id:key\``);
  return { name: option, entry: { id: text.slice(0, colon), key: text.slice(colon + 1) }, place };
}

function ringOf(entries: readonly NamedEntry[]): KeyRing {
  const keys = new Map<string, KeyObject>();
  for (const named of entries) {
    const id = named.entry?.id;
    if (!isKeyId(id)) throw entryError(named, "id", KEY_ID_RULE);
    const key = keyObjectOf(named.entry?.key);
    if (key === undefined) throw entryError(named, "key", KEY_RULE);
    const known = keys.get(id);
    if (known?.equals(key) === false) {
      throw entryError(named, "id", "is the id of another key too: one id, one key, for ever");
    }
    keys.set(id, key);
  }
  // The keys live in this closure alone: neither JSON.stringify nor util.inspect has a way to them.
  const keyIds = Object.freeze([...keys.keys()]);
  return Object.freeze({
    sealingKeyId: keyIds[0]!,
    keyIds,
    find: (keyId: string) => keys.get(keyId),
  });
}

function entryError(named: NamedEntry, part: "id" | "key", problem: string): OptionsError {
  if (named.place === undefined) return new OptionsError(`${named.name}.${part}`, problem);
  return new OptionsError(named.name, `has an entry ${named.place} whose ${part} ${problem}`);
}

function keyObjectOf(key: unknown): KeyObject | undefined {
  if (typeof key === "string") return keyObjectOfText(key);
  return types.isUint8Array(key) && key.length === KEY_BYTES ? createSecretKey(key) : undefined;
}

function keyObjectOfText(text: string): KeyObject | undefined {
  if (!KEY_TEXT.test(text)) return undefined;
  const bytes = Buffer.from(text, "base64");
  try {
    // 43 characters hold two bits more than 32 bytes: a text with those set was cut or mistyped.
    const canonical =
      bytes.toString("base64url") === text.replace("=", "").replaceAll("+", "-").replaceAll("/", "_");
    return canonical ? createSecretKey(bytes) : undefined;
  } finally {
    bytes.fill(0);
  }
}

/**
 * The engine keeps the text that a regular expression matched last, for the whole process and for everybody
 * (`RegExp.input`), until another matches.
 */
function forgetMatches(): void {
  /(?:)/.test("");
}
