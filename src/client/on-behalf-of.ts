import { createHash } from "node:crypto";
import type { CacheBlob } from "../blob/entities.ts";
import { isRetryable } from "../errors.ts";
import { acquisitionError } from "../msal/acquisition-error.ts";
import { runOperation } from "../msal/operation.ts";
import type { AuthenticationResult, OnBehalfOfRequest } from "../msal/types.ts";
import { oboPartition, type Partition } from "../partitions/partition.ts";
import type { PartitionState } from "../partitions/partitions.ts";
import type { SaveOutcome } from "../partitions/save.ts";
import { issuedAtMs, listForUser, signedOut } from "./assertion.ts";
import {
  answerFromMemory,
  askUnderLease,
  inCache,
  requestNames,
  shared,
  type CachedFlow,
} from "./cached-flow.ts";
import { hasOnly, readOrGoOn, scopeOf, type ConfidentialContext } from "./context.ts";
import { withMetadata, type Renewal } from "./renewal.ts";
import type { TokenResult } from "./result.ts";
import { isEmptyObject } from "./silent-flow.ts";

interface OboFlow extends CachedFlow {
  readonly request: OnBehalfOfRequest;
}

const PLAIN_FIELDS = new Set([
  "scopes",
  "authority",
  "correlationId",
  "azureCloudOptions",
  "skipCache",
  "oboAssertion",
]);

/**
 * Exchanges an assertion for a token of another API. Each assertion has a partition of its own for each tenant: MSAL's
 * keys do not hold the assertion, so two sessions of one user would throw each other's tokens out, and MSAL's search
 * does not look at the tenant (measured, 7.2.1).
 * @throws `ERR_SIGNED_OUT` for an assertion issued before the user was signed out everywhere.
 */
export async function acquireTokenOnBehalfOf(
  context: ConfidentialContext,
  request: OnBehalfOfRequest,
): Promise<TokenResult | null> {
  const obo = prepare(context, request);
  return (
    answerFromMemory(context, obo)?.result ??
    shared(
      context,
      obo,
      () => obo,
      () =>
        askUnderLease(context, obo, {
          api: "acquireTokenOnBehalfOf",
          read: () => readUnlessSignedOut(context, obo.partition),
          ask: (renewal) => exchange(context, obo, renewal),
        }),
    )
  );
}

/** Only sign-out everywhere ends an assertion's partition; the same assertion cannot be younger than that. */
async function readUnlessSignedOut(
  context: ConfidentialContext,
  partition: Partition,
): Promise<PartitionState> {
  const state = await readOrGoOn(context, partition, { fresh: true });
  if (state.status === "removed") throw signedOut();
  return state;
}

function prepare(context: ConfidentialContext, request: OnBehalfOfRequest): OboFlow {
  const authority = context.authority(request);
  const { correlationId, oboAssertion: _assertion, ...rest } = request;
  return {
    request,
    partition: oboPartition(scopeOf(context, authority), request.oboAssertion, authority.tenant || "-"),
    search: {
      clientId: context.auth.clientId,
      environment: authority.environment,
      // The partition is of one tenant already, whose id only the provider knows where a domain names it.
      realm: "",
      scopes: request.scopes,
      // MSAL's `userAssertionHash`: SHA-256, base64url (`HashUtils`, msal-node 7.2.1).
      userAssertionHash: createHash("sha256").update(request.oboAssertion).digest("base64url"),
      authority: authority.canonical,
      correlationId,
    },
    mayUseCache: hasOnly(request, PLAIN_FIELDS) && !request.skipCache,
    names: () => requestNames(context, authority, JSON.stringify(["obo", context.auth.clientId, rest])),
    cacheMs: 0,
  };
}

async function exchange(
  context: ConfidentialContext,
  obo: OboFlow,
  { state, reason, guard }: Renewal,
): Promise<TokenResult | null> {
  const base = state.status === "present" ? state : undefined;
  const outcome = await runOperation(
    context.settings(),
    base?.record.blob,
    async (client) => {
      // On-behalf-of never asks the plugin before it searches (msal-node 7.2.1); reading accounts makes it load.
      await client.getTokenCache().getAllAccounts();
      // Of a token from the future (the clock was set back) MSAL would make an answer, and one without an account.
      const past = reason === "expired" ? { skipCache: true } : {};
      return client.acquireTokenOnBehalfOf({ ...obo.request, ...past });
    },
    guard,
  );
  if (!outcome.ok) throw acquisitionError(outcome.error, outcome.trace, { scopes: obo.request.scopes });
  const { result, saved: mine, trace } = outcome;
  if (result?.account && !result.fromCache) await context.tenantGate?.(result.account);
  const saved =
    mine && result ? await inCache(context, obo, () => keep(context, obo, state, result, mine)) : undefined;
  return result && withMetadata(result, trace, reason, saved);
}

/** The partition is listed in the user's account record before it is written: sign-out everywhere finds it. */
async function keep(
  context: ConfidentialContext,
  obo: OboFlow,
  state: PartitionState,
  result: AuthenticationResult,
  mine: CacheBlob,
): Promise<SaveOutcome> {
  // Unlisted it must not be stored: nobody could end it. The caller has its token; the next call asks again.
  if (!result.account?.homeAccountId) return UNLISTED;
  let listing: { readonly unlisted: boolean };
  try {
    listing = await listForUser(context, obo.partition, {
      request: obo.request,
      account: result.account,
      mine,
    });
  } catch (error) {
    if (isRetryable(error)) return UNLISTED;
    throw error;
  }
  const base = state.status === "present" ? state.record : undefined;
  return context.parts.partitions.save(obo.partition, {
    ...listing,
    creates: true,
    signsIn: false,
    base,
    mine,
    strengthens: !isEmptyObject(obo.request.claims),
    signedInAtMs: issuedAtMs(obo.request.oboAssertion),
  });
}

const UNLISTED: SaveOutcome = { saved: false, record: undefined };
