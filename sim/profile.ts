/** What one seed stands for: how many nodes, which provider, how much goes wrong. */
import { createPrng } from "./prng.ts";

/** Everything that can be done to a run, by the name it is counted under. */
export const FAULT_KINDS = [
  "read-fails",
  "write-fails",
  "answer-lost",
  "resent-late",
  "slow",
  "outage",
  "cut-off",
  "half-open",
  "lease-fails",
  "pause",
  "crash",
  "evict",
  "restore",
  "full",
  "provider-429",
  "provider-5xx",
  "provider-reset",
  "provider-answer-lost",
  "clock-jump",
  "hangs",
  "suspend",
  "message-lost",
  "message-late",
  "message-twice",
] as const;

/** What befalls keys and sealed records; drawn apart from the others. */
type KeyFaultKind = "key-rotation" | "keys-fail" | "tamper" | "key-id";

/** What the provider no longer takes; drawn apart from the others. */
type ProviderFaultKind = "secret";

export type FaultKind = (typeof FAULT_KINDS)[number] | KeyFaultKind | ProviderFaultKind;

/** How keys are turned over. */
export interface KeyProfile {
  /** Mean pause between two rotations or rekeyings, ms. */
  readonly gapMs: number;
  /** A key seals before everybody has it. */
  readonly isHasty: boolean;
  /** Probability that whoever keeps the keys does not answer. */
  readonly fails: number;
}

export interface Profile {
  readonly seed: number;
  readonly roles: readonly ("web" | "worker")[];
  /** How far each node's wall clock is off at first, ms. */
  readonly skewsMs: readonly number[];
  readonly maxSkewMs: number;
  readonly users: number;
  readonly refreshTokens: "one-time" | "reusable";
  readonly accessTokenSeconds: number;
  readonly maxStaleMs: number;
  /** How long a user's record is kept from its last use. */
  readonly userTtlMs: number;
  /** Mean pause between two disturbances, ms of virtual time; only of those kinds that may happen. */
  readonly disturbanceGapMs: number;
  readonly faults: ReadonlySet<FaultKind>;
  /** Probability that a single call meets one of the faults of single calls. */
  readonly perCall: number;
  /** The provider ends a user's sign-ins now and then. */
  readonly revokes: boolean;
  /** Absent: all have the same key all the time. */
  readonly keys: KeyProfile | undefined;
  /** Somebody without a key writes to the store. */
  readonly tampers: boolean;
  /** The store has names in place of keys. */
  readonly names: boolean;
  /** How long before a token should be renewed, s; undefined: the provider does not say. */
  readonly refreshInSeconds: number | undefined;
  /** The applications' secrets are replaced at the provider now and then, and for a while nobody has told them. */
  readonly losesSecret: boolean;
  /** The API goes on for users after their assertions have expired. */
  readonly jobs: boolean;
}

/** So short that a record which is only read must be kept by that, or is gone within a run. */
export const SHORT_TTL_MS = 120_000;

/** Faults that undo what the store had acknowledged: the promises hold with exceptions then. */
const LOSSES: ReadonlySet<FaultKind> = new Set(["evict", "restore", "full"]);

/** Trouble in most of their runs: a run that has none of it tells more about everything else. */
const RARE: ReadonlySet<FaultKind> = new Set(["hangs", "suspend"]);

export function profileOf(seed: number): Profile {
  const prng = createPrng(seed, "profile");
  // Most interleavings of interest need two or three nodes; many nodes are there for contention.
  const nodes = prng.chance(0.75) ? prng.int(2, 4) : prng.int(5, 16);
  const roles = Array.from({ length: nodes }, (_, index) =>
    index === 0 ? "web" : index === 1 ? "worker" : prng.pick(["web", "worker"] as const),
  );
  const calm = prng.chance(0.2);
  const lossless = prng.chance(0.6);
  const faults = new Set(
    FAULT_KINDS.filter(
      (kind) => !calm && !(lossless && LOSSES.has(kind)) && prng.chance(RARE.has(kind) ? 0.2 : 0.4),
    ),
  );
  const maxSkewMs = prng.pick([0, 50, 2_000, 20_000]);
  return {
    seed,
    roles,
    skewsMs: roles.map(() => prng.int(-maxSkewMs, maxSkewMs)),
    maxSkewMs,
    users: prng.int(1, 3),
    refreshTokens: prng.chance(0.75) ? "one-time" : "reusable",
    accessTokenSeconds: prng.pick([600, 900, 3600]),
    maxStaleMs: prng.pick([20_000, 300_000, 3_600_000]),
    userTtlMs: prng.chance(0.25) ? SHORT_TTL_MS : 90 * 86_400_000,
    disturbanceGapMs: prng.pick([3_000, 15_000, 60_000]),
    faults,
    perCall: prng.pick([0, 0.01, 0.05]),
    revokes: prng.chance(0.3),
    ...keysOf(seed),
    names: createPrng(seed, "name profile").chance(0.3),
    ...aheadOf(seed),
    jobs: createPrng(seed, "jobs profile").chance(0.4),
  };
}

/** Of what a provider asks for, and what is remembered of its refusals: a stream of its own again. */
function aheadOf(seed: number): Pick<Profile, "refreshInSeconds" | "losesSecret"> {
  const prng = createPrng(seed, "provider profile");
  return {
    refreshInSeconds: prng.chance(0.4) ? prng.pick([20, 60, 200]) : undefined,
    losesSecret: prng.chance(0.2),
  };
}

/** A stream of its own: the other seeds are what they were. */
function keysOf(seed: number): Pick<Profile, "keys" | "tampers"> {
  const prng = createPrng(seed, "key profile");
  const rotates = prng.chance(0.4);
  const keys: KeyProfile = {
    gapMs: prng.pick([20_000, 60_000]),
    isHasty: prng.chance(0.6),
    fails: prng.pick([0, 0, 0.3]),
  };
  return { keys: rotates ? keys : undefined, tampers: prng.chance(0.25) };
}
