/** Ends every account of one tenant: what is done when a customer leaves. */
import { checkObject, checkOptionNames, checkText } from "../checks.ts";
import { OptionsError } from "../errors.ts";
import { accountPartition, canonicalTenantId, partitionFromId, type Partition } from "./partition.ts";
import type { Partitions } from "./partitions.ts";

/** How {@link purgeTenant} goes about it. */
export interface PurgeTenantOptions {
  /** Ends it after the accounts in hand; the result says `done: false`, and another call goes on. */
  readonly signal?: AbortSignal;
}

/** How far a purge has come. Another call goes on with what is left. */
export interface PurgeTenantResult {
  /** Signed out everywhere; their rows are gone. */
  readonly accounts: number;
  /** Signed out in this process, and waiting for the store; their rows are left. */
  readonly pending: number;
  /** False if it was aborted, or something is pending. */
  readonly done: boolean;
}

/** The activity index, as far as this needs it. */
export interface TenantIndex {
  list(filter: { readonly tenantId: string }): AsyncIterable<IndexedAccount>;
  beforeSignOut(accountKey: string): Promise<() => Promise<void>>;
}

interface IndexedAccount {
  readonly accountKey: string;
  readonly homeAccountId: string;
}

export interface PurgeTenantContext {
  readonly partitions: Partitions;
  readonly namespace: string;
  readonly index: TenantIndex;
}

/** So many accounts are looked at together, and so many signed out at the same time. */
const BATCH = 200;
const LANES = 8;

/** @throws retryable store errors; what was done until then is done */
export async function purgeTenant(
  context: PurgeTenantContext,
  tenantId: string,
  options: PurgeTenantOptions,
): Promise<PurgeTenantResult> {
  checkPurge(tenantId, options);
  const tally = { accounts: 0, pending: 0 };
  const isAborted = (): boolean => options.signal?.aborted === true;
  let batch: IndexedAccount[] = [];
  for await (const account of context.index.list({ tenantId: canonicalTenantId(tenantId) })) {
    if (isAborted()) break;
    batch.push(account);
    if (batch.length < BATCH) continue;
    await purgeBatch(context, batch, tally);
    batch = [];
  }
  if (!isAborted()) await purgeBatch(context, batch, tally);
  return { ...tally, done: !isAborted() && tally.pending === 0 };
}

async function purgeBatch(
  context: PurgeTenantContext,
  batch: readonly IndexedAccount[],
  tally: { accounts: number; pending: number },
): Promise<void> {
  const users = [
    ...Map.groupBy(
      batch.map((account) => owned(context, account)),
      ({ owner }) => owner.id,
    ),
  ];
  const lane = async (): Promise<void> => {
    for (let next = users.shift(); next; next = users.shift()) {
      const isDone = await endUser(context, next[1]);
      tally[isDone ? "accounts" : "pending"] += 1;
    }
  };
  const lanes = await Promise.allSettled(Array.from({ length: LANES }, lane));
  const failed = lanes.find((outcome) => outcome.status === "rejected");
  if (failed) throw failed.reason;
}

interface Owned {
  readonly owner: Partition;
  readonly partition: Partition;
}

function owned({ namespace }: PurgeTenantContext, { accountKey, homeAccountId }: IndexedAccount): Owned {
  const partition = partitionFromId(accountKey.slice(namespace.length + 1), homeAccountId);
  return { owner: accountPartition(partition, homeAccountId), partition };
}

/** The row goes once the tokens have gone. */
async function endUser({ partitions, index }: PurgeTenantContext, user: readonly Owned[]): Promise<boolean> {
  const known = user.map(({ partition }) => partition);
  const removals = await Promise.all(
    known.map((partition) => index.beforeSignOut(partitions.key(partition))),
  );
  const { status } = await partitions.signOutEverywhere((user[0] as Owned).owner, known);
  if (status !== "done") return false;
  await Promise.all(removals.map((remove) => remove()));
  return true;
}

const OPTIONS = new Set(["signal"]);

function checkPurge(tenantId: string, options: PurgeTenantOptions): void {
  if (!tenantId) throw new OptionsError("tenantId", "must be a non-empty text");
  checkText(tenantId, "tenantId");
  checkObject(options, "options");
  checkOptionNames(options, OPTIONS, "purgeTenant");
}
