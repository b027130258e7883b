import type { AccountRef } from "../activity/account-ref.ts";
import { accountPartition } from "../partitions/partition.ts";
import type { SignOutOutcome } from "../partitions/sign-out.ts";
import { requestedAccount } from "./account.ts";
import { partitionOf, scopeOf, type ClientContext } from "./context.ts";

/**
 * Ends what this application keeps for a user: the tokens in every process, and the activity row. Assertions
 * of the user (on-behalf-of) go on until they expire; {@link signOutEverywhere} ends them too.
 */
export async function removeAccount(context: ClientContext, account: AccountRef): Promise<SignOutOutcome> {
  const { partitions, activity, runtime } = context.parts;
  const authority = context.authority({});
  const partition = partitionOf(context, authority, requestedAccount(account, authority, false));
  const signedOutAtMs = runtime.now();
  const outcome = await partitions.signOut(partition);
  if (outcome.status === "done") await activity.remove(partitions.key(partition), signedOutAtMs);
  return outcome;
}

/** Ends everything of a user: tokens, what assertions were exchanged for, and assertions issued before now. */
export async function signOutEverywhere(
  context: ClientContext,
  account: AccountRef,
): Promise<SignOutOutcome> {
  const { partitions, activity, runtime } = context.parts;
  const authority = context.authority({});
  const known = requestedAccount(account, authority, false);
  const partition = partitionOf(context, authority, known);
  const record = accountPartition(scopeOf(context, authority), known.homeAccountId);
  const signedOutAtMs = runtime.now();
  const outcome = await partitions.signOutEverywhere(record, [partition]);
  if (outcome.status === "done") await activity.remove(partitions.key(partition), signedOutAtMs);
  return outcome;
}
