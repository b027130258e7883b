/** What partitions are called in a store: by their keys, or by names that only the name key leads to. */
import { createHmac, type KeyObject } from "node:crypto";
import { createKeyRing, parseKeys } from "../envelope/key-ring.ts";
import { OptionsError } from "../errors.ts";

/** 32 bytes, their base64 or base64url text, or an entry `id:key` as `generateKey()` gives one; `"clear"` for none. */
export type NameKey = Uint8Array | string;

/** One way of calling things in a store. */
export interface Naming {
  /** False: keys stand in clear. */
  readonly hides: boolean;
  /** What all names of records and rows begin with, and nothing else of this namespace. */
  readonly prefix: string;
  /** The name of a record or row. */
  name(key: string): string;
  /** The name of a lease; leases are no records. */
  leaseName(key: string): string;
  /** What stands in a column that listings are filtered by: equal for equal texts, and no more. */
  field(column: string, text: string): string;
}

const DOMAIN = "tokenkeep/names/v1";
/** So many characters tell the few name keys of one store apart. */
const FINGERPRINT_LENGTH = 8;

/**
 * HMAC-SHA-256 (RFC 2104) under a key of its own: whoever has a dump and not the key can test no guess. Names of
 * one key begin alike, so that those of two keys can be listed apart.
 */
export function hiddenNaming(namespace: string, key: KeyObject): Naming {
  const digest = (purpose: string, text: string): string =>
    createHmac("sha256", key).update(`${DOMAIN}\n${purpose}\n${text}`).digest("base64url");
  const fingerprint = digest("key", "").slice(0, FINGERPRINT_LENGTH);
  const prefix = `${hiddenPrefix(namespace)}${fingerprint}:`;
  return {
    hides: true,
    prefix,
    name: (partitionKey) => prefix + digest("record", partitionKey),
    leaseName: (leaseKey) => `${namespace}:l-${fingerprint}:${digest("lease", leaseKey)}`,
    field: (column, text) => digest(`column ${column}`, text),
  };
}

/** Without a name key. */
export function clearNaming(namespace: string): Naming {
  return {
    hides: false,
    prefix: `${namespace}:`,
    name: (key) => key,
    leaseName: (key) => key,
    field: (_column, text) => text,
  };
}

/** What hidden names begin with, whatever their key. No partition kind does. */
export function hiddenPrefix(namespace: string): string {
  return `${namespace}:h-`;
}

/** @throws {OptionsError} named after `option`, which shows nothing of the key */
export function nameKeyObject(key: unknown, option: string): KeyObject {
  try {
    const ring =
      typeof key === "string" && key.includes(":")
        ? parseKeys(key)
        : createKeyRing({ sealing: { id: "names", key: key as NameKey } });
    if (ring.keyIds.length === 1) return ring.find(ring.sealingKeyId)!;
  } catch {
    // Told below, by the option's own name.
  }
  throw new OptionsError(option, "must be one key: 32 bytes, or their base64 or base64url text");
}
