/** What holds where the store shows less than this process has seen: it went back in time, or never knew. Pure. */
import { emptyBlob } from "../blob/entities.ts";
import { mergeBlobs } from "../blob/merge.ts";
import type { AccountRecord, PartitionRecord, TokenRecord } from "./record.ts";

/** `stored` itself, unless `held` knows something of the same life that the store has forgotten. */
export function reconcile(held: PartitionRecord, stored: PartitionRecord): PartitionRecord {
  if (held.type === "account") {
    return stored.type === "account" && stored.seq < held.seq ? unite(held, stored) : stored;
  }
  if (!hasLife(held) || !hasLife(stored) || held.incarnation !== stored.incarnation) return stored;
  // A life that has ended stays ended, however often an older state of it has been written to since.
  if (held.type === "removed") return stored.type === "tokens" || stored.seq < held.seq ? held : stored;
  if (stored.type === "removed") return stored;
  return stored.seq < held.seq ? keepBoth(held, stored) : stored;
}

type Life = Extract<PartitionRecord, { type: "tokens" | "removed" }>;

function hasLife(record: PartitionRecord): record is Life {
  return record.type === "tokens" || record.type === "removed";
}

/** Others may have written since the store went back: what they saved is no less true than what it forgot. */
function keepBoth(held: TokenRecord, stored: TokenRecord): TokenRecord {
  const merged = mergeBlobs({
    base: emptyBlob(),
    mine: held.blob,
    theirs: stored.blob,
    provenance: { mine: held.provenance, theirs: stored.provenance },
  });
  const signedInAtMs = Math.max(held.signedInAtMs ?? 0, stored.signedInAtMs ?? 0);
  const signIns = [...new Set([...(stored.signIns ?? []), ...(held.signIns ?? [])])];
  return { ...held, ...merged, ...(signedInAtMs > 0 && { signedInAtMs }), signIns };
}

/**
 * An account record has no life of its own: one that expired and was begun anew looks like one from the past, and
 * holds a newer sign-out. Listing too much costs a marker, listing too little an ended session that goes on.
 */
function unite(held: AccountRecord, stored: AccountRecord): AccountRecord {
  const stamps = [held, stored].flatMap(({ signedOutAtMs }) => signedOutAtMs ?? []);
  const listed = new Map([...stored.partitions, ...held.partitions].map((entry) => [entry.id, entry]));
  return {
    type: "account",
    seq: held.seq,
    signedOutAtMs: stamps.length === 0 ? undefined : Math.max(...stamps),
    partitions: [...listed.values()],
  };
}
