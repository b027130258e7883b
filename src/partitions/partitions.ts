/** The heart: what lies under a partition key, how it is read, how a result gets into it, how it ends. */
import { TokenkeepError } from "../errors.ts";
import type { Runtime } from "../runtime.ts";
import type { Version } from "../store/blob-store.ts";
import type { Emit } from "../telemetry/emitter.ts";
import type { Place, Slot } from "../tiers/l1.ts";
import { createSingleFlight, type SingleFlight } from "../tiers/single-flight.ts";
import type { Read, Tiers } from "../tiers/tiers.ts";
import {
  listPartition,
  readAccountRecord,
  stampSignedOut,
  unlistPartition,
  type Listing,
  type ListOptions,
} from "./account-record.ts";
import type { Change } from "./change.ts";
import { giveUpOutlived, seenHere, storeKey, type Core } from "./core.ts";
import { partitionFromId, type Partition, type PartitionKind } from "./partition.ts";
import type {
  AccountRecord,
  ListedPartition,
  PartitionRecord,
  RemovalMarker,
  TokenRecord,
} from "./record.ts";
import { createReplay, type Replay } from "./replay.ts";
import type { Retention } from "./retention.ts";
import { save, type SaveOutcome } from "./save.ts";
import { noRoom, signOut, signOutAsOf, type SignOutOutcome } from "./sign-out.ts";
import { createSpentFlows, type SpentFlows } from "./spent-flows.ts";
import type { Spill } from "./spill.ts";
import { isTrustedUnlisted, judgeUnlisted } from "./unlisted.ts";
import { createUnsavedResults, type UnsavedResults, type UnsavedStamp } from "./unsaved.ts";

/** What a read found. A failure, or a record that cannot be opened *yet*, is thrown and is none of these. */
export type PartitionState =
  | {
      readonly status: "present";
      readonly record: TokenRecord;
      /** The version a write may compare against; `undefined` while something waits on top of it. */
      readonly version: Version | undefined;
      readonly level: Read<unknown>["level"];
    }
  /** Nothing is there, and nobody signed out: the only state that may mean "no tokens". */
  | { readonly status: "absent" }
  | { readonly status: "removed"; readonly marker: RemovalMarker }
  /** Something is there that is not authentic: a miss that only a sign-in may replace. */
  | { readonly status: "refused" };

/** The way to one partition's record. Holds no token. */
export interface PartitionPlace extends Place<PartitionRecord> {
  readonly partition: Partition;
}

export interface Partitions {
  key(partition: Partition): string;
  /** The trusted copy in memory, without any I/O. */
  peek(partition: Partition): TokenRecord | undefined;
  /** Where a partition lies, for {@link peekAt}. */
  place(partition: Partition): PartitionPlace;
  /** {@link peek} for whoever asks again and again. `nowMs`: the wall clock, just read. */
  peekAt(place: PartitionPlace, nowMs: number): TokenRecord | undefined;
  /** @throws retryable `TokenkeepError`; see {@link PartitionState}. */
  read(partition: Partition, options?: { readonly fresh?: boolean }): Promise<PartitionState>;
  /** See {@link save}. */
  save(partition: Partition, change: Change): Promise<SaveOutcome>;
  /** See {@link signOut}. */
  signOut(partition: Partition): Promise<SignOutOutcome>;
  /** Stamps the account record, then ends every partition it lists and those given. */
  signOutEverywhere(account: Partition, derived: readonly Partition[]): Promise<SignOutOutcome>;
  /** The account record. @throws retryable `TokenkeepError`. */
  account(account: Partition): Promise<AccountRecord>;
  /** Lists a partition in the account record, before its own record is written. @throws retryable */
  list(account: Partition, entry: ListedPartition, options?: ListOptions): Promise<Listing>;
  /** Takes it off again, unless it has been listed anew since. @throws retryable */
  unlist(account: Partition, entry: ListedPartition): Promise<void>;
  /** Marks a sign-in flow as used; see {@link SpentFlows}. */
  readonly spend: SpentFlows["spend"];
  /** Shared work per partition; sign-out detaches it. */
  readonly flights: SingleFlight;
  /** Results that the store does not have yet. */
  readonly unsaved: Pick<UnsavedResults, "size" | "bytes" | "dropped">;
  /** Settles when the store has what this process has got for a partition, or it is given up; `undefined`: it has. */
  whenStored(partition: Partition): Promise<void> | undefined;
  /** The store answers again: what waits goes to it at once. */
  storeIsBack(): void;
  /** Tries once to store everything that waits. @returns how many still do. */
  drain(): Promise<number>;
  /** Ends the background replay; what still waits is dropped, with an event each. */
  close(): void;
}

export interface PartitionsOptions {
  readonly tiers: Tiers<PartitionRecord>;
  readonly namespace: string;
  readonly runtime: Runtime;
  readonly retention: Retention;
  readonly unsavedMaxBytes: number;
  /** How far apart the wall clocks of two processes may be, ms. */
  readonly maxClockSkewMs: number;
  /** Keeps what waits beyond the life of this process. */
  readonly spill?: Spill | undefined;
  readonly emit: Emit;
}

export function createPartitions(options: PartitionsOptions): Partitions {
  const unsaved = createUnsavedResults(options.unsavedMaxBytes, options.emit, options.spill);
  const core: Core = {
    ...options,
    unsaved,
    flights: createSingleFlight(),
    keys: new WeakMap(),
    requestReplay: (when) => replay.request(when),
  };
  const replay: Replay = createReplay(core, {
    replayStamp: (key, entry) => replayStamp(core, key, entry),
    takeOver,
  });
  /** Keys of what is left behind until that which waits under them is stored. */
  let left = options.spill?.adopt(unsaved) ?? [];

  function takeOver(): boolean {
    const isFree = left.some((key) => !unsaved.has(key));
    if (isFree) left = options.spill?.adopt(unsaved) ?? [];
    return isFree;
  }

  if (unsaved.size > 0) replay.request("now");

  return {
    key: (partition) => storeKey(core, partition),
    peek: (partition) => peek(core, partition),
    place: (partition) => ({ key: storeKey(core, partition), partition, slot: undefined }),
    peekAt: (place, nowMs) => peekAt(core, place, nowMs),
    read: (partition, how) => read(core, partition, how),
    save: (partition, change) => save(core, partition, change),
    signOut: (partition) => signOut(core, partition),
    signOutEverywhere: (account, derived) => signOutEverywhere(core, account, derived),
    account: (account) => readAccountRecord(core, account),
    list: (account, entry, options) => listPartition(core, account, entry, options),
    unlist: (account, entry) => unlistPartition(core, account, entry),
    spend: createSpentFlows(core).spend,
    flights: core.flights,
    unsaved,
    whenStored: (partition) => unsaved.whenGone(storeKey(core, partition)),
    storeIsBack() {
      if (unsaved.size > 0) replay.request("now");
    },
    drain: () => replay.drain(),
    close() {
      replay.close();
      for (const key of unsaved.keys()) unsaved.drop(key, "closed");
    },
  };
}

function peek(core: Core, partition: Partition): TokenRecord | undefined {
  const key = storeKey(core, partition);
  return answering(core, partition, key, core.tiers.peek(key));
}

function peekAt(core: Core, place: PartitionPlace, nowMs: number): TokenRecord | undefined {
  const trusted = core.tiers.peekAt(place, nowMs);
  // Only of a record that answers by itself anything is made.
  if (place.slot?.memo !== undefined && core.unsaved.size === 0) return trusted as TokenRecord | undefined;
  return answering(core, place.partition, place.key, trusted);
}

/** Whether something may be remembered with a record: it is what lies there, and needs no other to answer. */
export function slotFor(place: PartitionPlace, record: TokenRecord): Slot<PartitionRecord> | undefined {
  const { slot } = place;
  return slot?.value === record && !record.unlisted ? slot : undefined;
}

function answering(
  core: Core,
  partition: Partition,
  key: string,
  trusted: PartitionRecord | undefined,
): TokenRecord | undefined {
  // What waits here is shown on top of what the store says, and never instead of asking it.
  const current = trusted && seenHere(core, key, trusted);
  if (current?.type !== "tokens") return undefined;
  return current.unlisted && !isTrustedUnlisted(core, partition, current) ? undefined : current;
}

async function read(
  core: Core,
  partition: Partition,
  how?: { readonly fresh?: boolean },
): Promise<PartitionState> {
  const key = storeKey(core, partition);
  let found: Read<PartitionRecord> | undefined;
  let level: Read<unknown>["level"] = "stale";
  try {
    found = await core.tiers.read(key, how);
    level = found?.level ?? "L2";
    if (!found) giveUpOutlived(core, key);
  } catch (error) {
    // What this process could not save it still has, whatever state the store is in.
    if (!core.unsaved.get(key)) throw error;
  }
  if (core.unsaved.size > 0 && level === "L2") core.requestReplay("now");
  const current = seenHere(core, key, found?.value);
  if (found?.level === "stale" && MAY_BEGIN_AGAIN.has(partition.kind) && !core.unsaved.get(key)) {
    if (current?.type === "removed") throw inMemoryOnly("the user had signed out");
    if (current?.type === "refused") throw inMemoryOnly("the record was not authentic");
  }
  if (current === undefined) return { status: "absent" };
  if (current.type === "removed") return { status: "removed", marker: current };
  if (current.type === "refused") return { status: "refused" };
  if (current.unlisted) {
    const judged = await judgeUnlisted(core, partition, current, how);
    if (judged === "unknown") return { status: "absent" };
    // It has been ended just now: what lies there instead is the marker.
    if (judged === "ended") return read(core, partition, { fresh: true });
  }
  const version = current === found?.value ? found.version : undefined;
  return { status: "present", record: current, version, level };
}

const MAY_BEGIN_AGAIN: ReadonlySet<PartitionKind> = new Set(["user", "long-running"]);

/** The user may have signed in again since: a copy of an end challenges nobody while the store cannot be asked. */
function inMemoryOnly(what: string): TokenkeepError {
  return new TokenkeepError(
    "ERR_STORE_UNAVAILABLE",
    `${what} when the store last answered; it does not answer now`,
    { retryable: true },
  );
}

async function signOutEverywhere(
  core: Core,
  account: Partition,
  derived: readonly Partition[],
): Promise<SignOutOutcome> {
  const { listed, stamped, whole, problem } = await stampOrQueue(core, account);
  const settled = await Promise.allSettled(
    [...derived, ...listed].map((partition) => signOut(core, partition)),
  );
  const failed = settled.find((outcome) => outcome.status === "rejected");
  if (failed) throw failed.reason;
  if (problem) throw problem;
  const outcomes = settled.flatMap((outcome) => (outcome.status === "fulfilled" ? outcome.value : []));
  return {
    status: stamped && outcomes.every((outcome) => outcome.status === "done") ? "done" : "pending",
    durable: stamped && whole && outcomes.every((outcome) => outcome.durable),
  };
}

interface Stamped {
  /** What is to be ended besides what can be derived from the user. */
  readonly listed: readonly Partition[];
  readonly stamped: boolean;
  /** False if the list had been damaged. */
  readonly whole: boolean;
  /** The stamp is not in the store, and has found no room to wait. */
  readonly problem?: TokenkeepError;
}

async function stampOrQueue(core: Core, account: Partition): Promise<Stamped> {
  const signedOutAtMs = core.runtime.now();
  const key = storeKey(core, account);
  try {
    const { record, isWhole } = await stampSignedOut(core, account, signedOutAtMs);
    return { listed: partitionsOf(account, record), stamped: true, whole: isWhole };
  } catch (error) {
    if (!(error instanceof TokenkeepError)) throw error;
    // What this process knows of it at least, it can end at once in this process.
    const held = await core.tiers.read(key).catch(() => undefined);
    const listed = held?.value.type === "account" ? partitionsOf(account, held.value) : [];
    const waits = core.unsaved.keepWaiting(key, core.unsaved.addStamp(key, account, signedOutAtMs));
    core.requestReplay("later");
    return { listed, stamped: false, whole: true, ...(!waits && { problem: noRoom(error) }) };
  }
}

/** The stamp first, then whatever the record lists: the store can finally tell what that is. */
async function replayStamp(core: Core, key: string, entry: UnsavedStamp): Promise<void> {
  const { record } = await stampSignedOut(core, entry.partition, entry.signedOutAtMs);
  const listed = partitionsOf(entry.partition, record);
  await Promise.all(listed.map((partition) => signOutAsOf(core, partition, entry.signedOutAtMs)));
  // Each has ended by now, or waits by itself: until then this is all that is known of it.
  core.unsaved.settle(key, entry);
}

function partitionsOf(account: Partition, record: AccountRecord): Partition[] {
  return record.partitions.map((entry) => partitionFromId(entry.id, account.homeAccountId ?? ""));
}
