/** L1 in front of L2, for any value. Knows how to keep copies coherent; knows neither sealing nor MSAL. */
import type { Backplane } from "../store/backplane.ts";
import type { BlobStore, Version } from "../store/blob-store.ts";
import type { Runtime } from "../runtime.ts";
import type { Place } from "./l1.ts";
import type { StoreCalls } from "./store-calls.ts";

/** A value with the version a compare-and-swap quotes, and where it came from. */
export interface Read<V> {
  readonly value: V;
  readonly version: Version;
  /** `L2` also for an L1 copy that the store has just confirmed; `stale` is fail-safe: the store is down. */
  readonly level: "L1" | "L2" | "stale";
}

export type TierPutResult<V> =
  | { readonly stored: true; readonly version: Version }
  | {
      readonly stored: false;
      /** What is there instead, read at the time of the conflict; `undefined`: nothing. */
      readonly current: Read<V> | undefined;
      /** The answer was lost: the write may have landed, and somebody may have built on it since. */
      readonly uncertain?: true;
    };

export interface TierPutOptions {
  readonly ifVersion: Version | null;
  readonly ttlMs: number;
}

/** Both levels as one. All failures of the store surface as `TokenkeepError`s that are retryable. */
export interface Tiers<V> {
  /** The trusted L1 copy, synchronously and without any I/O of its own; `undefined`: ask {@link read}. */
  peek(key: string): V | undefined;
  /**
   * The same for whoever asks again and again, with the way there remembered; that a copy is in use is noted once a
   * second. If the place has a slot afterwards, it is that of what is answered.
   * @param nowMs the wall clock, just read
   */
  peekAt(place: Place<V>, nowMs: number): V | undefined;
  /**
   * Reads through both levels; one load per key at a time.
   * @param options.fresh Go past L1 and past loads that began earlier.
   * @throws retryable `TokenkeepError` if the store fails and fail-safe has nothing to serve.
   */
  read(key: string, options?: { readonly fresh?: boolean }): Promise<Read<V> | undefined>;
  /**
   * Compare-and-swap. A write whose answer was lost is resolved by reading: the version is ours or it is not.
   * @throws retryable `TokenkeepError` if the outcome cannot be established.
   */
  put(key: string, value: V, options: TierPutOptions): Promise<TierPutResult<V>>;
  /** Deletes in L2 if the version is still that; drops the L1 copy in any case. */
  delete(key: string, ifVersion: Version): Promise<boolean>;
  /**
   * Says to every process that a key was removed or strengthened.
   * @throws retryable `TokenkeepError`: the others' copies are trusted until the counter has been raised.
   */
  announce(key: string, version: Version): Promise<void>;
  /** Whether a replica has what lies under a key; `undefined`: the store has none, or cannot say. Never throws. */
  replicated(key: string): Promise<boolean | undefined>;
  /** Drops the L1 copy and makes every load or write now in flight uncacheable. */
  forget(key: string): void;
  /** Drops from memory what has expired. @returns how many. */
  prune(): number;
  /** Lets the next call to the store try, however short ago the last one failed. */
  endPause(): void;
  /** Empties L1. */
  clear(): void;
  /** Ends the subscription to the backplane. */
  close(): void;
}

export interface Lifetime {
  /** From now, ms. */
  readonly ttlMs: number;
  /** Using the value renews its retention, at most once per half of `ttlMs`. */
  readonly slides: boolean;
}

/** How values become bytes. `decode` may throw a retryable error; what it throws is never cached. */
export interface Codec<V> {
  encode(key: string, value: V): Uint8Array;
  /** A promise where something has to be asked for first; it is waited for within the budget of the reading. */
  decode(key: string, bytes: Uint8Array): V | Promise<V>;
  /** How long the store is asked to keep a value; default: what the store itself says, never renewed. */
  lifetime?(key: string, value: V): Lifetime;
  /** False for a value that says only that there is nothing: whoever reads such a copy waits for the store's own word. */
  answers?(value: V): boolean;
  /** Decides between a copy in memory and what the store now says; default: the store. */
  reconcile?(key: string, held: V, stored: V): V;
}

export interface TiersOptions<V> {
  readonly store: BlobStore & { readonly backplane?: Backplane };
  /** Makes the calls to the store. */
  readonly calls: StoreCalls;
  readonly codec: Codec<V>;
  readonly runtime: Runtime;
  /** Bytes L1 may hold; `false`: no L1. */
  readonly l1MaxBytes: number | false;
  /** Bound on how long a removal elsewhere may go unseen here, ms. */
  readonly coherenceBoundMs: number;
  /** How long a copy may be served after the store's last confirmation while the store fails, ms. */
  readonly maxStaleMs: number;
}
