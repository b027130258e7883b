import { isRetryable, TokenkeepError } from "../errors.ts";
import { partitionLabel } from "../telemetry/emitter.ts";
import type { TierPutOptions, TierPutResult } from "../tiers/tiers.ts";
import { currentOf, type Current } from "./change.ts";
import { seenHere, storeKey, type Core } from "./core.ts";
import { isMeant, markerOver } from "./order.ts";
import type { Partition } from "./partition.ts";
import type { PartitionRecord, RemovalMarker } from "./record.ts";
import { afterConflict, isReplicated } from "./save.ts";
import type { UnsavedRemoval } from "./unsaved.ts";

/** How far a sign-out has come. */
export interface SignOutOutcome {
  /** `pending`: the store is down. This process has forgotten the tokens; the store will when it answers. */
  readonly status: "done" | "pending";
  /**
   * False where the store was full and could only delete: a refresh in flight elsewhere might write again. Where
   * the store has replicas and none had it in time: a failover might take it back. And where it is not sure that everything was reached: the account record or the activity index was unreadable.
   */
  readonly durable: boolean;
}

/**
 * Ends a partition's life: a removal marker takes its place by compare-and-swap, also where nothing is.
 * In this process running flights, the copy in memory and waiting results are detached before anything else.
 * @throws `ERR_UNSAVED_FULL` if the store does not answer and no more sign-outs can wait for it
 */
export async function signOut(core: Core, partition: Partition): Promise<SignOutOutcome> {
  const key = storeKey(core, partition);
  core.flights.detach(key);
  // Queued first: whatever finishes while the marker is on its way meets it, and gives up.
  const seen = currentOf(core.tiers.peek(key));
  const entry = core.unsaved.addRemoval(key, partition, localMarker(core, key), seen);
  core.tiers.forget(key);
  const outcome = await tryLanding(core, key, entry);
  // A call that began meanwhile may have read what was there before the marker landed: nobody joins it any more.
  core.flights.detach(key);
  core.emit({ type: "signed-out", partition: partitionLabel(key), ...outcome });
  return outcome;
}

/** The marker as far as this process can tell, for as long as the store has none. */
function localMarker(core: Core, key: string): RemovalMarker {
  return markerOver(seenHere(core, key, core.tiers.peek(key)), { removedAtMs: core.runtime.now() });
}

async function tryLanding(core: Core, key: string, entry: UnsavedRemoval): Promise<SignOutOutcome> {
  try {
    return await landRemoval(core, key, entry, () => true);
  } catch (error) {
    if (!isRetryable(error)) throw error;
    if (!core.unsaved.keepWaiting(key, entry)) throw noRoom(error);
    core.requestReplay("later");
    return { status: "pending", durable: false };
  }
}

/** Better said aloud than forgotten: whoever signs somebody out can try again, or at another process. */
export function noRoom(cause: unknown): TokenkeepError {
  return new TokenkeepError(
    "ERR_UNSAVED_FULL",
    "the store does not answer, and no more sign-outs can wait for it (unsavedMaxBytes): the user is still signed in; try again",
    { retryable: true, cause },
  );
}

/** Ends a partition as of a moment that has passed, unless what is there came after it. Never waits for others. */
export async function signOutAsOf(core: Core, partition: Partition, removedAtMs: number): Promise<void> {
  const key = storeKey(core, partition);
  const marker = markerOver(undefined, { removedAtMs });
  const seen = core.tiers.peek(key);
  if (!isMeant(seenHere(core, key, seen), marker, core.maxClockSkewMs)) return;
  core.flights.detach(key);
  core.tiers.forget(key);
  const entry = core.unsaved.addRemoval(key, partition, marker, currentOf(seen));
  try {
    await replayRemoval(core, key, entry);
  } catch (error) {
    if (!isRetryable(error)) throw error;
    if (!core.unsaved.keepWaiting(key, entry)) throw noRoom(error);
  }
  core.flights.detach(key);
}

/** Brings a queued sign-out to the store, unless somebody has signed in since. @throws retryable */
export async function replayRemoval(core: Core, key: string, entry: UnsavedRemoval): Promise<void> {
  // Once it has landed by another way, whatever comes to lie there is not meant any more.
  const isWaiting = (): boolean => core.unsaved.get(key) === entry;
  await landRemoval(
    core,
    key,
    entry,
    (current) => isWaiting() && isMeant(current, entry.marker, core.maxClockSkewMs),
  );
}

async function landRemoval(
  core: Core,
  key: string,
  entry: UnsavedRemoval,
  mustLand: (current: Current) => boolean,
): Promise<SignOutOutcome> {
  let there = await core.tiers.read(key, { fresh: true });
  for (let attempt = 1; ; attempt++) {
    const current = currentOf(there?.value);
    if (!mustLand(current)) {
      // It may be our own marker, of which nobody could be told.
      await core.tiers.announce(key, there?.version ?? "");
      core.unsaved.settle(key, entry);
      return { status: "done", durable: true };
    }
    const result = await putMarker(core, key, markerOver(current, entry.marker), {
      ifVersion: there?.version ?? null,
      ttlMs: core.retention.removalMarkerTtlMs,
    });
    if (result === "full" || result.stored) {
      // Not done before the other processes have been told: their copies are trusted until then.
      await core.tiers.announce(key, result === "full" ? "" : result.version);
      core.unsaved.settle(key, entry);
      return { status: "done", durable: result !== "full" && (await isReplicated(core, key)) };
    }
    there = await afterConflict(core, key, attempt, result.current);
  }
}

async function putMarker(
  core: Core,
  key: string,
  marker: RemovalMarker,
  options: TierPutOptions,
): Promise<"full" | TierPutResult<PartitionRecord>> {
  try {
    return await core.tiers.put(key, marker, options);
  } catch (error) {
    if (!(error instanceof TokenkeepError) || error.code !== "ERR_STORE_FULL") throw error;
    // No room for a marker: deleting is what is left, and the outcome says that it is less.
    if (options.ifVersion === null || (await core.tiers.delete(key, options.ifVersion))) return "full";
    // Somebody has written meanwhile: what lies there now must end too.
    return { stored: false, current: await core.tiers.read(key, { fresh: true }) };
  }
}
