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

const LENGTH_BYTES = 4;

/**
 * The associated data of a sealed value: header, namespace, key and kind. Each string stands as UTF-16LE
 * after its length in bytes (32 bits, big endian), so that no two contexts give the same bytes.
 */
export function associatedData(header: Uint8Array, context: SealContext): Buffer {
  const texts = [context.namespace, context.key, context.kind];
  let length = header.length;
  for (const text of texts) length += LENGTH_BYTES + encodedLength(text);
  const data = Buffer.allocUnsafe(length);
  data.set(header);
  let at = header.length;
  for (const text of texts) {
    at = data.writeUInt32BE(encodedLength(text), at);
    // Not UTF-8: it turns every lone surrogate into U+FFFD, and would make two different keys one.
    at += data.write(text, at, "utf16le");
  }
  return data;
}

function encodedLength(text: string): number {
  return 2 * text.length;
}
