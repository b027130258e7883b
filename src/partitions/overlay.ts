/** What results that wait make of what the store holds by now. Pure. */
import type { CacheBlob } from "../blob/entities.ts";
import { sameJson } from "../blob/json.ts";
import {
  applyChange,
  hasLanded,
  signOutBefore,
  type Applied,
  type ApplyContext,
  type Change,
  type Current,
} from "./change.ts";
import { afterRemoval, isMeant, isSurelyLater, markerOver } from "./order.ts";
import type { UnsavedEntry, UnsavedTokens } from "./unsaved.ts";

/** What the partition is for this process: what the store holds, and on it what could not be saved. */
export function overlay(current: Current, entry: UnsavedEntry | undefined, context: ApplyContext): Current {
  if (!entry || entry.kind === "stamp") return current;
  if (entry.kind === "removal") return afterRemoval(current, entry.marker, context.maxClockSkewMs);
  const applied = applyEntry(current, entry, context);
  return "next" in applied ? applied.next : current;
}

/** Applies waiting tokens to what the store holds by now. */
export function applyEntry(current: Current, entry: UnsavedTokens, context: ApplyContext): Applied {
  const { after } = entry;
  // The life that these tokens began came after that sign-out, and is not what it meant to end.
  const isOurs = hasLanded(current, entry.signInId);
  if (!after || isOurs || !isMeant(current, after, context.maxClockSkewMs)) {
    return applyChange(current, changeOf(entry, current, entry.over), context);
  }
  if (isAfterAnother(current, entry, context)) return { superseded: "removed" };
  // Whatever that sign-out ends, the sign-in behind it comes after.
  const there = markerOver(current, after);
  return applyChange(there, changeOf(entry, there, there.removedAtMs), context);
}

/**
 * A sign-out that neither the waiting one nor the sign-in behind it knew of, although its stamp is the lower one: it
 * may be the latest of the three, unless the clocks cannot have it so.
 */
function isAfterAnother(
  current: Current,
  { after, afterKnewOf, record }: UnsavedTokens,
  { maxClockSkewMs }: ApplyContext,
): boolean {
  const other = signOutBefore(current);
  if (other === undefined || !after || other >= after.removedAtMs) return false;
  if (afterKnewOf !== undefined && other <= afterKnewOf) return false;
  return !isSurelyLater(record.signedInAtMs, other, maxClockSkewMs);
}

/** The change that brings a waiting entry's tokens into whatever the store holds by now. */
function changeOf(entry: UnsavedTokens, there: Current, over: number | undefined): Change {
  return {
    creates: entry.creates,
    signsIn: entry.signsIn,
    // A sign-in on top of a waiting refresh must not take for known what the refresh began with: over a sign-out,
    // or nothing, even the account would be missing then.
    base: entry.creates ? undefined : entry.base,
    mine: entry.creates && there ? ownResults(entry, there, over) : entry.record.blob,
    strengthens: entry.strengthens,
    signedInAtMs: entry.record.signedInAtMs,
    signInId: entry.signInId,
    place: entry.place,
    unlisted: entry.record.unlisted,
    onlyFor: onlyAccountOf(entry),
    waited: { over },
  };
}

/** Anybody may have been given the key of a long-running process; it is one user's all the same. */
function onlyAccountOf({ partition, record }: UnsavedTokens): string | undefined {
  return partition.kind === "long-running"
    ? Object.values(record.blob.Account)[0]?.home_account_id
    : undefined;
}

/**
 * A sign-in has no base to be compared with, so everything in its record would count as new: tokens of the life
 * it was built on would displace younger ones, or come back after that life was ended.
 */
function ownResults(entry: UnsavedTokens, there: Current, over: number | undefined): CacheBlob {
  const { record, beneath, before } = entry;
  const known = [beneath, isEndedSince(there, over) ? before : undefined].filter((blob) => !!blob);
  if (known.length === 0) return record.blob;
  const own = (section: "AccessToken" | "RefreshToken" | "IdToken"): Record<string, never> =>
    Object.fromEntries(
      Object.entries(record.blob[section]).filter(
        ([key, entity]) => !known.some((blob) => sameJson(entity, blob[section][key])),
      ),
    ) as Record<string, never>;
  return {
    ...record.blob,
    AccessToken: own("AccessToken"),
    RefreshToken: own("RefreshToken"),
    IdToken: own("IdToken"),
  };
}

/**
 * A sign-out that the latest sign-in did not know of: what waited before that sign-in may be what it ended. Where the
 * sign-in has landed, all that came with it is there.
 */
function isEndedSince(there: Current, over: number | undefined): boolean {
  const endedMs = signOutBefore(there);
  return endedMs !== undefined && (over === undefined || endedMs > over);
}
