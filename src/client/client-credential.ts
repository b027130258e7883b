import { emptyBlob, type CacheBlob } from "../blob/entities.ts";
import { assertOwnEntries } from "../msal/ownership.ts";
import { runOperation } from "../msal/operation.ts";
import type { ClientCredentialRequest } from "../msal/types.ts";
import type { TokenRecord } from "../partitions/record.ts";
import type { SaveOutcome } from "../partitions/save.ts";
import type { PartitionState } from "../partitions/partitions.ts";
import { appPartition, type Partition } from "../partitions/partition.ts";
import { hasOnly, leaseKey, readOrGoOn, scopeOf, type ClientContext } from "./context.ts";
import type { CacheAnswer, CacheSearch } from "./lookup.ts";
import { reasonOf, withMetadata, type Renewal } from "./renewal.ts";
import type { TokenResult } from "./result.ts";

interface AppRequest {
  readonly request: ClientCredentialRequest;
  readonly partition: Partition;
  readonly search: CacheSearch;
  readonly mayUseCache: boolean;
}

/** Fields that change nothing about which cached token answers; any other is left to MSAL to judge. */
const PLAIN_FIELDS = new Set(["scopes", "authority", "correlationId", "azureCloudOptions", "skipCache"]);

/**
 * The application's own token for one tenant. With the store down the identity provider is asked instead: an
 * application token costs one call, not a person's time.
 */
export async function acquireTokenByClientCredential(
  context: ClientContext,
  request: ClientCredentialRequest,
): Promise<TokenResult | null> {
  const app = prepare(context, request);
  if (app.mayUseCache) {
    const record = context.parts.partitions.peek(app.partition);
    const answer = record && context.answers.find(record, "L1", app.search);
    if (answer?.result) return answer.result;
  }
  const { flights, key } = context.parts.partitions;
  const { correlationId, ...rest } = request;
  const flight = JSON.stringify(["app", context.auth.clientId, rest, typeof request.clientAssertion]);
  const result = await flights.run(key(app.partition), flight, () => acquire(context, app, flight));
  return result && { ...result, correlationId: correlationId ?? result.correlationId };
}

function prepare(context: ClientContext, request: ClientCredentialRequest): AppRequest {
  const authority = context.authority(request);
  const isPlain = hasOnly(request, PLAIN_FIELDS);
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
      correlationId: request.correlationId,
    },
    mayUseCache: isPlain && !request.skipCache,
  };
}

async function acquire(context: ClientContext, app: AppRequest, flight: string): Promise<TokenResult | null> {
  let state: PartitionState = { status: "absent" };
  let answer: CacheAnswer = { result: undefined, reason: "no-cached-access-token" };
  return context.leases.run<TokenResult | null>({
    key: leaseKey(context, app.partition, flight),
    async recheck() {
      state = await readOrGoOn(context, app.partition, { fresh: true });
      answer = answerFrom(context, app, state);
      return answer.result;
    },
    work: (guard) => request(context, app, { state, reason: reasonOf(answer), guard }),
  });
}

function answerFrom(context: ClientContext, app: AppRequest, state: PartitionState): CacheAnswer {
  if (!app.mayUseCache) return { result: undefined, reason: "force-refresh-or-claims" };
  if (state.status !== "present") return { result: undefined, reason: "no-cached-access-token" };
  return context.answers.find(state.record, state.level, app.search);
}

async function request(
  context: ClientContext,
  app: AppRequest,
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
  const saved = outcome.saved && (await keep(context, app, base?.record, outcome.saved));
  if (!outcome.ok) throw outcome.error;
  return outcome.result && withMetadata(outcome.result, outcome.trace, reason, saved);
}

function keep(
  context: ClientContext,
  app: AppRequest,
  base: TokenRecord | undefined,
  mine: CacheBlob,
): Promise<SaveOutcome> {
  assertOwnEntries(app.partition, base?.blob ?? emptyBlob(), mine);
  return context.parts.partitions.save(app.partition, {
    creates: true,
    signsIn: false,
    base,
    mine,
    strengthens: false,
  });
}
