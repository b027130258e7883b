/** Records under the names of one naming. */
import type { Sealer } from "../envelope/sealer.ts";
import type { BlobStore, PutResult, Stored } from "../store/blob-store.ts";
import type { OpenFailureReason } from "../telemetry/events.ts";
import { labelOf, withLabel, withoutLabel } from "./labels.ts";
import type { Naming } from "./naming.ts";

/** The part of a store that keeps records. */
export type Records = Pick<BlobStore, "get" | "put" | "touch" | "delete">;

/** How the records of one naming are called and wrapped. */
export interface Place {
  readonly naming: Naming;
  name(key: string): string;
  /** What is stored for a record. */
  wrap(key: string, record: Uint8Array): Uint8Array;
  /** The record, of what is stored. */
  unwrap(stored: Stored): Stored;
  /** The partition key, out of what is stored under a name. */
  keyOf(name: string, stored: Stored): KeyFound | Promise<KeyFound>;
}

export type KeyFound = { readonly key: string } | { readonly reason: OpenFailureReason };

export function placeOf(naming: Naming, { sealer, namespace }: PlaceOptions): Place {
  const { name } = naming;
  if (!naming.hides) {
    const asItIs = { wrap: (_key: string, record: Uint8Array) => record, unwrap: (stored: Stored) => stored };
    return { naming, name, ...asItIs, keyOf: (key) => ({ key }) };
  }
  const context = (key: string): { namespace: string; key: string; kind: string } => ({
    namespace,
    key,
    kind: "name",
  });
  return {
    naming,
    name,
    wrap: (key, record) => withLabel(sealer.seal(Buffer.from(key), context(name(key))), record),
    unwrap: (stored) => ({ ...stored, bytes: withoutLabel(stored.bytes) }),
    async keyOf(given, stored) {
      const label = labelOf(stored.bytes);
      if (!label) return { reason: "refused" };
      const opened = await sealer.openOrAsk(label, context(given));
      return opened.ok ? { key: opened.plaintext.toString("utf8") } : { reason: opened.reason };
    },
  };
}

export interface PlaceOptions {
  readonly sealer: Sealer;
  readonly namespace: string;
}

/** Every record has one name. */
export function recordsAt(store: Records, place: Place): Records {
  return {
    async get(key, options) {
      const stored = await store.get(place.name(key), options);
      return typeof stored === "object" ? place.unwrap(stored) : stored;
    },
    async put(key, bytes, options) {
      return unwrapped(place, await store.put(place.name(key), place.wrap(key, bytes), options));
    },
    touch: (key, options) => store.touch(place.name(key), options),
    delete: (key, options) => store.delete(place.name(key), options),
  };
}

function unwrapped(place: Place, result: PutResult): PutResult {
  return result.stored || !result.current ? result : { stored: false, current: place.unwrap(result.current) };
}
