import { TokenkeepError } from "../errors.ts";
import { storeKey, type Core } from "./core.ts";
import type { Partition } from "./partition.ts";
import type { AccountRecord, ListedPartition, PartitionRecord } from "./record.ts";
import { ttlOf } from "./retention.ts";
import { afterConflict, MAX_ATTEMPTS } from "./save.ts";

const EMPTY: AccountRecord = { type: "account", seq: 0, signedOutAtMs: undefined, partitions: [] };

/** The trusted copy in memory, a stamp that still waits included, without any I/O. */
export function peekAccountRecord(core: Core, partition: Partition): AccountRecord | undefined {
  const key = storeKey(core, partition);
  const trusted = core.tiers.peek(key);
  return trusted?.type === "account" ? withWaitingStamp(core, key, trusted) : undefined;
}

/** The account record as this process knows it, a stamp that still waits included. @throws retryable */
export async function readAccountRecord(core: Core, partition: Partition): Promise<AccountRecord> {
  const found = await findAccountRecord(core, partition, { fresh: true });
  return found ?? withWaitingStamp(core, storeKey(core, partition), EMPTY);
}

/** The same, or `undefined` if there is none; also from memory, for as long as fail-safe allows. @throws retryable */
export async function findAccountRecord(
  core: Core,
  partition: Partition,
  how?: { readonly fresh?: boolean },
): Promise<AccountRecord | undefined> {
  const key = storeKey(core, partition);
  const found = await core.tiers.read(key, how);
  return found?.value.type === "account" ? withWaitingStamp(core, key, found.value) : undefined;
}

function withWaitingStamp(core: Core, key: string, record: AccountRecord): AccountRecord {
  const waiting = core.unsaved.get(key);
  return waiting?.kind === "stamp"
    ? { ...record, signedOutAtMs: Math.max(record.signedOutAtMs ?? 0, waiting.signedOutAtMs) }
    : record;
}

/**
 * So many partitions of one user are listed; each costs about 150 bytes in every read and write of the record. What
 * finds no room is marked `unlisted` and held against the stamp whenever it is read (`unlisted.ts`).
 */
export const MAX_LISTED = 100;

/** So that not each of many assertions writes the record, it is kept for longer than it must be. */
const UNLISTED_SLACK_MS = 3_600_000;

/** What listing came to. */
export interface Listing {
  readonly record: AccountRecord;
  /** False if there was no room. */
  readonly listed: boolean;
}

/**
 * Adds a partition to the list, before that partition's own record is written.
 * @param given.expiresAtMs when its tokens end
 * @param options.anew changes the entry even where it lasts long enough: who takes it off then sees that
 * @throws retryable
 */
export async function listPartition(
  core: Core,
  partition: Partition,
  given: ListedPartition,
  options: ListOptions = {},
): Promise<Listing> {
  const { entry, neededUntilMs } = lasting(core, given);
  const listed = await update(core, partition, (record) => {
    const others = record.partitions.filter((known) => known.id !== entry.id);
    const known = record.partitions.find((candidate) => candidate.id === entry.id);
    if (known && known.expiresAtMs >= neededUntilMs && !options.anew) return undefined;
    if (!known && countLive(core, others) >= MAX_LISTED) return withUnlisted(record, entry, neededUntilMs);
    const expiresAtMs = Math.max(entry.expiresAtMs, (known?.expiresAtMs ?? 0) + 1);
    return { ...record, partitions: [...others, { ...entry, expiresAtMs }] };
  });
  return {
    record: withWaitingStamp(core, storeKey(core, partition), listed),
    listed: listed.partitions.some(({ id }) => id === entry.id),
  };
}

function countLive({ runtime }: Core, entries: readonly ListedPartition[]): number {
  const nowMs = runtime.now();
  return entries.filter(({ expiresAtMs }) => expiresAtMs > nowMs).length;
}

function withUnlisted(
  record: AccountRecord,
  entry: ListedPartition,
  neededUntilMs: number,
): AccountRecord | undefined {
  if ((record.unlistedUntilMs ?? 0) >= neededUntilMs) return undefined;
  return { ...record, unlistedUntilMs: entry.expiresAtMs + UNLISTED_SLACK_MS };
}

export interface ListOptions {
  readonly anew?: boolean;
}

/**
 * How long an entry must last. What use keeps alive outlives its tokens; so that not each renewal writes the
 * account record too, such an entry lasts longer than it must.
 */
function lasting(
  { retention, runtime }: Core,
  entry: ListedPartition,
): { readonly entry: ListedPartition; readonly neededUntilMs: number } {
  if (entry.kind !== "long-running") return { entry, neededUntilMs: entry.expiresAtMs };
  const neededUntilMs = Math.max(entry.expiresAtMs, runtime.now()) + retention.longRunningTtlMs;
  return { entry: { ...entry, expiresAtMs: neededUntilMs + retention.longRunningTtlMs / 2 }, neededUntilMs };
}

/** Takes an entry off the list, unless somebody has listed the partition anew since it was read. @throws retryable */
export async function unlistPartition(
  core: Core,
  partition: Partition,
  entry: ListedPartition,
): Promise<void> {
  const isIt = (known: ListedPartition): boolean =>
    known.id === entry.id && known.expiresAtMs === entry.expiresAtMs;
  await update(core, partition, (record) =>
    record.partitions.some(isIt)
      ? { ...record, partitions: record.partitions.filter((known) => !isIt(known)) }
      : undefined,
  );
}

/**
 * Stamps the sign-out everywhere.
 * @returns what has to be marked now; not whole if the record had been damaged: then its list is lost.
 * @throws retryable
 */
export async function stampSignedOut(
  core: Core,
  partition: Partition,
  signedOutAtMs: number,
): Promise<{ readonly record: AccountRecord; readonly isWhole: boolean }> {
  let isWhole = true;
  const record = await update(
    core,
    partition,
    (known, found) => {
      isWhole &&= found !== "refused";
      return { ...known, signedOutAtMs: Math.max(known.signedOutAtMs ?? 0, signedOutAtMs) };
    },
    "announced",
  );
  return { record, isWhole };
}

/** Compare-and-swap until it lands; expired entries go with every write. */
async function update(
  core: Core,
  partition: Partition,
  change: (record: AccountRecord, found: PartitionRecord["type"] | undefined) => AccountRecord | undefined,
  how?: "announced",
): Promise<AccountRecord> {
  const key = storeKey(core, partition);
  let there = await core.tiers.read(key, { fresh: true });
  for (let attempt = 1; attempt <= MAX_ATTEMPTS; attempt++) {
    const record = there?.value.type === "account" ? there.value : EMPTY;
    const changed = change(record, there?.value.type);
    if (!changed) return record;
    const nowMs = core.runtime.now();
    const next: AccountRecord = {
      ...changed,
      seq: record.seq + 1,
      partitions: changed.partitions.filter((entry) => entry.expiresAtMs > nowMs),
    };
    const result = await core.tiers.put(key, next, {
      ifVersion: there?.version ?? null,
      ttlMs: ttlOf(partition.kind, next, nowMs, core.retention),
    });
    if (result.stored) {
      // What is not listed is held against the copies that others have of this record.
      if (how && next.unlistedUntilMs !== undefined) await core.tiers.announce(key, result.version);
      return next;
    }
    there = await afterConflict(core, key, attempt, result.current);
  }
  throw new TokenkeepError("ERR_STORE_UNAVAILABLE", "the account record is contended", { retryable: true });
}
