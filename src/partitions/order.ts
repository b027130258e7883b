/**
 * Which came first, a sign-in or a sign-out. Where one knew of the other, its stamp is the higher one, whatever the
 * clocks say. Where neither did, the wall clocks of their processes decide, and only beyond what these may differ
 * by; in doubt the user is signed out. Which of two refresh tokens is the newer is never decided here. Pure.
 */
import { highestGrant } from "../blob/provenance.ts";
import type { Current } from "./change.ts";
import type { RemovalMarker } from "./record.ts";

/** A stamp, ms since the epoch: this process's time, and later than what it is known to follow. */
export function stampAfter(nowMs: number, ...known: readonly (number | undefined)[]): number {
  return known.reduce<number>((latest, earlier) => Math.max(latest, (earlier ?? 0) + 1), nowMs);
}

/** True only if no two clocks within the limit can have it the other way round. */
export function isSurelyLater(atMs: number | undefined, thanMs: number, maxClockSkewMs: number): boolean {
  return atMs !== undefined && atMs > thanMs + maxClockSkewMs;
}

/** True if a sign-out that had to wait ends what is there by now: anything but what came after it. */
export function isMeant(current: Current, removal: RemovalMarker, maxClockSkewMs: number): boolean {
  switch (current?.type) {
    case "tokens":
      return !isSurelyLater(current.signedInAtMs, removal.removedAtMs, maxClockSkewMs);
    case "removed":
      // A later sign-out covers this one; an earlier one must not let by what came between the two.
      return removal.removedAtMs > current.removedAtMs;
    default:
      return true;
  }
}

/** The marker that a sign-out puts over what is there; later than all that it ends. */
export function markerOver(
  current: Current,
  removal: Pick<RemovalMarker, "removedAtMs"> & Partial<RemovalMarker>,
): RemovalMarker {
  const life = current?.type === "tokens" || current?.type === "removed" ? current : undefined;
  const ended = life?.type === "tokens" ? life.signedInAtMs : life?.removedAtMs;
  const grant = life?.type === "tokens" ? highestGrant(life.provenance) : (life?.grant ?? 0);
  return {
    type: "removed",
    incarnation: life ? life.incarnation : removal.incarnation,
    seq: (life?.seq ?? 0) + 1,
    grant: Math.max(grant, removal.grant ?? 0),
    removedAtMs: stampAfter(removal.removedAtMs, ended),
  };
}

/** What a waiting sign-out makes of the state. */
export function afterRemoval(current: Current, removal: RemovalMarker, maxClockSkewMs: number): Current {
  return isMeant(current, removal, maxClockSkewMs) ? markerOver(current, removal) : current;
}
