/** Long-running processes of a web API: on-behalf-of that goes on after the caller's assertion has expired. */
import { accountRef } from "../activity/account-ref.ts";
import { emptyBlob, type CacheBlob } from "../blob/entities.ts";
import { TokenkeepError } from "../errors.ts";
import { acquisitionError } from "../msal/acquisition-error.ts";
import { assertOwnEntries } from "../msal/ownership.ts";
import { runOperation } from "../msal/operation.ts";
import type { AccountInfo, OnBehalfOfRequest } from "../msal/types.ts";
import { accountPartition, type Partition } from "../partitions/partition.ts";
import type { PartitionState } from "../partitions/partitions.ts";
import type { ListedPartition } from "../partitions/record.ts";
import type { SaveOutcome } from "../partitions/save.ts";
import type { SignOutOutcome } from "../partitions/sign-out.ts";
import type { Runtime } from "../runtime.ts";
import { issuedAtMs, listForUser, signedOut } from "./assertion.ts";
import { activitySubject, credentialOf, type ConfidentialContext } from "./context.ts";
import { accountOf, checkedProcessKey, processPartition } from "./long-running-flow.ts";
import { withMetadata } from "./renewal.ts";
import type { TokenResult } from "./result.ts";

/** A token for now, and the key under which the process goes on. */
export type LongRunningProcess = TokenResult & {
  /** Whoever has it can act for the user: keep it where the user's other secrets are. */
  readonly longRunningProcessSessionKey: string;
};

/**
 * Exchanges an assertion, and keeps what comes of it, the refresh token too, under the key of the process.
 * The provider is asked in any case. A key that is in use by the same user goes on with what the later call brought.
 */
export async function initiateLongRunningProcess(
  context: ConfidentialContext,
  request: OnBehalfOfRequest,
  givenKey: string | undefined,
): Promise<LongRunningProcess> {
  const key = givenKey === undefined ? randomKey(context.parts.runtime) : checkedProcessKey(givenKey);
  const partition = processPartition(context, key);
  // A process whose tokens cannot be kept does not begin: this fails before the provider is asked.
  const before = await context.parts.partitions.read(partition, { fresh: true });
  const outcome = await runOperation(context.settings(), undefined, (client) =>
    client.acquireTokenOnBehalfOf({ ...request }),
  );
  if (!outcome.ok) throw acquisitionError(outcome.error, outcome.trace, { scopes: request.scopes });
  const { result, saved: mine, trace } = outcome;
  if (!result?.account?.homeAccountId || !mine) throw accountMissing();
  await context.tenantGate?.(result.account);
  const owned: Partition = { ...partition, homeAccountId: result.account.homeAccountId };
  const saved = await keep(context, owned, { request, account: result.account, mine, before, key });
  return {
    ...withMetadata(result, trace, "no-cached-access-token", saved),
    longRunningProcessSessionKey: key,
  };
}

interface Begun {
  readonly request: OnBehalfOfRequest;
  readonly account: AccountInfo;
  readonly mine: CacheBlob;
  /** What was under the key before the provider was asked. */
  readonly before: PartitionState;
  readonly key: string;
}

/** Listed in the account record and in the activity index before it is written: whatever ends the user finds it. */
async function keep(context: ConfidentialContext, partition: Partition, begun: Begun): Promise<SaveOutcome> {
  const { request, account, mine, before, key } = begun;
  const { partitions, activity } = context.parts;
  if (before.status === "present" && accountOf(before.record)?.homeAccountId !== account.homeAccountId) {
    throw othersProcess();
  }
  assertOwnEntries(partition, emptyBlob(), mine);
  const listing = await listForUser(context, partition, begun, { anew: true });
  const asked = { ...request, longRunningProcessSessionKey: key };
  const subject = activitySubject(context, partition, accountRef(account), asked);
  await activity.beforeSignIn(subject);
  const saved = await partitions.save(partition, {
    ...listing,
    creates: true,
    signsIn: true,
    begins: { over: before.status === "removed" ? before.marker.removedAtMs : undefined },
    onlyFor: account.homeAccountId,
    base: undefined,
    mine,
    strengthens: true,
    signedInAtMs: issuedAtMs(request.oboAssertion),
  });
  if (saved.superseded === "other-account") throw othersProcess();
  if (saved.superseded) throw signedOut();
  await activity.afterSignIn(subject, credentialOf(context, saved.record, account));
  return saved;
}

/** Whoever has it acts for the user: 256 bits, base64url. */
function randomKey(runtime: Runtime): string {
  return Buffer.from(runtime.randomBytes(32)).toString("base64url");
}

/**
 * Ends a process, on every node: tokens and activity row are removed, renewals in flight do not bring them back.
 * `pending` if the store is down: then it is done once it answers. A process that is not there is no error.
 */
export async function stopLongRunningProcess(
  context: ConfidentialContext,
  givenKey: string,
): Promise<SignOutOutcome> {
  const { partitions, activity } = context.parts;
  const partition = processPartition(context, checkedProcessKey(givenKey));
  const listed = await listedAs(context, partition);
  const removeRow = await activity.beforeSignOut(partitions.key(partition));
  const outcome = await partitions.signOut(partition);
  if (outcome.status === "done") {
    await removeRow();
    // An entry that is left over only costs room, until it expires.
    if (listed) await partitions.unlist(listed.owner, listed.entry).catch(() => undefined);
  }
  return outcome;
}

/** Where the account record names the process, as far as that can be told. */
async function listedAs(
  context: ConfidentialContext,
  partition: Partition,
): Promise<{ readonly owner: Partition; readonly entry: ListedPartition } | undefined> {
  const { partitions } = context.parts;
  try {
    const state = await partitions.read(partition, { fresh: true });
    const account = state.status === "present" ? accountOf(state.record) : undefined;
    if (!account) return undefined;
    const owner = accountPartition(partition, account.homeAccountId);
    const record = await partitions.account(owner);
    const entry = record.partitions.find(({ id }) => id === partition.id);
    return entry && { owner, entry };
  } catch {
    return undefined;
  }
}

function accountMissing(): TokenkeepError {
  return new TokenkeepError(
    "ERR_ACCOUNT_MISSING",
    "the identity provider's answer names no account: nobody could end such a process",
  );
}

function othersProcess(): TokenkeepError {
  return new TokenkeepError(
    "ERR_PARTITION_MISMATCH",
    "a long-running process of another user goes by this key; nothing was stored",
  );
}
