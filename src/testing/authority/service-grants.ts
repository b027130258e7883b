/** The grants of services: client credentials and on-behalf-of. */
import { issuerOf, param, tenantOf, type AuthorityContext } from "./context.ts";
import type { Person, Registration, Tenant } from "./directory.ts";
import { decodeJwt, verifyRs256, type Claims } from "./jwt.ts";
import { OAuthError } from "./oauth-error.ts";
import { readScopes, splitScopes } from "./scopes.ts";
import { authorizeScopes, targetTenant, type GrantHandler } from "./token-request.ts";
import { answerBase, issueAppAccessToken, userTokenAnswer } from "./tokens.ts";

/** RFC 6749 section 4.4; the scope is one API's `.default`, and the tenant must be named. */
export const grantClientCredentials: GrantHandler = (context, { segment, params, app }) => {
  const tenant = tenantOf(context, segment);
  if (tenant === undefined) {
    throw new OAuthError("invalid_request", 50194, "Client credentials need a tenant in the path.");
  }
  if (app.isPublic) {
    throw new OAuthError(
      "invalid_client",
      7000218,
      "Client credentials need a client_secret or client_assertion.",
    );
  }
  const [scope, ...rest] = readScopes(context.directory, splitScopes(param(params, "scope"))).api;
  if (scope?.name !== ".default" || rest.length > 0) {
    throw new OAuthError("invalid_scope", 1002012, "Client credentials need exactly one .default scope.");
  }
  const token = issueAppAccessToken(context, tenant, app, scope.resource, param(params, "claims"));
  return { body: { ...answerBase(context), access_token: token }, tenant };
};

/** RFC 7523 section 2.1 as Entra ID uses it to act on behalf of a user. */
export const grantOnBehalfOf: GrantHandler = (context, { segment, params, app }) => {
  if (param(params, "requested_token_use") !== "on_behalf_of") {
    throw new OAuthError("invalid_request", 70003, "requested_token_use must be on_behalf_of.");
  }
  const assertion = param(params, "assertion");
  if (assertion === undefined)
    throw new OAuthError("invalid_request", 900144, "The request has no assertion.");
  const claims = verifyAssertion(context, app, assertion);
  const { person, home } = assertedUser(context, claims);
  const tenant = targetTenant(context, segment, person, home);
  const scopes = splitScopes(param(params, "scope"));
  const requestedClaims = param(params, "claims");
  const granted = authorizeScopes(context, person, scopes, requestedClaims);
  const grant = context.grants.open({ clientId: app.clientId, person, tenant, scopes });
  return {
    body: userTokenAnswer(context, { grant, tenant, app, granted, claims: requestedClaims }),
    tenant,
    grantId: grant.id,
  };
};

function verifyAssertion(context: AuthorityContext, app: Registration, assertion: string): Claims {
  const token = decodeJwt(assertion);
  const key = context.signingKeys.find((known) => known.kid === token?.header["kid"]);
  const signed =
    token !== undefined &&
    token.header["alg"] === "RS256" &&
    key !== undefined &&
    verifyRs256(token, key.publicKey);
  if (!signed) throw new OAuthError("invalid_grant", 50013, "The assertion's signature is not valid.");
  const { aud, exp, iss, tid, sid } = token.claims;
  const now = Math.floor(context.runtime.now() / 1000);
  if (typeof exp !== "number" || exp <= now) {
    throw new OAuthError("invalid_grant", 500133, "The assertion is not within its valid time range.");
  }
  if (iss !== issuerOf(context, String(tid))) {
    throw new OAuthError("invalid_grant", 50013, "The assertion's issuer is not valid.");
  }
  const audience = typeof aud === "string" ? context.directory.resource(aud) : undefined;
  if (aud !== app.clientId && audience?.clientId !== app.clientId) {
    throw new OAuthError("invalid_grant", 500131, "The assertion's audience is not the application.");
  }
  const revoked = typeof sid === "string" ? context.grants.byId(sid)?.revoked : undefined;
  if (revoked !== undefined) throw revoked;
  return token.claims;
}

function assertedUser(
  context: AuthorityContext,
  claims: Claims,
): { readonly person: Person; readonly home: Tenant } {
  const { oid, tid, scp } = claims;
  const person = typeof oid === "string" ? context.directory.person(oid) : undefined;
  const home = typeof tid === "string" ? context.directory.tenant(tid) : undefined;
  // An id token has the right signature and, for a client that is its own API, the right audience.
  if (person === undefined || home === undefined || typeof scp !== "string") {
    throw new OAuthError("invalid_grant", 50027, "The assertion is not a user's access token.");
  }
  return { person, home };
}
