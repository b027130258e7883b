import type { AccountRef } from "../activity/account-ref.ts";
import type { ActivitySubject } from "../activity/activity.ts";
import { isKnownCloud } from "../blob/environments.ts";
import { isAnyTenant, type Authority } from "../msal/issuer.ts";
import type { CacheBlob } from "../blob/entities.ts";
import type { SilentFlowRequest } from "../msal/types.ts";
import { requestNames, type CachedFlow, type RequestNames } from "./cached-flow.ts";
import type { Subject } from "./subjects.ts";
import { activitySubject, type AuthorityRequest, type ClientContext } from "./context.ts";

/** A silent request with everything derived from it once. */
export interface Silent extends CachedFlow {
  readonly request: SilentFlowRequest;
  readonly account: AccountRef;
  /** What has to be done before a new token is stored, and what the record is to be written with. */
  readonly beforeSave?: (mine: CacheBlob) => Promise<{ readonly unlisted?: boolean }>;
}

export function silentFlow(context: ClientContext, request: SilentFlowRequest): Silent {
  const authority = context.authority(request);
  const subject = context.subjects(request.account, authority, namesAuthority(request));
  return silentFlowOf(context, request, authority, subject);
}

/** For an account whose tokens lie in that partition. */
export function silentFlowOf(
  context: ClientContext,
  request: SilentFlowRequest,
  authority: Authority,
  subject: Subject,
): Silent {
  const { account, partition, place } = subject;
  return {
    request,
    account,
    partition,
    place,
    search: {
      clientId: context.auth.clientId,
      environment: account.environment,
      realm: account.tenantId || authority.tenant,
      scopes: request.scopes ?? [],
      homeAccountId: account.homeAccountId,
      // A field without a value: spreading one in would cost a tenth of a hit.
      resource: request.resource || undefined,
      authority: authority.canonical,
      correlationId: request.correlationId,
    },
    mayUseCache:
      !request.forceRefresh &&
      isEmptyObject(request.claims) &&
      !request.attributeTokens?.length &&
      isSameCloud(account.environment, authority.environment) &&
      // Neither says which tenant: MSAL takes a token of any, and none where it finds several.
      (account.tenantId !== "" || !isAnyTenant(authority)),
    names: () => namesOf(context, request, authority, subject),
    cacheMs: 0,
  };
}

/** An authority of one of Microsoft's clouds has no tokens of another's accounts, whatever the record holds. */
function isSameCloud(environment: string, asked: string): boolean {
  return environment === asked || !isKnownCloud(asked);
}

/** MSAL treats an empty claims object like none (`StringUtils.isEmptyObj`). */
export function isEmptyObject(claims: string | undefined): boolean {
  if (!claims) return true;
  try {
    return Object.keys(JSON.parse(claims) as object).length === 0;
  } catch {
    return false;
  }
}

/** A thousand callers who come at once for one user ask for the same: a text that is the same is found faster. */
function namesOf(
  context: ClientContext,
  request: SilentFlowRequest,
  authority: Authority,
  subject: Subject,
): RequestNames {
  const { account, lastAsked } = subject;
  if (!isPlain(request)) return requestNames(context, authority, fullName(context, request, account));
  const scopes = request.scopes ?? [];
  if (lastAsked && scopes.length === 1 && lastAsked.scope === scopes[0]) return lastAsked.names;
  const { tenantId } = account;
  let name = `silent ${context.auth.clientId} ${tenantId.length} ${tenantId}`;
  // Lengths keep one odd scope apart from two.
  for (const scope of scopes.length > 1 ? [...scopes].sort() : scopes) name += ` ${scope.length} ${scope}`;
  const names = requestNames(context, authority, name);
  if (scopes.length === 1) subject.lastAsked = { scope: scopes[0] as string, names };
  return names;
}

/** Whether a request says nothing but whose token it wants, and for what. */
function isPlain(request: SilentFlowRequest): boolean {
  for (const name in request) {
    if (name === "account" || name === "scopes" || name === "correlationId") continue;
    if (request[name as keyof SilentFlowRequest] !== undefined) return false;
  }
  return true;
}

function fullName(context: ClientContext, request: SilentFlowRequest, account: AccountRef): string {
  const { account: _account, correlationId: _correlationId, scopes, ...rest } = request;
  return JSON.stringify([
    "silent",
    context.auth.clientId,
    account.tenantId,
    [...(scopes ?? [])].sort(),
    rest,
  ]);
}

/** The account and the request, as the activity row sees them. */
export function subjectOf(context: ClientContext, silent: Silent): ActivitySubject {
  return activitySubject(context, silent.partition, silent.account, silent.request);
}

export function namesAuthority(request: AuthorityRequest): boolean {
  return request.authority !== undefined || Boolean(request.azureCloudOptions?.tenant);
}
