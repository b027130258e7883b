/** What goes wrong, when, and what has gone wrong lately. */
import type { FaultKind, Profile } from "./profile.ts";
import type { Prng } from "./prng.ts";

export type PortKind = "read" | "write" | "publish" | "counter" | "lease" | "activity" | "provider";

/** What shall happen to one call. */
interface CallPlan {
  /** Nothing happens at the other end; the caller gets an error. */
  readonly fails: boolean;
  /** It happens, and the caller gets an error. */
  readonly answerLost: boolean;
  /** The same command arrives once more, this much later, ms. */
  readonly resentAfterMs: number | undefined;
  /** The process ends right before the call is sent, or right after it has taken effect. */
  readonly crash: "before" | "after" | undefined;
  readonly provider: "429" | "500" | "503" | "reset" | "lost-answer" | undefined;
  /** It is never answered; at the other end it happens at once, or only so much later, ms. */
  readonly hangsForMs: number | undefined;
  readonly wayThereMs: number;
  readonly wayBackMs: number;
}

/** Until when something went wrong, and for whom (a machine's number); `undefined`: for everybody. */
interface Trouble {
  readonly until: number;
  readonly kind: FaultKind;
  readonly who: number | undefined;
}

export interface Faults {
  readonly counts: ReadonlyMap<FaultKind, number>;
  readonly enabled: ReadonlySet<FaultKind>;
  plan(kind: PortKind): CallPlan;
  /** After how long, ms, one message reaches one listener: once, late, several times, or never. */
  message(): readonly number[];
  /** Counts a fault, and remembers it as trouble for as long as it lasts. */
  note(kind: FaultKind, who?: number, lastsMs?: number): void;
  /** Remembers trouble that has been counted before: every call that an outage met. */
  felt(kind: FaultKind, who?: number): void;
  /** True if something went wrong for `who` (or anybody, if left out) at `from` or later. */
  troubledSince(from: number, who?: number, kinds?: ReadonlySet<FaultKind>): boolean;
  /** No more faults of single calls from now on. */
  heal(): void;
}

/** How long the shortest budget of a call is, and a little less, because two calls may have to share one. */
const SHORTEST_BUDGET_MS = 250;
/** No failures: every promise holds with them. */
const HARMLESS: ReadonlySet<FaultKind> = new Set([
  "slow",
  "half-open",
  "resent-late",
  "clock-jump",
  "message-lost",
  "message-late",
  "message-twice",
]);

export function createFaults(profile: Profile, prng: Prng, nowMs: () => number): Faults {
  const counts = new Map<FaultKind, number>();
  const troubles: Trouble[] = [];
  let enabled: ReadonlySet<FaultKind> = profile.faults;

  function meets(kind: FaultKind, probability: number): boolean {
    return enabled.has(kind) && prng.chance(probability);
  }

  function latency(): number {
    if (meets("slow", profile.perCall)) {
      note("slow");
      return prng.wait(2_000);
    }
    return prng.chance(0.1) ? prng.wait(60) : 0.2 + prng.wait(2);
  }

  function note(kind: FaultKind, who?: number, lastsMs = 0): void {
    counts.set(kind, (counts.get(kind) ?? 0) + 1);
    if (!HARMLESS.has(kind)) {
      troubles.push({ until: nowMs() + lastsMs, kind, who });
    }
  }

  function felt(kind: FaultKind, who?: number): void {
    troubles.push({ until: nowMs(), kind, who });
  }

  function providerFault(kind: PortKind): CallPlan["provider"] {
    if (kind !== "provider") return undefined;
    const often = Math.max(profile.perCall, 0.03);
    if (meets("provider-429", often)) return "429";
    if (meets("provider-5xx", often)) return prng.pick(["500", "503"] as const);
    if (meets("provider-reset", often)) return "reset";
    return meets("provider-answer-lost", often) ? "lost-answer" : undefined;
  }

  return {
    counts,
    get enabled() {
      return enabled;
    },
    plan(kind) {
      const often = profile.perCall;
      const isWrite = kind === "write" || kind === "publish" || kind === "activity";
      const wayThereMs = latency();
      const wayBackMs = latency() + (kind === "provider" ? prng.wait(60) : 0);
      // Slower than anybody waits: the caller takes the store for one that fails.
      if (kind !== "provider" && wayThereMs + wayBackMs >= SHORTEST_BUDGET_MS) felt("slow");
      const failure: FaultKind = kind === "lease" ? "lease-fails" : isWrite ? "write-fails" : "read-fails";
      return {
        fails: kind !== "provider" && meets(failure, often),
        answerLost: kind !== "provider" && meets("answer-lost", often),
        resentAfterMs: kind === "write" && meets("resent-late", often * 2) ? prng.wait(3_000) : undefined,
        crash: meets("crash", often / 4) ? prng.pick(["before", "after"] as const) : undefined,
        provider: providerFault(kind),
        hangsForMs:
          kind !== "provider" && meets("hangs", often) ? prng.pick([0, prng.wait(20_000)]) : undefined,
        wayThereMs,
        wayBackMs,
      };
    },
    message() {
      const often = Math.max(profile.perCall, 0.05);
      if (meets("message-lost", often)) {
        note("message-lost");
        return [];
      }
      const wayMs = 0.2 + prng.wait(5);
      if (meets("message-late", often)) {
        note("message-late");
        return [wayMs + prng.wait(20_000)];
      }
      if (!meets("message-twice", often)) return [wayMs];
      note("message-twice");
      return [wayMs, wayMs + prng.wait(10_000)];
    },
    note,
    felt,
    troubledSince(from, who, kinds) {
      return troubles.some(
        (trouble) =>
          trouble.until >= from &&
          (who === undefined || trouble.who === undefined || trouble.who === who) &&
          (!kinds || kinds.has(trouble.kind)),
      );
    },
    heal() {
      enabled = new Set();
    },
  };
}
