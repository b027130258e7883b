import { TokenkeepError } from "../errors.ts";
import { partitionLabel } from "../telemetry/emitter.ts";
import { currentOf } from "./change.ts";
import { applyContext, giveUpOutlived, type Core } from "./core.ts";
import { ttlOf } from "./retention.ts";
import { afterConflict, MAX_ATTEMPTS, reportFault } from "./save.ts";
import { replayRemoval } from "./sign-out.ts";
import { applyEntry } from "./overlay.ts";
import type { UnsavedEntry, UnsavedResults, UnsavedStamp, UnsavedTokens } from "./unsaved.ts";

const FIRST_DELAY_MS = 250;
/** A store that is back has what waited within a second; one call at a time is no burden to one that is not. */
const MAX_DELAY_MS = 500;
const MAX_FAILURES = 3;
/** So many at a time go to a store that takes them. */
const LANES = 16;

/** How a pass goes. */
interface Tally {
  stored: number;
  failures: number;
}

export interface Replay {
  readonly request: (when: "now" | "later") => void;
  /**
   * Tries everything that waits once, in a pass that begins after the call; concurrent callers share one.
   * @returns how many still wait.
   */
  drain(): Promise<number>;
  close(): void;
}

export interface ReplayOptions {
  readonly replayStamp: (key: string, entry: UnsavedStamp) => Promise<void>;
  /** Takes in what could not wait here until now, because something else did. @returns whether there may be any */
  readonly takeOver: () => boolean;
}

/** Brings what waits to the store, in the background, backing off while the store fails. */
export function createReplay(core: Core, { replayStamp, takeOver }: ReplayOptions): Replay {
  const { runtime, unsaved } = core;
  let timer: unknown;
  let isTimedForNow = false;
  let delayMs = FIRST_DELAY_MS;
  let draining: Promise<number> | undefined;
  let following: Promise<number> | undefined;
  let closed = false;

  function request(when: "now" | "later"): void {
    if (closed || (timer !== undefined && (when === "later" || isTimedForNow))) return;
    // The store has just answered somebody: no reason to sit out the rest of a back-off.
    if (timer !== undefined) runtime.clearTimer(timer);
    isTimedForNow = when === "now";
    const jittered = delayMs * (0.5 + runtime.jitter() / 2);
    timer = runtime.setTimer(
      () => {
        timer = undefined;
        void drain();
      },
      when === "now" ? 0 : jittered,
    );
  }

  function drain(): Promise<number> {
    if (!draining) return pass();
    // What the pass under way has failed with may have been tried before the store came back.
    following ??= draining.then(() => {
      following = undefined;
      return unsaved.size === 0 ? 0 : pass();
    });
    return following;
  }

  function pass(): Promise<number> {
    draining = replayAll().finally(() => {
      draining = undefined;
    });
    return draining;
  }

  async function replayAll(): Promise<number> {
    do {
      const waiting = urgentFirst(unsaved);
      const tally: Tally = { stored: 0, failures: 0 };
      // One at a time until the store has taken one; then many, because a second is what the rest may take.
      await replaySome(waiting, tally, () => tally.stored > 0);
      await Promise.all(Array.from({ length: LANES }, () => replaySome(waiting, tally, () => false)));
    } while (takeOver());
    delayMs = unsaved.size === 0 ? FIRST_DELAY_MS : Math.min(delayMs * 2, MAX_DELAY_MS);
    if (unsaved.size > 0) request("later");
    return unsaved.size;
  }

  async function replaySome(waiting: string[], tally: Tally, isEnough: () => boolean): Promise<void> {
    while (tally.failures < MAX_FAILURES && !isEnough()) {
      const key = waiting.shift();
      if (key === undefined) return;
      const entry = unsaved.get(key);
      if (!entry) continue;
      // One record that the store never takes is no reason not to try the next.
      core.tiers.endPause();
      const outcome = await replayEntry(key, entry);
      if (outcome === "stored") tally.stored += 1;
      if (outcome !== "store-failed") continue;
      // One record that the store never takes must not hold up the others; several failures mean the store.
      unsaved.postpone(key);
      tally.failures += 1;
    }
  }

  /** `not-yet`: this one record is unreadable or contended, which says nothing about the others. */
  async function replayEntry(
    key: string,
    entry: UnsavedEntry,
  ): Promise<"stored" | "not-yet" | "store-failed"> {
    try {
      if (entry.kind === "removal") await replayRemoval(core, key, entry);
      else if (entry.kind === "stamp") await replayStamp(key, entry);
      else if (!(await replayTokens(core, key, entry))) return "not-yet";
      return "stored";
    } catch (error) {
      if (!(error instanceof TokenkeepError)) {
        reportFault(core, "replay", error);
        return "not-yet";
      }
      return error.code === "ERR_STORE_UNAVAILABLE" ? "store-failed" : "not-yet";
    }
  }

  return {
    request,
    drain,
    close() {
      closed = true;
      if (timer !== undefined) runtime.clearTimer(timer);
    },
  };
}

/** A sign-out that waits lets others go on serving the account: it comes before any tokens. */
function urgentFirst(unsaved: UnsavedResults): string[] {
  const isTokens = (key: string): number => (unsaved.get(key)?.kind === "tokens" ? 1 : 0);
  return unsaved.keys().toSorted((a, b) => isTokens(a) - isTokens(b));
}

async function replayTokens(core: Core, key: string, entry: UnsavedTokens): Promise<boolean> {
  let there = await core.tiers.read(key, { fresh: true });
  for (let attempt = 1; attempt <= MAX_ATTEMPTS; attempt++) {
    if (there === undefined) giveUpOutlived(core, key);
    // Given up, or stored meanwhile by a refresh that was built on it: what it was built from is spent, and must not come back.
    if (core.unsaved.get(key) !== entry) return true;
    if (core.unsaved.isHeld(entry)) return false;
    const applied = applyEntry(currentOf(there?.value), entry, applyContext(core));
    if ("superseded" in applied) {
      core.emit({ type: "write-superseded", partition: partitionLabel(key), reason: applied.superseded });
      if (core.unsaved.get(key) === entry) core.unsaved.drop(key, "superseded");
      return true;
    }
    const result = await core.tiers.put(key, applied.next, {
      ifVersion: there?.version ?? null,
      ttlMs: ttlOf(entry.partition.kind, applied.next, core.runtime.now(), core.retention),
    });
    if (result.stored) {
      if (entry.strengthens) await core.tiers.announce(key, result.version);
      core.unsaved.settle(key, entry);
      core.emit({ type: "replayed", partition: partitionLabel(key) });
      return true;
    }
    there = await afterConflict(core, key, attempt, result.current);
  }
  return false;
}
