import { getHeapStatistics } from "node:v8";
import { totalmem } from "node:os";
import { LRUCache } from "lru-cache";
import type { Version } from "../store/blob-store.ts";

/** When a copy was last known to be what the store holds, by both clocks: one may jump, the other may stop. */
export interface Instant {
  readonly monotonicMs: number;
  readonly wallMs: number;
}

/** How long the store keeps a version, ms since the epoch. Shared by the copies that confirm one another. */
export interface Keep {
  /** From then on the store no longer has it, and no copy may answer for it. */
  expiresAtMs: number;
  /** The store did not say so: it may be earlier. */
  isAssumed: boolean;
  /** From then on a use of it renews its retention. */
  renewFromMs: number;
}

/** One value in memory, opened, with what is known about how current it is. */
export interface L1Entry<V> {
  readonly value: V;
  readonly version: Version;
  /** An entry is what a reading answers: a hit makes nothing new. */
  readonly level: "L1";
  /** When the request that confirmed this copy was *sent*: what happened after that, it cannot know. */
  readonly confirmedAt: Instant;
  /** Until then it is trusted for that alone. */
  readonly trustedUntil: Instant;
  /** The change counter read before that request, if the store has one. */
  readonly counter: string | undefined;
  readonly keep: Keep;
  readonly weight: number;
}

/**
 * Where an entry lies in L1, with what a hit needs of it in one place: with a million users in memory each further
 * object costs about as much as all the work on it. An entry that is replaced or dropped leaves an empty slot.
 */
export interface Slot<V> {
  readonly weight: number;
  /** As in the entry. */
  readonly counter: string | undefined;
  entry: L1Entry<V> | undefined;
  /** The entry's. */
  value: V | undefined;
  /** What whoever uses the value has made of it. */
  memo: unknown;
  /** In this second of the wall clock it need not be looked at again how long the store keeps it; nor is it used anew. */
  checkedSecond: number;
}

/** One key's way to its entry, for whoever asks again and again. Holds no value. */
export interface Place<V> {
  readonly key: string;
  slot: Slot<V> | undefined;
}

/** The copies in memory. */
export interface L1<V> {
  /** Counts as a use of it. */
  slot(key: string): Slot<V> | undefined;
  /** Does not. */
  peek(key: string): L1Entry<V> | undefined;
  set(key: string, entry: L1Entry<V>): void;
  delete(key: string): void;
  clear(): void;
  /** Drops what the store no longer has. @returns how many. */
  prune(nowMs: number): number;
}

export function createSlots<V>(maxBytes: number): L1<V> {
  const slots = createL1<Slot<V>>(maxBytes, (slot) => {
    slot.entry = undefined;
    slot.value = undefined;
    slot.memo = undefined;
  });
  return {
    slot: (key) => slots.get(key),
    peek: (key) => slots.peek(key)?.entry,
    set(key, entry) {
      const { value, weight, counter } = entry;
      slots.set(key, { weight, counter, entry, value, memo: undefined, checkedSecond: 0 });
    },
    delete: (key) => void slots.delete(key),
    clear: () => slots.clear(),
    prune(nowMs) {
      const expired = [...slots.entries()].filter(
        ([, { entry }]) => entry && nowMs >= entry.keep.expiresAtMs,
      );
      for (const [key] of expired) slots.delete(key);
      return expired.length;
    },
  };
}

/** Memory an entry takes beyond its bytes: the parsed object, its keys, the map's own bookkeeping. */
const ENTRY_OVERHEAD_BYTES = 1024;
const DEFAULT_LIMIT_BYTES = 500_000_000;

/**
 * The smaller of 500 MB and a tenth of the memory this process may use: the V8 heap limit, the container's
 * limit, the machine's memory.
 */
export function defaultL1MaxBytes(): number {
  const constrained = process.constrainedMemory() || Number.POSITIVE_INFINITY;
  const available = Math.min(getHeapStatistics().heap_size_limit, constrained, totalmem());
  return Math.min(DEFAULT_LIMIT_BYTES, Math.floor(available / 10));
}

/** Weight of an entry whose serialised form has `bytes` bytes, in bytes. */
export function weighEntry(key: string, bytes: number): number {
  return bytes + 2 * key.length + ENTRY_OVERHEAD_BYTES;
}

/**
 * What fits is bounded by the sum of weights; what was used least recently goes first.
 * @param onGone what was replaced or dropped
 */
export function createL1<E extends { readonly weight: number }>(
  maxBytes: number,
  onGone?: (entry: E) => void,
): LRUCache<string, E> {
  return new LRUCache<string, E>({
    maxSize: maxBytes,
    sizeCalculation: (entry) => entry.weight,
    ...(onGone && { dispose: onGone }),
  });
}
