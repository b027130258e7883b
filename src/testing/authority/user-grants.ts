/** The grants a user's sign-in leads to: authorization code, refresh token, device code. */
import { createHash } from "node:crypto";
import { param } from "./context.ts";
import type { CodeGrant } from "./grants.ts";
import { OAuthError } from "./oauth-error.ts";
import { splitScopes } from "./scopes.ts";
import { authorizeScopes, targetTenant, type GrantHandler, type TokenRequest } from "./token-request.ts";
import { userTokenAnswer } from "./tokens.ts";

/** RFC 6749 section 4.1.3 with PKCE (RFC 7636). */
export const redeemAuthorizationCode: GrantHandler = (context, { segment, params, app }) => {
  const text = param(params, "code");
  if (text === undefined) throw new OAuthError("invalid_request", 900144, "The request has no code.");
  // Everything that can be refused is refused before the code is spent.
  const request = context.grants.redeemCode(text, (code) => {
    checkCode(code, { segment, params, app });
    const { grant, nonce } = code;
    const tenant = targetTenant(context, segment, grant.person, grant.tenant);
    const requested = splitScopes(param(params, "scope"));
    const claims = param(params, "claims") ?? code.claims;
    const scopes = requested.length > 0 ? requested : grant.scopes;
    const granted = authorizeScopes(context, grant.person, scopes, claims);
    return { grant, tenant, app, granted, claims, nonce };
  });
  return { body: userTokenAnswer(context, request), tenant: request.tenant, grantId: request.grant.id };
};

function checkCode(code: CodeGrant, { params, app }: TokenRequest): void {
  if (code.grant.clientId !== app.clientId) {
    throw new OAuthError("invalid_grant", 70000, "The code was issued to another client.");
  }
  if (param(params, "redirect_uri") !== code.redirectUri) {
    throw new OAuthError("invalid_grant", 500112, "The redirect URI is not the one the code was sent to.");
  }
  const verifier = param(params, "code_verifier");
  // A verifier without a challenge means that somebody took the challenge out (RFC 9700 section 2.1.1).
  const matches =
    code.challenge === undefined
      ? verifier === undefined
      : verifier !== undefined && s256(verifier) === code.challenge;
  if (!matches) {
    throw new OAuthError("invalid_grant", 501481, "The code_verifier does not match the code_challenge.");
  }
}

const s256 = (verifier: string): string => createHash("sha256").update(verifier).digest("base64url");

/** RFC 6749 section 6; a refresh token is good for every API and every tenant of its user. */
export const redeemRefreshToken: GrantHandler = (context, { segment, params, app }) => {
  const text = param(params, "refresh_token");
  if (text === undefined)
    throw new OAuthError("invalid_request", 900144, "The request has no refresh_token.");
  const found = context.grants.findRefreshToken(text, app.clientId);
  const { grant } = found;
  const tenant = targetTenant(context, segment, grant.person, grant.tenant);
  const requested = splitScopes(param(params, "scope"));
  const scopes = requested.length > 0 ? requested : grant.scopes;
  const claims = param(params, "claims");
  const granted = authorizeScopes(context, grant.person, scopes, claims);
  found.spend();
  // An answer without a new refresh token would end the sign-in, so one comes whether asked for or not.
  const openid = new Set([...granted.openid, "offline_access"]);
  return {
    body: userTokenAnswer(context, { grant, tenant, app, granted: { ...granted, openid }, claims }),
    tenant,
    grantId: grant.id,
  };
};

/** RFC 8628 section 3.4. */
export const redeemDeviceCode: GrantHandler = (context, { segment, params, app }) => {
  const text = param(params, "device_code");
  if (text === undefined) throw new OAuthError("invalid_request", 900144, "The request has no device_code.");
  const { code, username } = context.deviceCodes.poll(text, app.clientId);
  const person = context.directory.person(username);
  if (person === undefined) throw new OAuthError("invalid_grant", 50034, "The user does not exist.");
  const tenant = targetTenant(context, segment, person, person.home);
  const granted = authorizeScopes(context, person, code.scopes, param(params, "claims") ?? code.claims);
  const grant = context.grants.open({ clientId: app.clientId, person, tenant, scopes: code.scopes });
  context.deviceCodes.close(text);
  return {
    body: userTokenAnswer(context, { grant, tenant, app, granted, claims: code.claims }),
    tenant,
    grantId: grant.id,
  };
};
