/** Tokens for a long-running process: from memory, from the store, or renewed by the process's own refresh token. */
import { accountRef, type AccountRef } from "../activity/account-ref.ts";
import type { CacheBlob } from "../blob/entities.ts";
import { accountsOf } from "../blob/lookup.ts";
import { lastExpiry } from "../blob/prune.ts";
import { isRetryable, OptionsError, TokenkeepError } from "../errors.ts";
import { isAcquisitionError } from "../msal/acquisition-error.ts";
import { accountInfo, decodeClaims } from "../msal/cached-result.ts";
import type { SilentFlowRequest } from "../msal/types.ts";
import { accountPartition, longRunningPartition, type Partition } from "../partitions/partition.ts";
import type { TokenRecord } from "../partitions/record.ts";
import { requestedAccount } from "./account.ts";
import { checkedRequest } from "./client-options.ts";
import { scopeOf, type ConfidentialContext } from "./context.ts";
import type { TokenResult } from "./result.ts";
import { acquireSilently } from "./silent.ts";
import { namesAuthority, silentFlowOf, type Silent } from "./silent-flow.ts";

/** MSAL's silent request, with the key of a process in place of an account. */
export type LongRunningRequest = Omit<SilentFlowRequest, "account"> & {
  readonly longRunningProcessSessionKey: string;
};

/** @throws `ERR_PROCESS_UNKNOWN`, and what {@link acquireSilently} throws */
export async function acquireTokenInLongRunningProcess(
  context: ConfidentialContext,
  request: LongRunningRequest,
): Promise<TokenResult> {
  const { longRunningProcessSessionKey: key, ...asked } = checkedRequest(request);
  const partition = processPartition(context, checkedProcessKey(key));
  const { partitions, run } = context.parts;
  const record = partitions.peek(partition) ?? (await run(() => recordOf(context, partition)));
  const process = record && processFlow(context, asked, { partition, record });
  if (!process) throw unknownProcess();
  try {
    return await acquireSilently(context, process);
  } catch (error) {
    // Stopped, or signed out, since it was read: nobody can help whose process it was.
    if (hasNoTokens(error) && !(await recordOf(context, partition))) throw unknownProcess();
    throw error;
  }
}

/** The client's own authority names the issuer: whoever has the key need not know which one the process began with. */
export function processPartition(context: ConfidentialContext, key: string): Partition {
  return longRunningPartition(scopeOf(context, context.authority({})), key);
}

const MAX_KEY_LENGTH = 4_096;

export function checkedProcessKey(key: unknown): string {
  if (typeof key === "string" && key !== "" && key.length <= MAX_KEY_LENGTH) return key;
  throw new OptionsError(
    "longRunningProcessSessionKey",
    `must be a non-empty text of at most ${MAX_KEY_LENGTH} characters`,
  );
}

/** Whose process it is: the one account that its partition holds, in the tenant whose id token lies beside it. */
export function accountOf({ blob }: TokenRecord): AccountRef | undefined {
  const [entity] = accountsOf(blob);
  if (!entity) return undefined;
  const idToken = Object.values(blob.IdToken).find(
    ({ home_account_id: owner }) => owner === entity.home_account_id,
  );
  return accountRef(accountInfo(entity, idToken && decodeClaims(idToken.secret), ""));
}

async function recordOf(
  { parts: { partitions } }: ConfidentialContext,
  partition: Partition,
): Promise<TokenRecord | undefined> {
  const held = await partitions.read(partition);
  if (held.status === "present") return held.record;
  // The reading may have been shared with somebody who came before the process had begun.
  const now = await partitions.read(partition, { fresh: true });
  return now.status === "present" ? now.record : undefined;
}

function processFlow(
  context: ConfidentialContext,
  asked: Omit<SilentFlowRequest, "account">,
  { partition, record }: { readonly partition: Partition; readonly record: TokenRecord },
): Silent | undefined {
  const known = accountOf(record);
  if (!known) return undefined;
  const authority = context.authority(asked);
  const account = requestedAccount(known, authority, namesAuthority(asked));
  const owned: Partition = { ...partition, homeAccountId: account.homeAccountId };
  const silent = silentFlowOf(context, { ...asked, account }, authority, { account, partition: owned });
  return { ...silent, beforeSave: (mine) => listAgain(context, owned, mine) };
}

/** A process that goes on outlives its entry in the account record. */
async function listAgain(
  context: ConfidentialContext,
  partition: Partition,
  mine: CacheBlob,
): Promise<{ readonly unlisted?: boolean }> {
  const owner = accountPartition(partition, partition.homeAccountId ?? "");
  const entry = { id: partition.id, kind: partition.kind, expiresAtMs: (lastExpiry(mine) ?? 0) * 1000 };
  try {
    const { listed } = await context.parts.partitions.list(owner, entry);
    return { unlisted: !listed };
  } catch (error) {
    // The entry from before lasts for half a window more, and the next renewal comes well within that.
    if (!isRetryable(error)) throw error;
    return {};
  }
}

function hasNoTokens(error: unknown): boolean {
  return isAcquisitionError(error) && error.reason === "no-tokens";
}

function unknownProcess(): TokenkeepError {
  return new TokenkeepError(
    "ERR_PROCESS_UNKNOWN",
    "no long-running process goes by this key: it was never started, was stopped, its user signed out everywhere, or it expired",
  );
}
