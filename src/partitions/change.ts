/** What an operation did to a partition, and what becomes of the record by it. Pure. */
import type { CacheBlob } from "../blob/entities.ts";
import { emptyBlob } from "../blob/entities.ts";
import { sameJson } from "../blob/json.ts";
import { mergeBlobs, type Removal } from "../blob/merge.ts";
import {
  fingerprint,
  highestGrant,
  provenanceAfterRefresh,
  provenanceAfterSignIn,
  type Provenance,
} from "../blob/provenance.ts";
import { pruneBlob } from "../blob/prune.ts";
import type { Version } from "../store/blob-store.ts";
import { isSurelyLater, stampAfter } from "./order.ts";
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
  /** What it replaces is spent: a store with replicas is asked whether one of them has it. */
  readonly mustReplicate?: boolean;
  /** A sign-in: when its answer had come, by this process's clock. On-behalf-of: when the assertion was issued. */
  readonly signedInAtMs?: number | undefined;
  /** A sign-in: random, so that it is known again where its answer was lost. */
  readonly signInId?: string | undefined;
  /**
   * A long-running process: the stamp of the sign-out that was there before the provider was asked, `undefined` for
   * none. A later one ends what this change would begin.
   */
  readonly begins?: { readonly over: number | undefined };
  /** Whether the user's account record had no room for the partition; `undefined`: as before. */
  readonly unlisted?: boolean | undefined;
  /** The only account that the partition may hold entries of. */
  readonly onlyFor?: string | undefined;
  /** Set once it has been tried: the place it was given then. */
  readonly place?: Place;
  /** Set for what had to wait for the store: the stamp of the last sign-out that it knew of. */
  readonly waited?: { readonly over: number | undefined };
}

/** Where a result was put at an earlier attempt: kept where it has landed, because others may have built on it. */
export interface Place {
  readonly incarnation: string;
  readonly provenance: Provenance;
}

/** So many sign-ins of a life are known again. */
const SIGN_INS_KEPT = 8;

/** True if a sign-in is in what is there, or was. */
export function hasLanded(current: Current, signInId: string | undefined): boolean {
  return current?.type === "tokens" && signInId !== undefined && (current.signIns ?? []).includes(signInId);
}

/** The stamp of the sign-out that is there, or that the life that is there was begun over. */
export function signOutBefore(current: Current): number | undefined {
  if (current?.type === "removed") return current.removedAtMs;
  return current?.type === "tokens" ? current.afterMs : undefined;
}

export type Applied =
  | { readonly next: TokenRecord; readonly restored: boolean; readonly changed: boolean }
  | { readonly superseded: Superseded };

/** Why a change is not wanted any more: signed out, or signed in anew, or another's, or not authentic. */
export type Superseded = "removed" | "incarnation" | "refused" | "other-account";

/** Where an incarnation begins and time is read: the only impurities, handed in. */
export interface ApplyContext {
  readonly newIncarnation: () => string;
  readonly nowSeconds: number;
  /** How far apart the wall clocks of two processes may be, ms. */
  readonly maxClockSkewMs: number;
}

/** Applies `change` to what is there now. Never mutates. */
export function applyChange(current: Current, change: Change, context: ApplyContext): Applied {
  return change.creates ? applyCreation(current, change, context) : applyRefresh(current, change, context);
}

function applyCreation(current: Current, change: Change, context: ApplyContext): Applied {
  if (isOver(current, change, context)) return { superseded: "removed" };
  const there = current?.type === "tokens" ? current : undefined;
  if (there && !isOnlyFor(there.blob, change.onlyFor)) return { superseded: "other-account" };
  const base = change.base?.blob ?? emptyBlob();
  const provenance =
    decidedProvenance(current, change) ??
    provenanceAfterSignIn({ base, mine: change.mine, known: knownOrigins(current) });
  const merged = mergeBlobs({
    base,
    mine: change.mine,
    theirs: there?.blob ?? emptyBlob(),
    provenance: { mine: provenance, theirs: there?.provenance ?? {} },
    strengthens: change.strengthens,
  });
  const afterMs = current?.type === "removed" ? current.removedAtMs : change.waited?.over;
  const life = there ?? {
    incarnation: incarnationOver(current, change, context),
    seq: current?.type === "removed" ? current.seq : 0,
    afterMs,
  };
  const next = successor(withListing(signedInto(life, change), change), merged, context);
  return { next, restored: false, changed: true };
}

/**
 * True if a sign-out has ended what this change would bring back. One that is under way has met the sign-out's
 * marker, and comes after it, unless it may have landed before; one that had to wait must have known of it, or be
 * surely the later of the two.
 */
function isOver(current: Current, change: Change, { maxClockSkewMs }: ApplyContext): boolean {
  const { place, waited, signsIn, signedInAtMs } = change;
  const endedMs = lastSignOut(current, change);
  if (current?.type === "removed" && !signsIn) return true;
  if (change.begins && endedMs !== undefined && endedMs > (change.begins.over ?? -Infinity)) return true;
  if (!waited)
    return place !== undefined && current?.type === "removed" && current.incarnation === place.incarnation;
  if (endedMs === undefined) return false;
  const knewOfIt = waited.over !== undefined && waited.over >= endedMs;
  return !knewOfIt && !isSurelyLater(signedInAtMs, endedMs, maxClockSkewMs);
}

function isOnlyFor(blob: CacheBlob, homeAccountId: string | undefined): boolean {
  return (
    homeAccountId === undefined ||
    Object.values(blob.Account).every((account) => account.home_account_id === homeAccountId)
  );
}

/** Another life may have begun since: what the sign-out before it ended does not come back into that one either. */
function lastSignOut(current: Current, { signInId }: Pick<Change, "signInId">): number | undefined {
  return hasLanded(current, signInId) ? undefined : signOutBefore(current);
}

/** A life that has ended does not begin again under its name; whoever asks twice gets the same answer. */
function incarnationOver(current: Current, { place }: Change, context: ApplyContext): string {
  if (!place) return context.newIncarnation();
  if (current?.type !== "removed" || current.incarnation !== place.incarnation) return place.incarnation;
  return fingerprint(`${place.incarnation}:${current.removedAtMs}`);
}

/**
 * What was decided at an earlier attempt. A sign-in that has not been there yet takes its place anew: it is the
 * highest grant of those that it meets.
 */
function decidedProvenance(current: Current, { place, signsIn, signInId }: Change): Provenance | undefined {
  if (!place || current?.type === "removed") return undefined;
  if (!signsIn || current?.type !== "tokens") return place.provenance;
  return hasLanded(current, signInId) ? place.provenance : undefined;
}

function signedInto(life: Life, { signedInAtMs, signInId }: Change): Life {
  if (signedInAtMs === undefined) return life;
  const others = (life.signIns ?? []).filter((id) => id !== signInId);
  return {
    ...life,
    signedInAtMs: Math.max(stampAfter(signedInAtMs, life.afterMs), life.signedInAtMs ?? 0),
    ...(signInId !== undefined && { signIns: [...others, signInId].slice(-SIGN_INS_KEPT) }),
  };
}

function withListing(life: Life, { unlisted }: Change): Life {
  return unlisted === undefined ? life : { ...life, unlisted };
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
    change.place?.provenance ??
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
    next: successor(
      withListing(theirs, change),
      { ...merged, provenance: withGrantKept(merged.provenance, theirs) },
      context,
    ),
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

type Life = Pick<TokenRecord, "incarnation" | "seq" | "signedInAtMs" | "afterMs" | "signIns" | "unlisted">;

function successor(
  life: Life,
  merged: { readonly blob: CacheBlob; readonly provenance: Provenance },
  context: ApplyContext,
): TokenRecord {
  return {
    type: "tokens",
    incarnation: life.incarnation,
    seq: life.seq + 1,
    provenance: merged.provenance,
    signedInAtMs: life.signedInAtMs,
    afterMs: life.afterMs,
    signIns: life.signIns,
    unlisted: life.unlisted,
    blob: pruneBlob(merged.blob, context.nowSeconds),
  };
}

/** Narrows what lies under a token partition's key; an account record there would be a foreign record. */
export function currentOf(record: PartitionRecord | undefined): Current {
  if (record === undefined || record.type === "tokens" || record.type === "removed") return record;
  return { type: "refused" };
}
