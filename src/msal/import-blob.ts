/** Taking over what another cache has kept: a user's tokens in MSAL's JSON, in any of its SDKs. */
import type { AccountRef } from "../activity/account-ref.ts";
import type { Activity, ActivitySubject } from "../activity/activity.ts";
import { environmentAliases, canonicalizeBlob } from "../blob/environments.ts";
import { SECTIONS, type CacheBlob } from "../blob/entities.ts";
import { findRefreshToken, nowSeconds } from "../blob/lookup.ts";
import { fingerprint } from "../blob/provenance.ts";
import type { Partition } from "../partitions/partition.ts";
import type { Partitions } from "../partitions/partitions.ts";
import type { TokenRecord } from "../partitions/record.ts";
import type { Runtime } from "../runtime.ts";
import { partitionLabel, type Emit } from "../telemetry/emitter.ts";
import { withoutLives } from "./life-mark.ts";
import { blobOfMemory } from "./memory.ts";
import { entriesOf } from "./ownership.ts";

/** What the doors for other caches and clients work with. */
export interface DoorContext {
  readonly partitions: Partitions;
  readonly activity: Activity;
  readonly runtime: Runtime;
  readonly emit: Emit;
}

/** What became of the entries of an imported blob. */
export interface ImportOutcome {
  /** New ones, in the cache from now on. */
  readonly taken: number;
  /** Those that the partition had already, or that came after a sign-out. */
  readonly left: number;
  /** Those of somebody else. */
  readonly refused: number;
}

/**
 * Takes over what the partition does not have yet. What it has stays, and a sign-out is not undone: a user who
 * has been here since knows better than an older cache.
 * @throws `ERR_BLOB_INVALID`, and retryable store errors
 */
export async function importBlob(
  context: DoorContext,
  partition: Partition,
  json: string,
): Promise<ImportOutcome> {
  const all = canonicalizeBlob(withoutLives(blobOfMemory(json)), nowSeconds(context.runtime.now()));
  const own = ownEntries(context, partition, all);
  const refused = sizeOf(all) - sizeOf(own);
  const state = await context.partitions.read(partition, { fresh: true });
  const mine = state.status === "present" ? missingFrom(state.record.blob, own) : own;
  const isWanted = (state.status === "present" || state.status === "absent") && holdsTokens(mine);
  if (!isWanted) return { taken: 0, left: sizeOf(own), refused };
  const subject = subjectOf(context, partition, own);
  // The activity row comes before the tokens: the rows are a superset of them.
  if (subject) await context.activity.beforeSignIn(subject);
  const { superseded, record } = await context.partitions.save(partition, {
    creates: true,
    signsIn: false,
    base: undefined,
    mine,
    strengthens: false,
  });
  if (superseded) return { taken: 0, left: sizeOf(own), refused };
  if (subject) await context.activity.afterSignIn(subject, credentialIn(subject, record));
  return { taken: sizeOf(mine), left: sizeOf(own) - sizeOf(mine), refused };
}

/** The entries that belong into the partition; the others are told of and left out. */
export function ownEntries(
  { partitions, emit }: DoorContext,
  partition: Partition,
  blob: CacheBlob,
): CacheBlob {
  const own = entriesOf(partition, blob);
  const count = sizeOf(blob) - sizeOf(own);
  if (count > 0) {
    emit({ type: "entries-refused", partition: partitionLabel(partitions.key(partition)), count });
  }
  return own;
}

export function holdsTokens(blob: CacheBlob): boolean {
  return Object.keys(blob.AccessToken).length + Object.keys(blob.RefreshToken).length > 0;
}

function missingFrom(there: CacheBlob, blob: CacheBlob): CacheBlob {
  const missing = Object.fromEntries(
    SECTIONS.map((section) => [
      section,
      Object.fromEntries(
        Object.entries(blob[section]).filter(([key]) => !Object.hasOwn(there[section], key)),
      ),
    ]),
  );
  return { ...blob, ...missing };
}

function sizeOf(blob: CacheBlob): number {
  return SECTIONS.reduce((sum, section) => sum + Object.keys(blob[section]).length, 0);
}

/** `undefined` where no person's account is in it: application tokens have no activity. */
function subjectOf(
  { partitions }: DoorContext,
  partition: Partition,
  blob: CacheBlob,
): ActivitySubject | undefined {
  const [entity] = Object.values(blob.Account);
  if (partition.kind !== "user" || !entity) return undefined;
  const account: AccountRef = {
    homeAccountId: entity.home_account_id,
    environment: entity.environment,
    tenantId: entity.realm,
    localAccountId: entity.local_account_id,
    username: entity.username,
  };
  const { clientId } = partition;
  return { accountKey: partitions.key(partition), clientId, account, role: "web", request: {} };
}

function credentialIn(
  { account, clientId }: ActivitySubject,
  record: TokenRecord | undefined,
): string | undefined {
  const { homeAccountId, environment } = account;
  const environments = environmentAliases(environment);
  const found = record && findRefreshToken(record.blob, { homeAccountId, environments, clientId });
  return found && fingerprint(found.token.secret);
}
