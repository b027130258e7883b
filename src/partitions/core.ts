import { nowSeconds } from "../blob/lookup.ts";
import { randomId, type Runtime } from "../runtime.ts";
import { partitionLabel, type Emit } from "../telemetry/emitter.ts";
import type { SingleFlight } from "../tiers/single-flight.ts";
import type { Tiers } from "../tiers/tiers.ts";
import { currentOf, type ApplyContext, type Current } from "./change.ts";
import type { Partition } from "./partition.ts";
import type { PartitionRecord } from "./record.ts";
import type { Retention } from "./retention.ts";
import { overlay } from "./overlay.ts";
import type { UnsavedResults } from "./unsaved.ts";

/** What the parts of this folder share. */
export interface Core {
  readonly tiers: Tiers<PartitionRecord>;
  readonly unsaved: UnsavedResults;
  readonly flights: SingleFlight;
  readonly runtime: Runtime;
  readonly retention: Retention;
  readonly emit: Emit;
  readonly namespace: string;
  /** Store keys made so far: the same text again is found faster than an equal one. */
  readonly keys: WeakMap<Partition, string>;
  /** How far apart the wall clocks of two processes may be, ms. */
  readonly maxClockSkewMs: number;
  /** Asks for a replay of what waits, now or after the current back-off. */
  readonly requestReplay: (when: "now" | "later") => void;
}

/** The store key of a partition: its id behind the namespace. */
export function storeKey(core: Pick<Core, "namespace" | "keys">, partition: Partition): string {
  let key = core.keys.get(partition);
  if (key === undefined) core.keys.set(partition, (key = `${core.namespace}:${partition.id}`));
  return key;
}

export function applyContext(core: Pick<Core, "runtime" | "maxClockSkewMs">): ApplyContext {
  return {
    newIncarnation: () => randomId(core.runtime),
    nowSeconds: nowSeconds(core.runtime.now()),
    maxClockSkewMs: core.maxClockSkewMs,
  };
}

/** What this process takes the partition to be, given what the store holds. */
export function seenHere(core: Core, key: string, stored: PartitionRecord | undefined): Current {
  const current = currentOf(stored);
  return core.unsaved.size === 0 ? current : overlay(current, core.unsaved.get(key), applyContext(core));
}

/**
 * For when the store has said that it has nothing under a key. Tokens that have waited for as long as a sign-out is
 * remembered are given up then: somebody may have signed out meanwhile, and nobody can tell any more.
 * @returns whether there were any
 */
export function giveUpOutlived(core: Core, key: string): boolean {
  const entry = core.unsaved.size === 0 ? undefined : core.unsaved.get(key);
  if (entry?.kind !== "tokens") return false;
  const waitedMs = core.runtime.now() - (entry.sinceMs ?? 0);
  if (waitedMs < core.retention.removalMarkerTtlMs - core.maxClockSkewMs) return false;
  core.emit({ type: "write-superseded", partition: partitionLabel(key), reason: "removed" });
  core.unsaved.drop(key, "superseded");
  return true;
}
