/** One token request, and what can be said about it before it is carried out. */
import type { CallKind } from "./call-log.ts";
import { graphOf, param, refuseStranger, tenantOf, type AuthorityContext } from "./context.ts";
import type { Person, Registration, Tenant } from "./directory.ts";
import { fingerprintOf, type Grant } from "./grants.ts";
import { decodeJwt, type Claims } from "./jwt.ts";
import { consentRequired, interactionRequired } from "./oauth-error.ts";
import { grantScopes, readScopes, splitScopes, type GrantedScopes } from "./scopes.ts";

/** A request to the token endpoint, its client authenticated. */
export interface TokenRequest {
  /** The tenant part of the path. */
  readonly segment: string;
  readonly params: URLSearchParams;
  readonly app: Registration;
}

/** What a grant's handler gives back. */
export interface TokenResult {
  readonly body: Claims;
  readonly tenant: Tenant;
  readonly grantId?: string;
}

/** Carries out one kind of grant; throws an `OAuthError` to refuse. */
export type GrantHandler = (context: AuthorityContext, request: TokenRequest) => TokenResult;

/** What the log and the faults need to know of a call, found without changing anything. */
export interface CallFacts {
  readonly grant: CallKind;
  readonly tenant: string;
  readonly clientId?: string;
  readonly user?: string;
  readonly grantId?: string;
  readonly scopes: readonly string[];
  readonly refreshTokenFingerprint?: string;
}

/** `grant_type` values (RFC 6749, RFC 7523, RFC 8628) and our names for them. */
const GRANT_TYPES: Readonly<Record<string, CallKind>> = Object.freeze({
  authorization_code: "authorization_code",
  refresh_token: "refresh_token",
  client_credentials: "client_credentials",
  "urn:ietf:params:oauth:grant-type:jwt-bearer": "on_behalf_of",
  "urn:ietf:params:oauth:grant-type:device_code": "device_code",
  device_code: "device_code",
});

/** Reads a request without acting on it. */
export function describeRequest(
  context: AuthorityContext,
  segment: string,
  params: URLSearchParams,
): CallFacts {
  const grantType = GRANT_TYPES[param(params, "grant_type") ?? ""] ?? "unknown";
  const refreshToken = grantType === "refresh_token" ? param(params, "refresh_token") : undefined;
  const grant = peekGrant(context, grantType, params);
  const user = grant?.person.username ?? peekUser(context, grantType, params);
  const clientId = param(params, "client_id");
  const fingerprint = fingerprintOf(refreshToken);
  return {
    grant: grantType,
    tenant: context.directory.tenant(segment)?.tenantId ?? grant?.tenant.tenantId ?? segment,
    scopes: splitScopes(param(params, "scope")),
    ...(clientId === undefined ? {} : { clientId }),
    ...(user === undefined ? {} : { user }),
    ...(grant === undefined ? {} : { grantId: grant.id }),
    ...(fingerprint === undefined ? {} : { refreshTokenFingerprint: fingerprint }),
  };
}

function peekGrant(
  context: AuthorityContext,
  grantType: CallKind,
  params: URLSearchParams,
): Grant | undefined {
  if (grantType === "refresh_token") {
    return context.grants.peekRefreshToken(param(params, "refresh_token") ?? "");
  }
  if (grantType === "authorization_code") {
    return context.grants.peekCode(param(params, "code") ?? "")?.grant;
  }
  return undefined;
}

function peekUser(
  context: AuthorityContext,
  grantType: CallKind,
  params: URLSearchParams,
): string | undefined {
  if (grantType !== "on_behalf_of") return undefined;
  const oid = decodeJwt(param(params, "assertion") ?? "")?.claims["oid"];
  return typeof oid === "string" ? context.directory.person(oid)?.username : undefined;
}

/** The tenant whose token is asked for: the path's, or else that of the sign-in. */
export function targetTenant(
  context: AuthorityContext,
  segment: string,
  person: Person,
  fallback: Tenant,
): Tenant {
  const tenant = tenantOf(context, segment) ?? fallback;
  refuseStranger(person, tenant);
  return tenant;
}

/** The scopes that will be in the token; refuses when consent or claims are missing. */
export function authorizeScopes(
  context: AuthorityContext,
  person: Person,
  scopes: readonly string[],
  claims: string | undefined,
): GrantedScopes {
  const asked = readScopes(context.directory, scopes);
  const { granted, missing } = grantScopes(asked, graphOf(context), (scope) =>
    context.policy.lacksConsent(person, scope),
  );
  if (missing.length > 0) throw consentRequired();
  const unmet = context.policy.unmetClaims(person, claims, false);
  if (unmet !== undefined) throw interactionRequired(unmet);
  return granted;
}
