import { emptyBlob, type CacheBlob } from "../blob/entities.ts";
import { acquisitionError } from "../msal/acquisition-error.ts";
import { assertOwnEntries } from "../msal/ownership.ts";
import { isAnyTenant } from "../msal/issuer.ts";
import { runOperation } from "../msal/operation.ts";
import type { ClientCredentialRequest } from "../msal/types.ts";
import type { TokenRecord } from "../partitions/record.ts";
import type { SaveOutcome } from "../partitions/save.ts";
import { appPartition } from "../partitions/partition.ts";
import { answerRequest, type Answering } from "./answer.ts";
import { askUnderLease, inCache, requestNames, type CachedFlow, type LeasedFlow } from "./cached-flow.ts";
import { hasOnly, readOrGoOn, scopeOf, type ConfidentialContext } from "./context.ts";
import { isEmptyObject } from "./silent-flow.ts";
import { withMetadata, type Renewal } from "./renewal.ts";
import type { TokenResult } from "./result.ts";

interface AppFlow extends CachedFlow {
  readonly request: ClientCredentialRequest;
}

/** Fields that change nothing about which cached token answers; any other is left to MSAL to judge. */
const PLAIN_FIELDS = new Set([
  "scopes",
  "authority",
  "correlationId",
  "azureCloudOptions",
  "skipCache",
  "claims",
]);

/**
 * The application's own token for one tenant. With the store down the identity provider is asked instead: an
 * application token costs one call, not a person's time.
 */
export function acquireTokenByClientCredential(
  context: ConfidentialContext,
  request: ClientCredentialRequest,
): Promise<TokenResult | null> {
  return answerRequest(context, request, prepare, answering);
}

const answering: Answering<ConfidentialContext, AppFlow, TokenResult | null> = {
  work: (context, app) => askUnderLease(context, app, leased(context, app)),
  leased,
};

function leased(context: ConfidentialContext, app: AppFlow): LeasedFlow {
  return {
    api: "acquireTokenByClientCredential",
    read: () => readOrGoOn(context, app.partition, { fresh: true }),
    ask: (renewal) => ask(context, app, renewal),
  };
}

function prepare(context: ConfidentialContext, request: ClientCredentialRequest): AppFlow {
  const authority = context.authority(request);
  const { correlationId, ...rest } = request;
  return {
    request,
    // A generic issuer has no tenants: there is one set of application tokens.
    partition: appPartition(scopeOf(context, authority), authority.tenant || "-"),
    search: {
      clientId: context.auth.clientId,
      environment: authority.environment,
      realm: authority.tenant,
      scopes: request.scopes ?? [],
      homeAccountId: "",
      authority: authority.canonical,
      correlationId,
    },
    // MSAL refuses an authority without a tenant, whatever is cached.
    mayUseCache:
      hasOnly(request, PLAIN_FIELDS) &&
      !request.skipCache &&
      isEmptyObject(request.claims) &&
      !isAnyTenant(authority),
    names() {
      const name = JSON.stringify(["app", context.auth.clientId, rest, typeof request.clientAssertion]);
      return requestNames(context, authority, name, request.clientAssertion);
    },
    cacheMs: 0,
  };
}

async function ask(
  context: ConfidentialContext,
  app: AppFlow,
  renewal: Renewal,
): Promise<TokenResult | null> {
  const { state, reason, guard } = renewal;
  const base = state.status === "present" ? state : undefined;
  const outcome = await runOperation(
    context.settings(),
    base?.record.blob,
    (client) => client.acquireTokenByClientCredential({ ...app.request }),
    guard,
  );
  renewal.trace?.(outcome.trace);
  const { saved: mine } = outcome;
  const saved = mine && (await inCache(context, app, () => keep(context, app, base?.record, mine)));
  if (!outcome.ok) throw acquisitionError(outcome.error, outcome.trace, { scopes: app.request.scopes });
  return outcome.result && withMetadata(outcome.result, outcome.trace, reason, saved);
}

function keep(
  context: ConfidentialContext,
  app: AppFlow,
  base: TokenRecord | undefined,
  mine: CacheBlob,
): Promise<SaveOutcome> {
  assertOwnEntries(app.partition, base?.blob ?? emptyBlob(), mine);
  return context.parts.partitions.save(app.partition, {
    creates: true,
    signsIn: false,
    base,
    mine,
    strengthens: !isEmptyObject(app.request.claims),
  });
}
