import type { AccountRef } from "../activity/account-ref.ts";
import { accountPartition, partitionFromId, type Partition } from "../partitions/partition.ts";
import type { SignOutOutcome } from "../partitions/sign-out.ts";
import { partitionLabel } from "../telemetry/emitter.ts";
import { requestedAccount } from "./account.ts";
import { partitionOf, type ClientContext } from "./context.ts";

/**
 * Ends what this application keeps for a user: the tokens in every process, and the activity row. Assertions
 * of the user (on-behalf-of) go on until they expire, and long-running processes until they are stopped;
 * {@link signOutEverywhere} ends them too.
 */
export async function removeAccount(context: ClientContext, account: AccountRef): Promise<SignOutOutcome> {
  const { own, others, isWhole } = await partitionsOfUser(context, account);
  const users = [own, ...others].filter(({ kind }) => kind === "user");
  const { partitions } = context.parts;
  const outcomes = await Promise.all(
    users.map((partition) => ending(context, [partition], () => partitions.signOut(partition))),
  );
  return summed(outcomes, isWhole);
}

/** Ends everything of a user: tokens, what assertions were exchanged for, and assertions issued before now. */
export async function signOutEverywhere(
  context: ClientContext,
  account: AccountRef,
): Promise<SignOutOutcome> {
  const { own, others, isWhole } = await partitionsOfUser(context, account);
  const byIssuer = Map.groupBy([own, ...others], ({ issuer }) => issuer);
  const outcomes = await Promise.all(
    [...byIssuer].map(([issuer, known]) => {
      const record = accountPartition({ clientId: own.clientId, issuer }, own.homeAccountId ?? "");
      return ending(context, known, () => context.parts.partitions.signOutEverywhere(record, known));
    }),
  );
  return summed(outcomes, isWhole);
}

/** Ends what has rows; they go once the tokens have gone. */
async function ending(
  context: ClientContext,
  known: readonly Partition[],
  end: () => Promise<SignOutOutcome>,
): Promise<SignOutOutcome> {
  const { partitions, activity } = context.parts;
  const removals = await Promise.all(
    known.map((partition) => activity.beforeSignOut(partitions.key(partition))),
  );
  const outcome = await end();
  if (outcome.status === "done") await Promise.all(removals.map((remove) => remove()));
  return outcome;
}

function summed(outcomes: readonly SignOutOutcome[], isWhole: boolean): SignOutOutcome {
  return {
    status: outcomes.every((outcome) => outcome.status === "done") ? "done" : "pending",
    durable: isWhole && outcomes.every((outcome) => outcome.durable),
  };
}

/** `uid.utid`, unique in the world; the `sub` of another issuer on its own would be another person. */
const GLOBAL_ID = /^[^.]+\.[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i;

interface UsersPartitions {
  readonly own: Partition;
  /**
   * Long-running processes, and where the user has signed in through another authority than the client's own (a
   * second policy, another cloud).
   */
  readonly others: readonly Partition[];
  readonly isWhole: boolean;
}

/** The activity index, a superset of the tokens, knows. */
async function partitionsOfUser(context: ClientContext, account: AccountRef): Promise<UsersPartitions> {
  const { activity, namespace, partitions, emit } = context.parts;
  const authority = context.authority({});
  const known = requestedAccount(account, authority, false);
  const own = partitionOf(context, authority, known);
  const ownKey = partitions.key(own);
  const { homeAccountId } = known;
  const others: Partition[] = [];
  try {
    for await (const { accountKey } of activity.list({ homeAccountId, clientId: context.auth.clientId })) {
      const found = partitionFromId(accountKey.slice(namespace.length + 1), homeAccountId);
      const isTheirs = GLOBAL_ID.test(homeAccountId) || found.issuer === own.issuer;
      if (accountKey !== ownKey && isTheirs) others.push(found);
    }
    return { own, others, isWhole: true };
  } catch (error) {
    emit({ type: "activity-failed", partition: partitionLabel(ownKey), error });
    return { own, others, isWhole: false };
  }
}
