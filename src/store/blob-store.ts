/** The port every backend implements: bytes in, bytes out, compare-and-swap. Types only. */

/** Opaque; only equality means anything. Made by the caller of `put`, random, never used twice. */
export type Version = string;

/** One stored value as a store hands it out. */
export interface Stored {
  /** The value, as it was put. */
  readonly bytes: Uint8Array;
  /** The version it was put with. */
  readonly version: Version;
  /** When the store will drop it, ms since the epoch, where the backend can tell. */
  readonly expiresAtMs?: number;
}

/** What any call to a store may be given. */
export interface StoreCallOptions {
  /** Aborted when the caller has stopped waiting. An adapter may ignore it; it must not fail because of it. */
  readonly signal?: AbortSignal;
}

/** How a value is read. */
export interface GetOptions extends StoreCallOptions {
  /** Answer `"unchanged"` instead of the bytes if the stored version is this one. */
  readonly unlessVersion?: Version;
  /**
   * Say {@link Stored.expiresAtMs} even if that costs another round trip. A backend that always says it, or never
   * can, may ignore this.
   */
  readonly withExpiry?: boolean;
}

/** Under which condition a value is written, as which version, and for how long. */
export interface PutOptions extends StoreCallOptions {
  /** The version these bytes will have. Chosen by the caller, so that a lost answer is resolved by reading. */
  readonly version: Version;
  /** The version that must be there now; `null` requires that the key is absent. There is no "any". */
  readonly ifVersion: Version | null;
  /** How long to keep the value, ms, from now. */
  readonly ttlMs: number;
}

/** A lost compare-and-swap is an ordinary answer, not an error. */
export type PutResult =
  | { readonly stored: true }
  | {
      readonly stored: false;
      /** What is there instead, if the backend could say so in the same round trip; absent if the key is. */
      readonly current?: Stored;
    };

/** Something an operator should know about the backend. */
export interface Finding {
  /** `error`: tokens may be lost or seen; `warning`: something will go wrong one day; `info`: good to know. */
  readonly severity: "info" | "warning" | "error";
  /** Stable, e.g. `permissions`, `eviction-policy`. */
  readonly code: string;
  /** For an operator to read: what is so, and what to do. */
  readonly message: string;
}

/**
 * Keeps sealed bytes under a key and replaces them only if nobody else did so first.
 *
 * A store never sees a token. It hands back the bytes it was given; it does not retry, parse, compress or
 * log, and a write whose caller has given up must not come to life later.
 */
export interface BlobStore {
  /** Names the backend in errors, events and metrics, e.g. `sqlite`. */
  readonly name: string;
  /**
   * Reads what is kept under `key`. After a `put` that reported a conflict, `get` sees the conflicting write.
   * @returns `undefined` if there is nothing or it has expired: a miss is not an error.
   */
  get(key: string, options?: GetOptions): Promise<Stored | "unchanged" | undefined>;
  /** Writes `bytes` if the stored version is {@link PutOptions.ifVersion}. Expired counts as absent. */
  put(key: string, bytes: Uint8Array, options: PutOptions): Promise<PutResult>;
  /**
   * Renews retention to at least `ttlMs` from now; never shortens it, changes no version.
   * @returns false if the version is no longer there.
   */
  touch(key: string, options: { readonly ifVersion: Version; readonly ttlMs: number }): Promise<boolean>;
  /** Removes the value if it has that version. Purging, and sign-out's last resort. */
  delete(key: string, options: { readonly ifVersion: Version }): Promise<boolean>;
  /**
   * For a backend that acknowledges before its replicas have a write: waits, for a bounded time, until a replica has
   * what lies under `key` now, or anything later. Called after a sign-out and after a refresh token that can be
   * redeemed only once has been replaced.
   * @returns false if no replica said so in time; `undefined` if there is none, or none that can be asked
   */
  replicated?(key: string): Promise<boolean | undefined>;
  /** What an operator should know: permissions, eviction policy. Never changes the backend. */
  inspect?(): Promise<Finding[]>;
}
