/** What sealed bytes are bound to, besides the key: where they may stand. */

/** Bytes sealed for one context do not open in another. The strings are compared as they are. */
export interface SealContext {
  /** The cache's namespace. */
  readonly namespace: string;
  /** The canonical partition key, or another key that is unique within namespace and kind. */
  readonly key: string;
  /** What the bytes are: a record, an activity row's properties, … */
  readonly kind: string;
}

/**
 * The associated data of a sealed value: header, namespace, key and kind. Each string stands as UTF-16LE
 * after its length in bytes (32 bits, big endian), so that no two contexts give the same bytes.
 */
export function associatedData(header: Uint8Array, context: SealContext): Buffer {
  const parts: Uint8Array[] = [header];
  for (const text of [context.namespace, context.key, context.kind]) {
    // Not UTF-8: it turns every lone surrogate into U+FFFD, and would make two different keys one.
    const encoded = Buffer.from(text, "utf16le");
    const length = Buffer.alloc(4);
    length.writeUInt32BE(encoded.length);
    parts.push(length, encoded);
  }
  return Buffer.concat(parts);
}
