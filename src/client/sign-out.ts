import type { AccountRef } from "../activity/account-ref.ts";
import { accountPartition, partitionFromId, type Partition } from "../partitions/partition.ts";
import type { SignOutOutcome } from "../partitions/sign-out.ts";
import { partitionLabel } from "../telemetry/emitter.ts";
import { requestedAccount } from "./account.ts";
import { partitionOf, type ClientContext } from "./context.ts";

/**
 * Ends what this application keeps for a user: the tokens in every process, and the activity row. Assertions
 * of the user (on-behalf-of) go on until they expire; {@link signOutEverywhere} ends them too.
 */
export function removeAccount(context: ClientContext, account: AccountRef): Promise<SignOutOutcome> {
  return endAll(context, account, (partition) => context.parts.partitions.signOut(partition));
}

/** Ends everything of a user: tokens, what assertions were exchanged for, and assertions issued before now. */
export function signOutEverywhere(context: ClientContext, account: AccountRef): Promise<SignOutOutcome> {
  return endAll(context, account, (partition, homeAccountId) => {
    const { clientId, issuer } = partition;
    const record = accountPartition({ clientId, issuer }, homeAccountId);
    return context.parts.partitions.signOutEverywhere(record, [partition]);
  });
}

/** Ends each of the user's partitions; the row goes once its tokens have gone. */
async function endAll(
  context: ClientContext,
  account: AccountRef,
  end: (partition: Partition, homeAccountId: string) => Promise<SignOutOutcome>,
): Promise<SignOutOutcome> {
  const { partitions, activity } = context.parts;
  const authority = context.authority({});
  const known = requestedAccount(account, authority, false);
  const own = partitionOf(context, authority, known);
  const { others, isWhole } = await partitionsElsewhere(context, known.homeAccountId, partitions.key(own));
  const outcomes = await Promise.all(
    [own, ...others].map(async (partition) => {
      const removeRow = await activity.beforeSignOut(partitions.key(partition));
      const outcome = await end(partition, known.homeAccountId);
      if (outcome.status === "done") await removeRow();
      return outcome;
    }),
  );
  return {
    status: outcomes.every((outcome) => outcome.status === "done") ? "done" : "pending",
    durable: isWhole && outcomes.every((outcome) => outcome.durable),
  };
}

/** `uid.utid`, unique in the world; the `sub` of another issuer on its own would be another person. */
const GLOBAL_ID = /^[^.]+\.[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i;

/**
 * Where the user has signed in through another authority than the client's own (a second policy, another
 * cloud): the activity index, a superset of the tokens, knows.
 */
async function partitionsElsewhere(
  context: ClientContext,
  homeAccountId: string,
  ownKey: string,
): Promise<{ readonly others: readonly Partition[]; readonly isWhole: boolean }> {
  const { activity, namespace, emit } = context.parts;
  const others: Partition[] = [];
  if (!GLOBAL_ID.test(homeAccountId)) return { others, isWhole: true };
  try {
    for await (const { accountKey } of activity.list({ homeAccountId, clientId: context.auth.clientId })) {
      const id = accountKey.slice(namespace.length + 1);
      if (accountKey !== ownKey) others.push(partitionFromId(id, homeAccountId));
    }
    return { others, isWhole: true };
  } catch (error) {
    emit({ type: "activity-failed", partition: partitionLabel(ownKey), error });
    return { others, isWhole: false };
  }
}
