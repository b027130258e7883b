/** Renewing a user's token at the identity provider, and what becomes of the answer or the refusal. */
import { isRefreshTokenDead, isRefreshTokenRefused } from "../activity/outcome.ts";
import { emptyBlob, type CacheBlob } from "../blob/entities.ts";
import { fingerprint } from "../blob/provenance.ts";
import { TokenkeepError } from "../errors.ts";
import { isTenantId } from "./account.ts";
import { acquisitionError } from "../msal/acquisition-error.ts";
import { assertOwnAccount, assertOwnEntries, ownedBy } from "../msal/ownership.ts";
import { runOperation } from "../msal/operation.ts";
import type { PartitionState } from "../partitions/partitions.ts";
import type { SaveOutcome } from "../partitions/save.ts";
import { inAskedTenant } from "./asked-tenant.ts";
import { answerFromState, inCache } from "./cached-flow.ts";
import { credentialOf, recordFailure, refreshTokenOf, type ClientContext } from "./context.ts";
import { withMetadata, type Renewal } from "./renewal.ts";
import type { TokenResult } from "./result.ts";
import { isEmptyObject, subjectOf, type Silent } from "./silent-flow.ts";

/** Sign-ins that end a refresh token just taken over come from people: three in a row do not happen. */
const MAX_REFUSED = 3;

/**
 * One attempt. After a refusal the refresh token is looked up again, and only one that nobody has replaced makes the
 * refusal the caller's: between the reading and the answer somebody may have signed in once more.
 */
export async function renew(context: ClientContext, silent: Silent, renewal: Renewal): Promise<TokenResult> {
  const { state, reason, guard, refused = 0 } = renewal;
  const base = state.status === "present" ? state : undefined;
  const used = credentialOf(context, base?.record, silent.account);
  const request = { ...inAskedTenant(context, silent), account: silent.account };
  const asked = { ...silent.account, tenantId: silent.search.realm };
  // Before the refresh token is spent, where it is known by then which tenant the token will be for.
  if (isTenantId(asked.tenantId)) await context.tenantGate?.(asked);
  const outcome = await runOperation(
    context.settings(),
    base?.record.blob,
    (client) => client.acquireTokenSilent(request),
    guard,
  );
  renewal.trace?.(outcome.trace);
  if (outcome.ok) {
    const { account } = outcome.result;
    assertOwnAccount(silent.partition, account);
    if (account && account.tenantId !== asked.tenantId) await context.tenantGate?.(account);
  }
  const { saved: mine } = outcome;
  const saved = mine && (await inCache(context, silent, () => store(context, silent, state, mine)));
  if (!outcome.ok) {
    if (refused < MAX_REFUSED && isRefreshTokenRefused(outcome.error)) {
      const adopted = await adopt(context, silent, used, renewal);
      if (adopted) return adopted;
    }
    if (used === undefined) {
      if (renewal.unconfirmed !== undefined) throw renewal.unconfirmed;
      refuseToJudge(state);
    }
    if (isRefreshTokenDead(outcome.error)) await dropRefreshToken(context, silent, state);
    // What is remembered was noted when it happened.
    if (!outcome.trace.remembered) await noteFailure(context, silent, state, outcome.error, used);
    const { scopes } = silent.request;
    throw acquisitionError(outcome.error, outcome.trace, { scopes, account: silent.account });
  }
  // A proactive refresh that failed is MSAL's secret: the old token is the answer, and nothing was renewed.
  if (outcome.saved) {
    const now = credentialOf(context, saved?.record, silent.account) ?? used;
    await context.parts.activity.afterSuccess(subjectOf(context, silent), { used, now, refreshed: true });
  }
  // What MSAL found in the record is said to come from the authority that was named, whichever was made of it.
  const { result } = outcome;
  const named = result.fromCache ? { ...result, authority: silent.search.authority } : result;
  return withMetadata(named, outcome.trace, reason, saved);
}

/**
 * MSAL forgets a refused refresh token in its memory only (msal-node 7.2.1), so that with a plugin every
 * further call sends it again. Here it leaves the record, unless another node has replaced it meanwhile.
 */
async function dropRefreshToken(
  context: ClientContext,
  silent: Silent,
  state: PartitionState,
): Promise<void> {
  if (state.status !== "present") return;
  const found = refreshTokenOf(context, state.record, silent.account);
  if (!found) return;
  const ifFingerprint = fingerprint(found.token.secret);
  await context.parts.partitions.save(silent.partition, {
    creates: false,
    signsIn: false,
    base: state.record,
    baseVersion: state.version,
    mine: state.record.blob,
    removals: [{ section: "RefreshToken", key: found.key, ifFingerprint }],
    strengthens: false,
  });
}

/** A sign-in that was confirmed within this time may not have been seen by the read that found nothing. */
const SIGN_IN_MS = 60_000;

async function noteFailure(
  context: ClientContext,
  silent: Silent,
  state: PartitionState,
  error: unknown,
  used: string | undefined,
): Promise<void> {
  const subject = subjectOf(context, silent);
  if (state.status === "removed") {
    // A sign-out that had to wait for the store has left the row behind.
    return context.parts.activity.remove(subject.accountKey, state.marker.removedAtMs);
  }
  const move = { used, now: undefined };
  if (state.status !== "absent") return recordFailure(context, subject, error, move);
  // The store has lost the record: nobody can act for the account, unless a sign-in is just under way.
  const absentAtMs = context.parts.runtime.now() - SIGN_IN_MS;
  return recordFailure(context, subject, error, { ...move, absentAtMs });
}

async function store(
  context: ClientContext,
  silent: Silent,
  state: PartitionState,
  answered: CacheBlob,
): Promise<SaveOutcome> {
  const base = state.status === "present" ? state : undefined;
  const mine = ownedBy(silent.account.homeAccountId, answered);
  assertOwnEntries(silent.partition, base?.record.blob ?? emptyBlob(), mine);
  const listing = await silent.beforeSave?.(mine);
  return context.parts.partitions.save(silent.partition, {
    ...listing,
    creates: false,
    signsIn: false,
    base: base?.record,
    baseVersion: base?.version,
    mine,
    mustReplicate: context.parts.refreshTokens === "one-time",
    strengthens: !isEmptyObject(silent.request.claims),
  });
}

/**
 * The provider refused the refresh token. Before the user is told to sign in again: another node may have
 * renewed it meanwhile, and then its token is ours too.
 */
async function adopt(
  context: ClientContext,
  silent: Silent,
  used: string | undefined,
  renewal: Renewal,
): Promise<TokenResult | undefined> {
  const { partitions } = context.parts;
  const state = await inCache(context, silent, () => partitions.read(silent.partition, { fresh: true }));
  refuseToJudge(state);
  const now = state.status === "present" ? credentialOf(context, state.record, silent.account) : undefined;
  if (now === undefined || now === used) return undefined;
  const answer = answerFromState(context, silent, state);
  return answer.result ?? renew(context, silent, { ...renewal, state, refused: (renewal.refused ?? 0) + 1 });
}

/** A copy in memory does not say whether there is a newer token: nobody is sent to the provider for it. */
function refuseToJudge(state: PartitionState): void {
  if (state.status !== "present" || state.level !== "stale") return;
  throw new TokenkeepError(
    "ERR_STORE_UNAVAILABLE",
    "the copy in memory has no good refresh token, and the store cannot say whether there is a newer one",
    { retryable: true },
  );
}
