/** The tokens themselves, with the claims and about the size of Entra ID's. */
import { createHash } from "node:crypto";
import { randomId } from "../../runtime.ts";
import { issuerOf, type AuthorityContext } from "./context.ts";
import type { Person, Registration, Tenant } from "./directory.ts";
import type { Grant } from "./grants.ts";
import { signJwt, type Claims, type SigningKey } from "./jwt.ts";
import { guidFrom, type AuthorityResource } from "./options.ts";
import { requestedTokenClaims } from "./policy.ts";
import type { GrantedScopes } from "./scopes.ts";

/** For whom tokens are made. */
export interface UserTokenRequest {
  readonly grant: Grant;
  readonly tenant: Tenant;
  readonly app: Registration;
  readonly granted: GrantedScopes;
  readonly nonce?: string | undefined;
  readonly claims?: string | undefined;
}

/** Random bytes that bring an access token to the 1.5 to 2 KB that real ones have. */
const PADDING_BYTES = 330;

function signingKey(context: AuthorityContext): SigningKey {
  const [key] = context.signingKeys;
  if (key === undefined) throw new Error("the authority has no signing key");
  return key;
}

function issueJwt(context: AuthorityContext, claims: Claims): string {
  const token = signJwt(signingKey(context), claims);
  context.issued.add(token);
  return token;
}

const seconds = (milliseconds: number): number => Math.floor(milliseconds / 1000);

/** Another subject for each application, as OpenID Connect Core section 8.1 has it. */
const pairwiseSubject = (audience: string, oid: string): string =>
  createHash("sha256").update(`sub:${audience}:${oid}`).digest("base64url");

function timeClaims(context: AuthorityContext, lifetimeSeconds: number): Claims {
  const now = seconds(context.runtime.now());
  return { iat: now, nbf: now, exp: now + lifetimeSeconds };
}

const oidIn = (person: Person, tenant: Tenant): string => person.oids.get(tenant.tenantId) ?? person.oid;

function accessTokenBase(context: AuthorityContext, tenant: Tenant, app: Registration): Claims {
  return {
    iss: issuerOf(context, tenant.tenantId),
    ...timeClaims(context, context.policy.lifetimes.accessTokenSeconds),
    aio: Buffer.from(context.runtime.randomBytes(PADDING_BYTES)).toString("base64url"),
    azp: app.clientId,
    azpacr: app.isPublic ? "0" : "1",
    tid: tenant.tenantId,
    uti: randomId(context.runtime),
    ver: "2.0",
  };
}

/** A delegated access token. `sid` names the grant, so that an exchange can tell a revoked one. */
function issueUserAccessToken(context: AuthorityContext, request: UserTokenRequest): string {
  const { grant, tenant, app, granted } = request;
  const oid = oidIn(grant.person, tenant);
  return issueJwt(context, {
    aud: granted.resource.audience,
    ...accessTokenBase(context, tenant, app),
    name: grant.person.name,
    oid,
    preferred_username: grant.person.username,
    scp: granted.names.join(" "),
    sid: grant.id,
    sub: pairwiseSubject(granted.resource.audience, oid),
    ...requestedTokenClaims(request.claims),
  });
}

/** An app-only access token: roles, no scopes, no user. */
export function issueAppAccessToken(
  context: AuthorityContext,
  tenant: Tenant,
  app: Registration,
  resource: AuthorityResource,
  claims: string | undefined,
): string {
  const oid = guidFrom(`app:${app.clientId}:${tenant.tenantId}`);
  return issueJwt(context, {
    aud: resource.audience,
    ...accessTokenBase(context, tenant, app),
    idtyp: "app",
    oid,
    roles: app.roles ?? [],
    sub: oid,
    ...requestedTokenClaims(claims),
  });
}

function issueIdToken(context: AuthorityContext, request: UserTokenRequest): string {
  const { grant, tenant, app, granted } = request;
  const oid = oidIn(grant.person, tenant);
  const profile = { name: grant.person.name, preferred_username: grant.person.username };
  return issueJwt(context, {
    aud: app.clientId,
    iss: issuerOf(context, tenant.tenantId),
    ...timeClaims(context, context.policy.lifetimes.idTokenSeconds),
    oid,
    sub: pairwiseSubject(app.clientId, oid),
    tid: tenant.tenantId,
    uti: randomId(context.runtime),
    ver: "2.0",
    ...(granted.openid.has("profile") ? profile : {}),
    ...(granted.openid.has("email") ? { email: grant.person.username } : {}),
    ...(request.nonce === undefined ? {} : { nonce: request.nonce }),
  });
}

/** MSAL makes the home account id `uid.utid` of it; always the home tenant, also for guests. */
const clientInfoOf = (person: Person): string =>
  Buffer.from(JSON.stringify({ uid: person.oid, utid: person.home.tenantId })).toString("base64url");

/** The fields that every successful token answer has. */
export function answerBase(context: AuthorityContext): Claims {
  const { accessTokenSeconds, refreshInSeconds } = context.policy.lifetimes;
  return {
    token_type: "Bearer",
    expires_in: accessTokenSeconds,
    ext_expires_in: accessTokenSeconds,
    ...(refreshInSeconds === undefined ? {} : { refresh_in: refreshInSeconds }),
  };
}

/** The whole token answer of a delegated grant (RFC 6749 section 5.1, OpenID Connect Core 3.1.3.3). */
export function userTokenAnswer(context: AuthorityContext, request: UserTokenRequest): Claims {
  const { grant, granted } = request;
  const answer: Record<string, unknown> = {
    ...answerBase(context),
    scope: granted.answer.join(" "),
    access_token: issueUserAccessToken(context, request),
  };
  if (granted.openid.has("offline_access")) {
    const refreshToken = context.grants.issueRefreshToken(grant);
    context.issued.add(refreshToken);
    answer["refresh_token"] = refreshToken;
  }
  if (granted.openid.has("openid")) answer["id_token"] = issueIdToken(context, request);
  if (context.sendsClientInfo) answer["client_info"] = clientInfoOf(grant.person);
  return answer;
}
