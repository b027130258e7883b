/**
 * Partitions that the account record of their user had no room to list. A sign-out everywhere does not reach them, so
 * they are held against its stamp whenever they are read.
 */
import { findAccountRecord, peekAccountRecord } from "./account-record.ts";
import type { Core } from "./core.ts";
import { accountPartition, type Partition } from "./partition.ts";
import type { AccountRecord, TokenRecord } from "./record.ts";
import { signOutAsOf } from "./sign-out.ts";

/** Whether a copy in memory may answer, as far as can be told without any I/O. */
export function isTrustedUnlisted(core: Core, partition: Partition, record: TokenRecord): boolean {
  const owner = ownerOf(partition, record);
  const account = owner && peekAccountRecord(core, owner);
  return account !== undefined && endedAtMs(account, record) === undefined;
}

/**
 * Whether it counts still. What a sign-out everywhere had ended is removed.
 * @returns `unknown` if there is no account record any more: then nobody can say, and it counts as absent
 * @throws retryable
 */
export async function judgeUnlisted(
  core: Core,
  partition: Partition,
  record: TokenRecord,
  how?: { readonly fresh?: boolean },
): Promise<"valid" | "ended" | "unknown"> {
  const owner = ownerOf(partition, record);
  if (!owner) return "unknown";
  const account = await findAccountRecord(core, owner, how);
  if (!account) return "unknown";
  const signedOutAtMs = endedAtMs(account, record);
  if (signedOutAtMs === undefined) return "valid";
  await signOutAsOf(core, partition, signedOutAtMs);
  return "ended";
}

/** The stamp of the sign-out that ended it. An assertion whose time is not known counts as the older one. */
function endedAtMs({ signedOutAtMs }: AccountRecord, { signedInAtMs }: TokenRecord): number | undefined {
  return signedInAtMs === undefined || signedInAtMs <= (signedOutAtMs ?? -Infinity)
    ? signedOutAtMs
    : undefined;
}

function ownerOf(partition: Partition, { blob }: TokenRecord): Partition | undefined {
  const [account] = Object.values(blob.Account);
  return account && accountPartition(partition, account.home_account_id);
}
