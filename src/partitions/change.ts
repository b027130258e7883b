/** What an operation did to a partition, and what becomes of the record by it. Pure. */
import type { CacheBlob } from "../blob/entities.ts";
import { emptyBlob } from "../blob/entities.ts";
import { sameJson } from "../blob/json.ts";
import { mergeBlobs, type Removal } from "../blob/merge.ts";
import {
  highestGrant,
  provenanceAfterRefresh,
  provenanceAfterSignIn,
  type Provenance,
} from "../blob/provenance.ts";
import { pruneBlob } from "../blob/prune.ts";
import type { Version } from "../store/blob-store.ts";
import type { PartitionRecord, RemovalMarker, TokenRecord } from "./record.ts";

/** The state a partition is in, with failures already told apart: they are thrown, not states. */
export type Current = TokenRecord | RemovalMarker | { readonly type: "refused" } | undefined;

/** The result of one operation: what MSAL was given, and what it made of it. */
export interface Change {
  /** A sign-in, OBO, client credentials or import: may bring a partition to life where nothing is. */
  readonly creates: boolean;
  /** A person has signed in: the only thing that begins a new life after a sign-out. */
  readonly signsIn: boolean;
  /** What the operation started from; `undefined`: nothing. */
  readonly base: TokenRecord | undefined;
  /** The version the store had for that base; `undefined`: read before comparing. */
  readonly baseVersion?: Version | undefined;
  readonly mine: CacheBlob;
  /** Entries that the operation removed on purpose, e.g. a refresh token that the provider refused for good. */
  readonly removals?: readonly Removal[];
  /** The tokens are stronger than what was there (step-up): other nodes must not go on with theirs. */
  readonly strengthens: boolean;
  /** Set once a creation had to be queued: the grant it was given then. See {@link RemovalMarker.grant}. */
  readonly grant?: number;
  /** Set for a queued result: provenance was decided when it was queued. */
  readonly provenance?: Provenance;
}

export type Applied =
  | { readonly next: TokenRecord; readonly restored: boolean; readonly changed: boolean }
  | { readonly superseded: "removed" | "incarnation" | "refused" };

/** Where an incarnation begins and time is read: the only impurities, handed in. */
export interface ApplyContext {
  readonly newIncarnation: () => string;
  readonly nowSeconds: number;
}

/** Applies `change` to what is there now. Never mutates. */
export function applyChange(current: Current, change: Change, context: ApplyContext): Applied {
  return change.creates ? applyCreation(current, change, context) : applyRefresh(current, change, context);
}

function applyCreation(current: Current, change: Change, context: ApplyContext): Applied {
  if (current?.type === "removed" && !isYounger(change, current)) return { superseded: "removed" };
  const there = current?.type === "tokens" ? current : undefined;
  const base = change.base?.blob ?? emptyBlob();
  const provenance =
    decidedProvenance(change, there, context) ??
    provenanceAfterSignIn({ base, mine: change.mine, known: knownOrigins(current) });
  const merged = mergeBlobs({
    base,
    mine: change.mine,
    theirs: there?.blob ?? emptyBlob(),
    provenance: { mine: provenance, theirs: there?.provenance ?? {} },
    strengthens: change.strengthens,
  });
  const life = there ?? {
    incarnation: context.newIncarnation(),
    seq: current?.type === "removed" ? current.seq : 0,
  };
  return { next: successor(life, merged, context), restored: false, changed: true };
}

/**
 * What was decided when the change had to be queued. A sign-in that then knew nothing of the life it now
 * meets has not been there yet, and takes its place on top of it.
 */
function decidedProvenance(
  change: Change,
  there: TokenRecord | undefined,
  context: ApplyContext,
): Provenance | undefined {
  const isStrange = change.signsIn && there && there.incarnation !== context.newIncarnation();
  return isStrange ? undefined : change.provenance;
}

/** A sign-in that is replayed must be younger than the life that was ended; one that is not queued is. */
function isYounger(change: Change, marker: RemovalMarker): boolean {
  return change.signsIn && (change.grant === undefined || change.grant > marker.grant);
}

/** What a sign-in must be younger than: the tokens that are there, or the life that a sign-out ended. */
function knownOrigins(current: Current): Provenance {
  if (current?.type === "removed") return { "": { grant: current.grant, generation: 0 } };
  return current?.type === "tokens" ? current.provenance : {};
}

function applyRefresh(current: Current, change: Change, context: ApplyContext): Applied {
  const base = change.base;
  if (!base) return { superseded: "removed" };
  if (current?.type === "removed") return { superseded: "removed" };
  if (current?.type === "refused") return { superseded: "refused" };
  if (current && current.incarnation !== base.incarnation) return { superseded: "incarnation" };
  const provenance =
    change.provenance ??
    provenanceAfterRefresh({ base: base.blob, mine: change.mine, known: base.provenance });
  // Absent without a marker: the store lost the record, it was not signed out. What we hold goes back.
  const theirs = current ?? base;
  const merged = mergeBlobs({
    base: base.blob,
    mine: change.mine,
    theirs: theirs.blob,
    provenance: { mine: provenance, theirs: theirs.provenance },
    ...(change.removals && { removals: change.removals }),
    strengthens: change.strengthens,
  });
  return {
    next: successor(theirs, { ...merged, provenance: withGrantKept(merged.provenance, theirs) }, context),
    restored: current === undefined,
    // MSAL marks an unchanged cache as changed (msal-node 7.2.1), so what changed is found by comparing.
    changed: current === undefined || !sameJson(merged.blob, theirs.blob),
  };
}

/**
 * Grants are counted by the refresh tokens that are there. Where the last one leaves, the count stays: the next
 * sign-in must be younger than an answer for the old token that is still on its way.
 */
function withGrantKept(provenance: Provenance, before: TokenRecord): Provenance {
  const grant = highestGrant(before.provenance);
  return highestGrant(provenance) >= grant ? provenance : { ...provenance, "": { grant, generation: 0 } };
}

function successor(
  life: { readonly incarnation: string; readonly seq: number },
  merged: { readonly blob: CacheBlob; readonly provenance: Provenance },
  context: ApplyContext,
): TokenRecord {
  return {
    type: "tokens",
    incarnation: life.incarnation,
    seq: life.seq + 1,
    provenance: merged.provenance,
    blob: pruneBlob(merged.blob, context.nowSeconds),
  };
}

/** Narrows what lies under a token partition's key; an account record there would be a foreign record. */
export function currentOf(record: PartitionRecord | undefined): Current {
  if (record === undefined || record.type === "tokens" || record.type === "removed") return record;
  return { type: "refused" };
}
