import { TokenkeepError } from "../errors.ts";
import { randomId, sleep } from "../runtime.ts";
import { partitionLabel } from "../telemetry/emitter.ts";
import type { Read } from "../tiers/tiers.ts";
import { applyChange, type Change, type Current, type Superseded } from "./change.ts";
import { applyContext, giveUpOutlived, seenHere, storeKey, type Core } from "./core.ts";
import type { Partition } from "./partition.ts";
import type { PartitionRecord, TokenRecord } from "./record.ts";
import { ttlOf } from "./retention.ts";
import { placeOf } from "./unsaved.ts";

/** What became of a result. The caller has its token in any case. */
export interface SaveOutcome {
  /** True once the store has acknowledged it. False: it waits in memory, or was superseded. */
  readonly saved: boolean;
  /** Why it was not wanted any more: signed out, or signed in anew, meanwhile. */
  readonly superseded?: Superseded;
  /** The partition as this process now sees it. */
  readonly record: TokenRecord | undefined;
}

/** More rounds than writers are likely to meet on one user: each lost round means that another writer won. */
export const MAX_ATTEMPTS = 20;
/** Enough to tell the few sign-ins of one life apart. */
const SIGN_IN_ID_LENGTH = 8;
/** So many rounds follow each other at once; then a pause lets the others finish first. */
const EAGER_ATTEMPTS = 4;

/**
 * What to compare against after a lost round: what the conflict brought, or, from the fourth loss on, what is
 * read after a pause (full jitter, growing, bounded). Whoever pauses and then writes over what it read before
 * the pause loses again, and again.
 */
export async function afterConflict(
  core: Core,
  key: string,
  attempt: number,
  current: Read<PartitionRecord> | undefined,
): Promise<Read<PartitionRecord> | undefined> {
  if (attempt < EAGER_ATTEMPTS) return current;
  await sleep(core.runtime, core.runtime.jitter() * Math.min(2 ** attempt, 200));
  return core.tiers.read(key, { fresh: true });
}

/**
 * Brings a result into its partition: merge, seal, compare and swap, again after a conflict. Whatever the
 * store does, the result is not lost while the process lives, and this never throws for the store's sake.
 */
export async function save(core: Core, partition: Partition, given: Change): Promise<SaveOutcome> {
  const key = storeKey(core, partition);
  const change = given.signsIn ? dated(core, given) : given;
  let last: TokenRecord | undefined;
  let there: Read<PartitionRecord> | undefined;
  let perhapsThere: TokenRecord | undefined;
  let release = (): void => undefined;
  try {
    there = await startingPoint(core, key, change);
    for (let attempt = 1; attempt <= MAX_ATTEMPTS; attempt++) {
      // What was renewed from that goes the same way; a sign-in stands by itself.
      if (there === undefined && giveUpOutlived(core, key) && !change.creates)
        return superseded(core, key, "removed", undefined);
      const waiting = core.unsaved.get(key);
      release();
      release = core.unsaved.hold(waiting);
      const current = seenHere(core, key, there?.value);
      const applied = applyAgain(core, current, change, perhapsThere);
      if ("superseded" in applied) return superseded(core, key, applied.superseded, current);
      if (!applied.changed && !waiting) return { saved: true, record: applied.next };
      last = applied.next;
      const earlier = perhapsThere;
      perhapsThere ??= last;
      const result = await core.tiers.put(key, last, {
        ifVersion: there?.version ?? null,
        ttlMs: ttlOf(partition.kind, last, core.runtime.now(), core.retention),
      });
      if (result.stored) {
        if (applied.restored) core.emit({ type: "record-restored", partition: partitionLabel(key) });
        // A sign-in over living tokens, or a step-up: other nodes must not go on with theirs.
        if (change.strengthens && there) await core.tiers.announce(key, result.version);
        core.unsaved.settle(key, waiting);
        if (change.mustReplicate) await isReplicated(core, key);
        if (core.unsaved.size > 0) core.requestReplay("now");
        return { saved: true, record: last };
      }
      core.emit({ type: "conflict", partition: partitionLabel(key), attempt });
      if (!result.uncertain) perhapsThere = earlier;
      there = await afterConflict(core, key, attempt, result.current);
    }
  } catch (error) {
    // Whatever went wrong, also in somebody's adapter: the provider's answer is not lost.
    if (!(error instanceof TokenkeepError)) reportFault(core, "save", error);
  } finally {
    release();
  }
  return queue(core, partition, change, { computed: last, perhapsThere, seen: there?.value });
}

function dated({ runtime }: Core, signIn: Change): Change {
  return { signedInAtMs: runtime.now(), signInId: randomId(runtime).slice(0, SIGN_IN_ID_LENGTH), ...signIn };
}

/**
 * A sign-in whose write may have landed keeps the place it had then: another process may have renewed its refresh
 * token since, and the spent one must not come back as the younger of the two.
 */
function applyAgain(
  core: Core,
  current: Current,
  change: Change,
  perhapsThere: TokenRecord | undefined,
): ReturnType<typeof applyChange> {
  const tried = perhapsThere && change.creates ? { ...change, place: placeOf(perhapsThere) } : change;
  return applyChange(current, tried, applyContext(core));
}

/**
 * A creation compares against what it reads now, after the provider's answer; a refresh against what it
 * started from, whose version is known, so that an undisturbed write costs one call.
 */
function startingPoint(
  core: Core,
  key: string,
  change: Change,
): Promise<Read<PartitionRecord> | undefined> | Read<PartitionRecord> {
  if (change.creates) return core.tiers.read(key, { fresh: true });
  if (change.base && change.baseVersion !== undefined && !core.unsaved.get(key)) {
    return { value: change.base, version: change.baseVersion, level: "L1" };
  }
  return core.tiers.read(key);
}

function superseded(core: Core, key: string, reason: Superseded, current: Current): SaveOutcome {
  core.emit({ type: "write-superseded", partition: partitionLabel(key), reason });
  return { saved: false, superseded: reason, record: current?.type === "tokens" ? current : undefined };
}

/** The store would not take it: this process keeps it, on top of whatever already waits for that key. */
function queue(
  core: Core,
  partition: Partition,
  change: Change,
  tried: {
    readonly computed: TokenRecord | undefined;
    readonly perhapsThere: TokenRecord | undefined;
    readonly seen: PartitionRecord | undefined;
  },
): SaveOutcome {
  const key = storeKey(core, partition);
  // What the attempt saw counts also where L1 is no longer trusted: a sign-in must be younger than that.
  const current = seenHere(core, key, core.tiers.peek(key) ?? tried.seen ?? change.base);
  const applied = tried.perhapsThere
    ? applyAgain(core, current, change, tried.perhapsThere)
    : applyChange(current, change, {
        ...applyContext(core),
        newIncarnation: () => tried.computed?.incarnation ?? randomId(core.runtime),
      });
  if ("superseded" in applied) return superseded(core, key, applied.superseded, current);
  core.unsaved.addTokens(key, partition, change, {
    record: applied.next,
    on: current,
    atMs: core.runtime.now(),
  });
  core.requestReplay("later");
  return { saved: false, record: applied.next };
}

/** Where replicas lag, a failover may take the write back: said by an event. @returns false only where that is known */
export async function isReplicated(core: Pick<Core, "tiers" | "emit">, key: string): Promise<boolean> {
  if ((await core.tiers.replicated(key)) !== false) return true;
  core.emit({ type: "write-unreplicated", partition: partitionLabel(key) });
  return false;
}

/** An error that no store should throw, and that must not cost anybody a token. */
export function reportFault(core: Pick<Core, "emit">, operation: string, error: unknown): void {
  core.emit({ type: "store-failed", store: "partitions", operation, error });
}
