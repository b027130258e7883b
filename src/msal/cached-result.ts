/** MSAL's `AuthenticationResult`, made from a record without entering MSAL (msal-common 16.16.1). */
import { findAccount, findIdToken } from "../blob/lookup.ts";
import { environmentAliases } from "../blob/environments.ts";
import type { AccessTokenEntity, AccountEntity, CacheBlob } from "../blob/entities.ts";
import type { AccountInfo, AuthenticationResult } from "./types.ts";

type IdTokenClaims = NonNullable<AccountInfo["idTokenClaims"]>;
type TenantProfiles = NonNullable<AccountInfo["tenantProfiles"]>;
type TenantProfile = TenantProfiles extends Map<string, infer P> ? P : never;

/** Whose result it is; absent for the application's own tokens. */
export interface ResultOwner {
  readonly homeAccountId: string;
  readonly environment: string;
  readonly realm: string;
}

/** The part of a result that all answers from one record share: frozen, decoded once. */
export interface ResultIdentity {
  readonly account: AccountInfo | null;
  readonly idToken: string;
  readonly idTokenClaims: IdTokenClaims;
  readonly uniqueId: string;
  readonly tenantId: string;
}

const NOBODY: ResultIdentity = Object.freeze({
  account: null,
  idToken: "",
  idTokenClaims: Object.freeze({}),
  uniqueId: "",
  tenantId: "",
});

/**
 * Account and id token of a result, as `ResponseHandler.generateAuthenticationResult` puts them together.
 * Undefined where the id token cannot be read: MSAL answers with an error then.
 */
export function resultIdentity(
  blob: CacheBlob,
  clientId: string,
  owner: ResultOwner | undefined,
): ResultIdentity | undefined {
  if (!owner) return NOBODY;
  const { homeAccountId, environment, realm } = owner;
  const environments = environmentAliases(environment);
  const idToken = findIdToken(blob, { homeAccountId, environments, clientId, realm })?.secret ?? "";
  const claims = decodeClaims(idToken);
  if (idToken !== "" && !claims) return undefined;
  const entity = findAccount(blob, homeAccountId, environment);
  return Object.freeze({
    account: entity ? Object.freeze(accountInfo(entity, claims, idToken)) : null,
    idToken,
    idTokenClaims: Object.freeze(claims ?? {}),
    uniqueId: claims?.oid ?? claims?.sub ?? "",
    tenantId: claims?.tid ?? "",
  });
}

/** What the results for one access token have in common, read once. Times in seconds since the epoch. */
export interface ResultToken extends ResultIdentity {
  readonly accessToken: string;
  readonly scopes: readonly string[];
  readonly tokenType: string;
  readonly expiresOn: number;
  /** Undefined for an entry without one. */
  readonly extExpiresOn: number | undefined;
  readonly refreshOn: number | undefined;
}

export function resultToken(
  identity: ResultIdentity,
  token: AccessTokenEntity,
  scopes: readonly string[],
): ResultToken {
  return {
    ...identity,
    accessToken: token.secret,
    scopes,
    tokenType: token.token_type ?? "",
    expiresOn: Number(token.expires_on),
    extExpiresOn: token.extended_expires_on ? Number(token.extended_expires_on) : undefined,
    refreshOn: token.refresh_on ? Number(token.refresh_on) : undefined,
  };
}

/** What one answer says besides its token. */
export interface ResultContext<M extends object> {
  readonly authority: string;
  readonly correlationId: string;
  /** The present: MSAL reads a missing time as now (`TimeUtils.toDateFromSeconds`). */
  readonly nowMs: number;
  readonly metadata: M;
}

/** The result for one access token. `account`, `idTokenClaims` and `scopes` are shared and frozen. */
export function cachedResult<M extends object>(
  token: ResultToken,
  { authority, correlationId, nowMs, metadata }: ResultContext<M>,
): AuthenticationResult & { readonly metadata: M } {
  const { extExpiresOn, refreshOn } = token;
  const result: AuthenticationResult & { readonly metadata: M } = {
    authority,
    uniqueId: token.uniqueId,
    tenantId: token.tenantId,
    scopes: token.scopes as string[],
    account: token.account,
    idToken: token.idToken,
    idTokenClaims: token.idTokenClaims,
    accessToken: token.accessToken,
    fromCache: true,
    expiresOn: new Date(token.expiresOn * 1_000),
    extExpiresOn: new Date(extExpiresOn === undefined ? nowMs : extExpiresOn * 1_000),
    correlationId,
    requestId: "",
    familyId: "",
    tokenType: token.tokenType,
    state: "",
    cloudGraphHostName: "",
    msGraphHost: "",
    fromPlatformBroker: false,
    metadata,
  };
  // Not by a spread: that alone would cost a tenth of a hit.
  if (refreshOn !== undefined) result.refreshOn = new Date(refreshOn * 1_000);
  return result;
}

/** The account of a record as MSAL describes it, e.g. for `getAccountByHomeId`. */
export function accountInfo(
  entity: AccountEntity,
  claims: IdTokenClaims | undefined,
  idToken: string,
): AccountInfo {
  const profiles = tenantProfilesOf(entity);
  const home = profiles.get(entity.realm);
  const base: AccountInfo = {
    homeAccountId: entity.home_account_id,
    environment: entity.environment,
    tenantId: entity.realm,
    username: entity.username,
    localAccountId: entity.local_account_id,
    ...(entity.name !== undefined && { name: entity.name }),
    ...(home?.nativeAccountId !== undefined && { nativeAccountId: home.nativeAccountId }),
    authorityType: entity.authority_type,
    tenantProfiles: profiles,
  };
  if (!claims) return base;
  // Where there are claims, MSAL goes by them alone, also where they say nothing.
  const { name: _name, ...unnamed } = base;
  return { ...unnamed, ...claimsProfile(claims), idTokenClaims: claims, idToken, kmsi: isKmsi(claims) };
}

/** What the id token of a tenant says about the user there; see msal-common `buildTenantProfile`. */
function claimsProfile(claims: IdTokenClaims): Partial<AccountInfo> {
  const text = (name: string): string | undefined => (claims as Record<string, string | undefined>)[name];
  return {
    tenantId: text("tid") ?? text("tfp") ?? text("acr") ?? "",
    localAccountId: text("oid") ?? text("sub") ?? "",
    ...(text("name") !== undefined && { name: text("name") as string }),
    username: text("preferred_username") ?? text("upn") ?? "",
    ...(text("login_hint") !== undefined && { loginHint: text("login_hint") as string }),
    ...(text("upn") !== undefined && { upn: text("upn") as string }),
  };
}

function tenantProfilesOf(entity: AccountEntity): TenantProfiles {
  const profiles = (entity.tenantProfiles ?? []).map((text) => JSON.parse(text) as TenantProfile);
  if (profiles.length === 0 && entity.realm && entity.local_account_id) {
    profiles.push({
      tenantId: entity.realm,
      localAccountId: entity.local_account_id,
      username: "",
      isHomeTenant: entity.realm === entity.home_account_id.split(".")[1],
    });
  }
  return new Map(profiles.map((profile) => [profile.tenantId, profile]));
}

/** "Keep me signed in", by the claim values MSAL looks for (`AuthToken.isKmsi`). */
function isKmsi(claims: IdTokenClaims): boolean {
  const state = (claims as { signin_state?: unknown }).signin_state;
  return (
    Array.isArray(state) &&
    state.some((value) => ["kmsi", "dvc_dmjd"].includes(String(value).trim().toLowerCase()))
  );
}

/** The claims of an id token that this application was given itself over TLS; nobody's signature is checked. */
export function decodeClaims(jwt: string): IdTokenClaims | undefined {
  const payload = payloadOf(jwt);
  if (!payload) return undefined;
  try {
    const claims: unknown = JSON.parse(Buffer.from(payload, "base64url").toString("utf8"));
    return typeof claims === "object" && claims !== null ? (claims as IdTokenClaims) : undefined;
  } catch {
    return undefined;
  }
}

/** Of three parts without white space, of which the first and the last may be empty (`AuthToken.getJWSPayload`). */
function payloadOf(jwt: string): string | undefined {
  const from = jwt.indexOf(".") + 1;
  const to = jwt.indexOf(".", from);
  if (to <= from || jwt.includes(".", to + 1) || /\s/.test(jwt)) return undefined;
  return jwt.slice(from, to);
}
