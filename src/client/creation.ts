/** Flows that bring a user's partition to life: a code, a refresh token to import, a password. */
import { createHash } from "node:crypto";
import { accountRef } from "../activity/account-ref.ts";
import { TokenkeepError } from "../errors.ts";
import { leaseAnswer } from "../partitions/held-lease.ts";
import { randomId } from "../runtime.ts";
import { emptyBlob, type CacheBlob } from "../blob/entities.ts";
import { acquisitionError } from "../msal/acquisition-error.ts";
import { assertOwnEntries } from "../msal/ownership.ts";
import { runOperation } from "../msal/operation.ts";
import type {
  AccountInfo,
  AuthenticationResult,
  AuthorizationCodePayload,
  AuthorizationCodeRequest,
  MsalClient,
  RefreshTokenRequest,
  UsernamePasswordRequest,
} from "../msal/types.ts";
import type { SaveOutcome } from "../partitions/save.ts";
import type { CacheParts } from "../cache-parts.ts";
import {
  activitySubject,
  credentialOf,
  partitionOf,
  type AuthorityRequest,
  type ClientContext,
} from "./context.ts";
import { withMetadata } from "./renewal.ts";
import type { TokenResult } from "./result.ts";

/**
 * Redeems an authorization code, once. Callers who make the very same request meanwhile share the answer; the
 * same code with another verifier, nonce or redirect URI is another's request, and shares nothing.
 */
export function acquireTokenByCode(
  context: ClientContext,
  request: AuthorizationCodeRequest,
  payload?: AuthorizationCodePayload,
): Promise<TokenResult> {
  const ownPayload = payload && { ...payload };
  const code = createHash("sha256").update(String(request.code)).digest("base64url");
  const asked = createHash("sha256").update(JSON.stringify([context.auth.clientId, request, payload]));
  return context.parts.partitions.flights.run(`code:${code}`, asked.digest("base64url"), () =>
    redeemOnce(context, code, () =>
      create(context, request, (client) => client.acquireTokenByCode({ ...request }, ownPayload)),
    ),
  );
}

/** Longer than a code lives anywhere (RFC 6749 section 4.1.2 recommends ten minutes at most). */
const CODE_CLAIM_MS = 900_000;

/**
 * One redemption per code, over all processes: a second one may end the session that the first began (RFC
 * 6749 section 4.1.2). The claim is kept whatever came of it, because the provider may have seen the code.
 */
async function redeemOnce<R>(context: ClientContext, codeHash: string, redeem: () => Promise<R>): Promise<R> {
  const { lease, namespace, runtime, emit } = context.parts;
  try {
    const owner = randomId(runtime);
    const claiming = lease?.claim(`${namespace}:code:${codeHash}`, { owner, ttlMs: CODE_CLAIM_MS });
    const claim = claiming && (await leaseAnswer(runtime, claiming));
    if (claim && !claim.held) throw new TokenkeepError("ERR_CODE_REDEEMED", CODE_REDEEMED);
  } catch (error) {
    if (error instanceof TokenkeepError && error.code === "ERR_CODE_REDEEMED") throw error;
    // A backend that is down must not keep anybody from signing in; the provider redeems a code once anyway.
    emit({ type: "store-failed", store: "lease", operation: "claim code", error });
  }
  return redeem();
}

const CODE_REDEEMED = "this authorization code has been redeemed already; begin a new sign-in";

/** Imports a refresh token from elsewhere, e.g. from ADAL; it is stored like a sign-in. */
export function acquireTokenByRefreshToken(
  context: ClientContext,
  request: RefreshTokenRequest,
): Promise<TokenResult> {
  // Without `forceCache` MSAL stores nothing for an account it does not hold yet (msal-node 7.2.1).
  return create(context, request, (client) =>
    client.acquireTokenByRefreshToken({ ...request, forceCache: true }),
  );
}

export function acquireTokenByUsernamePassword(
  context: ClientContext,
  request: UsernamePasswordRequest,
): Promise<TokenResult> {
  return create(context, request, (client) => client.acquireTokenByUsernamePassword({ ...request }));
}

/**
 * Runs the flow in a scratch client, because only its answer says whose partition it is; then merges what it
 * brought into that partition. Whatever the store does, the caller gets the token: the code is spent.
 * @param run wraps the saving where the whole flow is not one operation that closing waits for
 */
export async function create<C extends MsalClient>(
  context: ClientContext<C>,
  request: AuthorityRequest & { readonly scopes?: readonly string[] },
  work: (client: C) => Promise<AuthenticationResult | null>,
  run: CacheParts["run"] = (keeping) => keeping(),
): Promise<TokenResult> {
  const { runtime } = context.parts;
  const startedAt = runtime.monotonicNow();
  const outcome = await runOperation(context.settings(), undefined, work);
  if (!outcome.ok) throw acquisitionError(outcome.error, outcome.trace, { scopes: request.scopes });
  const result = outcome.result;
  if (!result?.account?.homeAccountId) {
    throw new TokenkeepError(
      "ERR_ACCOUNT_MISSING",
      "the identity provider's answer names no account; ask for the scope openid",
    );
  }
  const { account } = result;
  await context.tenantGate?.(account);
  const mine = outcome.saved;
  const answeredAt = runtime.monotonicNow();
  const saved = mine && (await run(() => keep(context, request, account, mine)));
  const endedAt = runtime.monotonicNow();
  const durations = { totalMs: endedAt - startedAt, cacheMs: endedAt - answeredAt };
  return withMetadata(result, outcome.trace, "no-cached-access-token", saved, durations);
}

/** The activity row is created before the record and confirmed after it: it is a superset of the tokens. */
async function keep(
  context: ClientContext,
  request: AuthorityRequest & object,
  account: AccountInfo,
  mine: CacheBlob,
): Promise<SaveOutcome> {
  const { partitions, activity } = context.parts;
  const partition = partitionOf(context, context.authority(request), account);
  assertOwnEntries(partition, emptyBlob(), mine);
  const subject = activitySubject(context, partition, accountRef(account), request);
  await activity.beforeSignIn(subject);
  const saved = await partitions.save(partition, {
    creates: true,
    signsIn: true,
    base: undefined,
    mine,
    strengthens: true,
  });
  await activity.afterSignIn(subject, credentialOf(context, saved.record, account));
  return saved;
}
