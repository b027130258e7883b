import type { CacheBlob } from "../blob/entities.ts";
import { sameJson } from "../blob/json.ts";
import { highestGrant } from "../blob/provenance.ts";
import { partitionLabel, type Emit } from "../telemetry/emitter.ts";
import { applyChange, type ApplyContext, type Change, type Current } from "./change.ts";
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
  /** A sign-out that came before these tokens and has not reached the store either. */
  readonly after: RemovalMarker | undefined;
  readonly weight: number;
}

/** A sign-out that the store has not heard of yet. */
export interface UnsavedRemoval {
  readonly kind: "removal";
  readonly partition: Partition;
  readonly marker: RemovalMarker;
  readonly weight: number;
}

/** A sign-out everywhere whose stamp has not reached the account record yet. */
export interface UnsavedStamp {
  readonly kind: "stamp";
  readonly partition: Partition;
  readonly signedOutAtMs: number;
  readonly weight: number;
}

/** One entry a key: a later result is built on the earlier one, so that replaying the entry replays both. */
export type UnsavedEntry = UnsavedTokens | UnsavedRemoval | UnsavedStamp;

/** Results waiting for the store, bounded by bytes; what costs least to lose goes first, a sign-out never. */
export interface UnsavedResults {
  readonly size: number;
  /** Sum of weights, bytes. */
  readonly bytes: number;
  /** How many results were given up for want of room. */
  readonly dropped: number;
  get(key: string): UnsavedEntry | undefined;
  keys(): string[];
  /** Queues the record that a change led to. */
  addTokens(
    key: string,
    partition: Partition,
    change: Change,
    queued: { readonly record: TokenRecord; readonly on: Current },
  ): void;
  /** Queues a sign-out; whatever tokens waited under the key are gone. */
  addRemoval(key: string, partition: Partition, marker: RemovalMarker): UnsavedEntry;
  addStamp(key: string, partition: Partition, signedOutAtMs: number): void;
  /** Keeps an entry in the spill folder as well; tokens are kept there from the start. */
  persist(key: string): void;
  /** Takes in what a process that is gone had left in the spill folder. */
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
    const { partition, after: marker } = entry;
    entries.set(key, { kind: "removal", partition, marker, weight: SMALL_WEIGHT_BYTES });
    bytes += SMALL_WEIGHT_BYTES;
    persist(key);
  }

  function set<E extends UnsavedEntry>(key: string, entry: E): E {
    remove(key);
    entries.set(key, entry);
    bytes += entry.weight;
    while (bytes > maxBytes) {
      const cheapest = cheapestKey(entries, key);
      if (cheapest === undefined) break;
      dropTokens(cheapest);
      dropped += 1;
      emit({ type: "unsaved-dropped", partition: partitionLabel(cheapest), reason: "limit" });
    }
    return entry;
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
    keys: () => [...entries.keys()],
    addTokens(key, partition, change, { record, on }) {
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
        after: earlier?.kind === "removal" ? earlier.marker : first?.after,
        weight: JSON.stringify(record.blob).length + SMALL_WEIGHT_BYTES,
      });
      persist(key);
      emit({ type: "unsaved", partition: partitionLabel(key), bytes });
    },
    addRemoval: (key, partition, marker) =>
      set(key, { kind: "removal", partition, marker, weight: SMALL_WEIGHT_BYTES }),
    addStamp(key, partition, signedOutAtMs) {
      set(key, { kind: "stamp", partition, signedOutAtMs, weight: SMALL_WEIGHT_BYTES });
    },
    persist,
    postpone(key) {
      const entry = entries.get(key);
      if (entry && entries.delete(key)) entries.set(key, entry);
    },
    adopt(key, entry) {
      if (!entries.has(key)) set(key, entry);
    },
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
      const wasThere = reason === "closed" ? remove(key) : forget(key);
      if (wasThere) emit({ type: "unsaved-dropped", partition: partitionLabel(key), reason });
    },
  };
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

/** The change that brings a waiting entry's tokens into whatever the store holds by now. */
function changeOf(entry: UnsavedTokens, there: Current): Change {
  return {
    creates: entry.creates,
    signsIn: entry.signsIn,
    // A sign-in on top of a waiting refresh must not take for known what the refresh began with: over a sign-out,
    // or nothing, even the account would be missing then.
    base: entry.creates ? undefined : entry.base,
    mine: entry.creates && there ? ownResults(entry) : entry.record.blob,
    strengthens: entry.strengthens,
    provenance: entry.record.provenance,
    grant: highestGrant(entry.record.provenance),
  };
}

/**
 * A sign-in has no base to be compared with, so everything in its record would count as new: tokens of the life
 * it was built on would displace younger ones, or come back after that life was ended.
 */
function ownResults({ record, beneath }: UnsavedTokens): CacheBlob {
  if (!beneath) return record.blob;
  const own = <E extends object>(
    mine: Readonly<Record<string, E>>,
    known: Readonly<Record<string, E>>,
  ): Record<string, E> =>
    Object.fromEntries(Object.entries(mine).filter(([key, entity]) => !sameJson(entity, known[key])));
  return {
    ...record.blob,
    AccessToken: own(record.blob.AccessToken, beneath.AccessToken),
    RefreshToken: own(record.blob.RefreshToken, beneath.RefreshToken),
    IdToken: own(record.blob.IdToken, beneath.IdToken),
  };
}

/** What a sign-out makes of the state: its end, unless a life has begun that it did not mean. */
export function afterRemoval(current: Current, marker: RemovalMarker): Current {
  // Ended already, and later than this sign-out knew of: a waiting sign-in must be younger than that.
  if (current?.type === "removed" && current.grant > marker.grant) return current;
  const another =
    current?.type === "tokens" &&
    marker.incarnation !== undefined &&
    current.incarnation !== marker.incarnation;
  return another ? current : marker;
}

/** What the partition is for this process: what the store holds, and on it what could not be saved. */
export function overlay(current: Current, entry: UnsavedEntry | undefined, context: ApplyContext): Current {
  if (!entry || entry.kind === "stamp") return current;
  if (entry.kind === "removal") return afterRemoval(current, entry.marker);
  const applied = applyEntry(current, entry, context);
  return "next" in applied ? applied.next : current;
}

/** Applies waiting tokens to what the store holds by now. */
export function applyEntry(
  current: Current,
  entry: UnsavedTokens,
  context: ApplyContext,
): ReturnType<typeof applyChange> {
  // The life that these tokens began came after that sign-out, and is not what it meant to end.
  const isOurs = current?.type === "tokens" && current.incarnation === entry.record.incarnation;
  const there = entry.after && !isOurs ? afterRemoval(current, entry.after) : current;
  return applyChange(there, changeOf(entry, there), {
    ...context,
    newIncarnation: () => entry.record.incarnation,
  });
}
