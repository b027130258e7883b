import { emptyBlob, type CacheBlob } from "../blob/entities.ts";
import { sameJson } from "../blob/json.ts";
import { partitionLabel, type Emit } from "../telemetry/emitter.ts";
import { hasLanded, signOutBefore, type Change, type Current, type Place } from "./change.ts";
import type { Spill } from "./spill.ts";
import type { Partition } from "./partition.ts";
import type { RemovalMarker, TokenRecord } from "./record.ts";

/** Tokens that the store does not have yet. */
export interface UnsavedTokens {
  readonly kind: "tokens";
  readonly partition: Partition;
  /** What the store was last known to hold when the first of the results began. */
  readonly base: TokenRecord | undefined;
  readonly creates: boolean;
  readonly signsIn: boolean;
  readonly strengthens: boolean;
  /** The partition as it is once the store has it. */
  readonly record: TokenRecord;
  /** What the record was built on: entries that are the same there are no result of ours. */
  readonly beneath: CacheBlob | undefined;
  /**
   * What waited already when the latest sign-in came, and what came in after it but was begun before: a sign-out
   * that nobody here had heard of may have ended it.
   */
  readonly before?: CacheBlob | undefined;
  /** The latest sign-in among the results. */
  readonly signInId?: string | undefined;
  /** Where the record was put when it was computed. */
  readonly place: Place;
  /** A sign-out that came before these tokens and has not reached the store either. */
  readonly after: RemovalMarker | undefined;
  /** The stamp of the last sign-out that was known here when that one was made. */
  readonly afterKnewOf?: number | undefined;
  /** The stamp of the last sign-out that was known when a sign-in began to wait. */
  readonly over?: number | undefined;
  /** When the first of the results came, or the latest sign-in among them; ms since the epoch. Absent: not known. */
  readonly sinceMs?: number | undefined;
  readonly weight: number;
}

/** A sign-out that the store has not heard of yet. */
export interface UnsavedRemoval {
  readonly kind: "removal";
  readonly partition: Partition;
  readonly marker: RemovalMarker;
  /** The stamp of the last sign-out in the store that was known here when this one was made. */
  readonly knewOf?: number | undefined;
  /** 0 while it is on its way for the first time. */
  weight: number;
}

/** A sign-out everywhere whose stamp has not reached the account record yet. */
export interface UnsavedStamp {
  readonly kind: "stamp";
  readonly partition: Partition;
  readonly signedOutAtMs: number;
  weight: number;
}

/** One entry a key: a later result is built on the earlier one, so that replaying the entry replays both. */
export type UnsavedEntry = UnsavedTokens | UnsavedRemoval | UnsavedStamp;

/**
 * Results waiting for the store, bounded by bytes. What costs least to lose goes first; a sign-out that waits never
 * does, and one for which there is no room is not taken.
 */
export interface UnsavedResults {
  readonly size: number;
  /** Sum of weights, bytes. */
  readonly bytes: number;
  /** How many results were given up for want of room. */
  readonly dropped: number;
  get(key: string): UnsavedEntry | undefined;
  has(key: string): boolean;
  /** Settles, always well, when nothing waits under the key any more; `undefined`: nothing does. */
  whenGone(key: string): Promise<void> | undefined;
  keys(): string[];
  /** Queues the record that a change led to. */
  addTokens(
    key: string,
    partition: Partition,
    change: Change,
    queued: { readonly record: TokenRecord; readonly on: Current; readonly atMs: number },
  ): void;
  /** Queues a sign-out that is on its way; `seen` is what the store was last seen to hold. Whatever tokens waited under the key are gone. */
  addRemoval(key: string, partition: Partition, marker: RemovalMarker, seen: Current): UnsavedRemoval;
  addStamp(key: string, partition: Partition, signedOutAtMs: number): UnsavedStamp;
  /**
   * From now on a sign-out waits, in the spill folder too. Tokens give way to it.
   * @returns false if there is no room: then it has been taken off, and its caller must be told.
   */
  keepWaiting(key: string, entry: UnsavedRemoval | UnsavedStamp): boolean;
  /** Takes in what a process that is gone had left in the spill folder; nothing waits under the key. */
  adopt(key: string, entry: UnsavedEntry): void;
  /** Puts an entry behind the others. */
  postpone(key: string): void;
  /** While a result that was built on the entry is being saved, the entry alone must not be replayed. */
  hold(entry: UnsavedEntry | undefined): () => void;
  isHeld(entry: UnsavedEntry): boolean;
  /** Takes an entry off if it is still the one given. */
  settle(key: string, entry: UnsavedEntry | undefined): void;
  drop(key: string, reason: "superseded" | "closed"): void;
}

/** Weight of an entry without tokens. */
const SMALL_WEIGHT_BYTES = 512;

export function createUnsavedResults(maxBytes: number, emit: Emit, spill?: Spill): UnsavedResults {
  const entries = new Map<string, UnsavedEntry>();
  const held = new WeakMap<UnsavedEntry, number>();
  const watched = new Map<string, PromiseWithResolvers<void>>();
  let bytes = 0;
  let dropped = 0;

  function remove(key: string): boolean {
    const entry = entries.get(key);
    if (!entry) return false;
    entries.delete(key);
    bytes -= entry.weight;
    return true;
  }

  function forget(key: string): boolean {
    spill?.remove(key);
    return end(key);
  }

  function end(key: string): boolean {
    watched.get(key)?.resolve();
    watched.delete(key);
    return remove(key);
  }

  function persist(key: string): void {
    const entry = entries.get(key);
    if (entry) spill?.write(key, entry);
  }

  /** The tokens go; a sign-out that waits beneath them stays. */
  function dropTokens(key: string): void {
    const entry = entries.get(key);
    forget(key);
    if (entry?.kind !== "tokens" || !entry.after) return;
    const { partition, after: marker, afterKnewOf: knewOf } = entry;
    entries.set(key, { kind: "removal", partition, marker, knewOf, weight: SMALL_WEIGHT_BYTES });
    bytes += SMALL_WEIGHT_BYTES;
    persist(key);
  }

  function set<E extends UnsavedEntry>(key: string, entry: E): E {
    remove(key);
    entries.set(key, entry);
    bytes += entry.weight;
    makeRoom(key);
    return entry;
  }

  function makeRoom(newest: string): void {
    while (bytes > maxBytes) {
      const cheapest = cheapestKey(entries, newest);
      if (cheapest === undefined) break;
      dropTokens(cheapest);
      tellDropped(cheapest);
    }
  }

  function tellDropped(key: string): void {
    dropped += 1;
    emit({ type: "unsaved-dropped", partition: partitionLabel(key), reason: "limit" });
  }

  return {
    get size() {
      return entries.size;
    },
    get bytes() {
      return bytes;
    },
    get dropped() {
      return dropped;
    },
    get: (key) => entries.get(key),
    has: (key) => entries.has(key),
    whenGone(key) {
      if (!entries.has(key)) return undefined;
      const watch = watched.get(key) ?? Promise.withResolvers<void>();
      watched.set(key, watch);
      return watch.promise;
    },
    keys: () => [...entries.keys()],
    addTokens(key, partition, change, { record, on, atMs }) {
      const earlier = entries.get(key);
      const first = earlier?.kind === "tokens" ? earlier : undefined;
      set(key, {
        kind: "tokens",
        partition,
        base: first ? first.base : change.base,
        creates: change.creates || (first?.creates ?? false),
        signsIn: change.signsIn || (first?.signsIn ?? false),
        strengthens: change.strengthens || (first?.strengthens ?? false),
        record,
        beneath: first ? first.beneath : on?.type === "tokens" ? on.blob : undefined,
        before: change.signsIn ? first?.record.blob : first && beforeSignIn(first, change, record),
        place: placeOf(record),
        signInId: change.signInId ?? first?.signInId,
        after: earlier?.kind === "removal" ? earlier.marker : first?.after,
        afterKnewOf: earlier?.kind === "removal" ? earlier.knewOf : first?.afterKnewOf,
        over: signOutBefore(on),
        sinceMs: first && !change.signsIn ? first.sinceMs : atMs,
        weight: JSON.stringify(record.blob).length + SMALL_WEIGHT_BYTES,
      });
      persist(key);
      emit({ type: "unsaved", partition: partitionLabel(key), bytes });
    },
    addRemoval(key, partition, marker, seen) {
      const knewOf = latestOf(signOutBefore(seen), knownTo(entries.get(key)));
      return set(key, { kind: "removal", partition, marker, knewOf, weight: 0 });
    },
    addStamp: (key, partition, signedOutAtMs) =>
      set(key, { kind: "stamp", partition, signedOutAtMs, weight: 0 }),
    keepWaiting(key, entry) {
      // Tokens that came meanwhile carry it along.
      if (entries.get(key) !== entry) return true;
      bytes += SMALL_WEIGHT_BYTES - entry.weight;
      entry.weight = SMALL_WEIGHT_BYTES;
      makeRoom(key);
      if (bytes <= maxBytes) {
        persist(key);
        return true;
      }
      forget(key);
      tellDropped(key);
      return false;
    },
    postpone(key) {
      const entry = entries.get(key);
      if (entry && entries.delete(key)) entries.set(key, entry);
    },
    adopt: (key, entry) => void set(key, entry),
    hold(entry) {
      if (!entry) return () => undefined;
      held.set(entry, (held.get(entry) ?? 0) + 1);
      let isHolding = true;
      return () => {
        if (isHolding) held.set(entry, (held.get(entry) ?? 1) - 1);
        isHolding = false;
      };
    },
    isHeld: (entry) => (held.get(entry) ?? 0) > 0,
    settle(key, entry) {
      if (entry && entries.get(key) === entry) forget(key);
    },
    drop(key, reason) {
      // What is left at the end stays in the spill folder, for the next process.
      const wasThere = reason === "closed" ? end(key) : forget(key);
      if (wasThere) emit({ type: "unsaved-dropped", partition: partitionLabel(key), reason });
    },
  };
}

/** The stamp of the last sign-out in the store that a waiting entry knew of: one of its own is not in the store. */
function knownTo(entry: UnsavedEntry | undefined): number | undefined {
  if (entry?.kind === "removal") return entry.knewOf;
  if (entry?.kind !== "tokens") return undefined;
  return entry.after ? entry.afterKnewOf : entry.over;
}

function latestOf(...stamps: readonly (number | undefined)[]): number | undefined {
  const known = stamps.filter((stamp) => stamp !== undefined);
  return known.length === 0 ? undefined : Math.max(...known);
}

/** Entries of the record that belong to the time before the sign-in that waits. */
function beforeSignIn(
  waiting: UnsavedTokens,
  { base, mine }: Change,
  record: TokenRecord,
): CacheBlob | undefined {
  if (!waiting.signsIn || hasLanded(base, waiting.signInId)) return waiting.before;
  const before = waiting.before ?? emptyBlob();
  const added = (section: "AccessToken" | "RefreshToken" | "IdToken"): Record<string, never> => ({
    ...(before[section] as Record<string, never>),
    ...(Object.fromEntries(
      Object.entries(mine[section]).filter(([key, entity]) => sameJson(entity, record.blob[section][key])),
    ) as Record<string, never>),
  });
  return {
    ...before,
    AccessToken: added("AccessToken"),
    RefreshToken: added("RefreshToken"),
    IdToken: added("IdToken"),
  };
}

export function placeOf({ incarnation, provenance }: Place): Place {
  return { incarnation, provenance };
}

/** Application tokens cost one call, an assertion's tokens another one upstream, a user's cost a sign-in. */
const COST = { app: 0, obo: 1, flow: 2, account: 2, user: 3, session: 3, "long-running": 4 } as const;

function cheapestKey(entries: ReadonlyMap<string, UnsavedEntry>, newest: string): string | undefined {
  let best: { readonly key: string; readonly cost: number } | undefined;
  for (const [key, entry] of entries) {
    if (entry.kind !== "tokens") continue;
    // Among equals the oldest goes, and the one just added last.
    const cost = COST[entry.partition.kind] + (key === newest ? 0.5 : 0);
    if (!best || cost < best.cost) best = { key, cost };
  }
  return best?.key;
}
