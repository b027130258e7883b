import type { AccountRef } from "../activity/account-ref.ts";
import type { ActivitySubject } from "../activity/activity.ts";
import { isRefreshTokenDead, isRefreshTokenRefused } from "../activity/outcome.ts";
import { TokenkeepError } from "../errors.ts";
import { assertOwnAccount, assertOwnEntries } from "../msal/ownership.ts";
import { runOperation } from "../msal/operation.ts";
import type { SilentFlowRequest } from "../msal/types.ts";
import { fingerprint } from "../blob/provenance.ts";
import { emptyBlob } from "../blob/entities.ts";
import type { PartitionState } from "../partitions/partitions.ts";
import type { SaveOutcome } from "../partitions/save.ts";
import { requestedAccount } from "./account.ts";
import { answerFromMemory, answerFromState, shared, type CachedFlow } from "./cached-flow.ts";
import {
  activitySubject,
  credentialOf,
  leaseKey,
  partitionOf,
  recordFailure,
  refreshTokenOf,
  type ClientContext,
} from "./context.ts";
import type { CacheAnswer } from "./lookup.ts";
import { reasonOf, withMetadata, type Renewal } from "./renewal.ts";
import type { TokenResult } from "./result.ts";

interface Silent extends CachedFlow {
  readonly request: SilentFlowRequest;
  readonly account: AccountRef;
}

/**
 * A token for a user who has signed in: from memory, from the store, or renewed. Throws MSAL's
 * `InteractionRequiredAuthError` where only the user can help, and a retryable `TokenkeepError` where the
 * store cannot answer just now.
 */
export async function acquireTokenSilent(
  context: ClientContext,
  request: SilentFlowRequest,
): Promise<TokenResult> {
  const silent = prepare(context, request);
  return answerFromMemory(context, silent) ?? shared(context, silent, () => acquire(context, silent));
}

function prepare(context: ClientContext, request: SilentFlowRequest): Silent {
  const authority = context.authority(request);
  const account = requestedAccount(request.account, authority, request.authority !== undefined);
  return {
    request,
    account,
    partition: partitionOf(context, authority, account),
    search: {
      clientId: context.auth.clientId,
      environment: account.environment,
      realm: account.tenantId || authority.tenant,
      scopes: request.scopes ?? [],
      homeAccountId: account.homeAccountId,
      ...(request.resource && { resource: request.resource }),
      authority: authority.canonical,
      correlationId: request.correlationId,
    },
    mayUseCache: !request.forceRefresh && isEmptyObject(request.claims) && !request.attributeTokens?.length,
    flightKey: () => flightKey(context, request, account),
  };
}

/** MSAL treats an empty claims object like none (`StringUtils.isEmptyObj`). */
function isEmptyObject(claims: string | undefined): boolean {
  if (!claims) return true;
  try {
    return Object.keys(JSON.parse(claims) as object).length === 0;
  } catch {
    return false;
  }
}

function flightKey(context: ClientContext, request: SilentFlowRequest, account: AccountRef): string {
  const { account: _account, correlationId: _correlationId, scopes, ...rest } = request;
  return JSON.stringify([
    "silent",
    context.auth.clientId,
    context.role,
    account.tenantId,
    [...(scopes ?? [])].sort(),
    rest,
  ]);
}

async function acquire(context: ClientContext, silent: Silent): Promise<TokenResult> {
  const { partitions } = context.parts;
  let state = await partitions.read(silent.partition);
  let answer = answerFromState(context, silent, state);
  if (answer.result) return served(context, silent, answer.result);
  // Nobody has signed in: there is nothing to renew or to wait for, and MSAL says so without a call.
  if (state.status === "absent") return renew(context, silent, unleased(state, answer));
  return context.leases.run({
    key: leaseKey(context, silent.partition, silent.flightKey()),
    // Past L1: somebody else may have renewed the token already, or the user has signed in again.
    async recheck() {
      state = await partitions.read(silent.partition, { fresh: true });
      answer = answerFromState(context, silent, state);
      if (answer.result) return served(context, silent, answer.result);
      if (state.status === "present") return undefined;
      return renew(context, silent, unleased(state, answer));
    },
    meanwhile: () => stillValid(context, silent, state),
    work: (guard) => renew(context, silent, { state, reason: reasonOf(answer), guard }),
  });
}

function unleased(state: PartitionState, answer: CacheAnswer): Renewal {
  return { state, reason: reasonOf(answer), guard: () => Promise.resolve() };
}

/** Who would have to wait for another process gets the old token while it is really valid. */
function stillValid(context: ClientContext, silent: Silent, state: PartitionState): TokenResult | undefined {
  if (!silent.mayUseCache || state.status !== "present") return undefined;
  return context.answers.find(state.record, state.level, silent.search, 0).result;
}

/** A hit past L1 is rare enough to be noted: when a worker or a web app acted for the account. */
async function served(context: ClientContext, silent: Silent, result: TokenResult): Promise<TokenResult> {
  if (result.metadata.cacheLevel === "L2") {
    const unchanged = { used: undefined, now: undefined, refreshed: false };
    await context.parts.activity.afterSuccess(subjectOf(context, silent), unchanged);
  }
  return result;
}

function subjectOf(context: ClientContext, silent: Silent): ActivitySubject {
  return activitySubject(context, silent.partition, silent.account, silent.request);
}

// --- the identity provider ---

async function renew(context: ClientContext, silent: Silent, renewal: Renewal): Promise<TokenResult> {
  const { state, reason, guard, isRetry } = renewal;
  const base = state.status === "present" ? state : undefined;
  const used = credentialOf(context, base?.record, silent.account);
  const request = { ...silent.request, account: silent.account };
  const outcome = await runOperation(
    context.settings(),
    base?.record.blob,
    (client) => client.acquireTokenSilent(request),
    guard,
  );
  if (outcome.ok) assertOwnAccount(silent.partition, outcome.result.account);
  const saved = outcome.saved && (await store(context, silent, state, outcome.saved));
  if (!outcome.ok) {
    if (!isRetry && isRefreshTokenRefused(outcome.error)) {
      const adopted = await adopt(context, silent, used, renewal);
      if (adopted) return adopted;
    }
    if (isRefreshTokenDead(outcome.error)) await dropRefreshToken(context, silent, state);
    await noteFailure(context, silent, state, outcome.error, used);
    throw outcome.error;
  }
  if (outcome.trace.tokenRequests > 0) {
    const now = credentialOf(context, saved?.record, silent.account) ?? used;
    await context.parts.activity.afterSuccess(subjectOf(context, silent), { used, now, refreshed: true });
  }
  return withMetadata(outcome.result, outcome.trace, reason, saved);
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
  mine: NonNullable<Awaited<ReturnType<typeof runOperation>>["saved"]>,
): Promise<SaveOutcome> {
  const base = state.status === "present" ? state : undefined;
  assertOwnEntries(silent.partition, base?.record.blob ?? emptyBlob(), mine);
  return context.parts.partitions.save(silent.partition, {
    creates: false,
    signsIn: false,
    base: base?.record,
    baseVersion: base?.version,
    mine,
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
  const state = await context.parts.partitions.read(silent.partition, { fresh: true });
  if (state.status === "present" && state.level === "stale") {
    // The store cannot tell whether there is a newer token: that is no reason to send anybody to the provider.
    throw new TokenkeepError(
      "ERR_STORE_UNAVAILABLE",
      "the refresh token in memory was refused, and the store cannot say whether there is a newer one",
      { retryable: true },
    );
  }
  const now = state.status === "present" ? credentialOf(context, state.record, silent.account) : undefined;
  if (now === undefined || now === used) return undefined;
  const answer = answerFromState(context, silent, state);
  return answer.result ?? renew(context, silent, { ...renewal, state, isRetry: true });
}
