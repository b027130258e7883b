/**
 * Finding entries as MSAL Node 7.2 finds them (`msal-common/src/cache/CacheManager.ts`, 16.16).
 *
 * The promise is one-sided: what is found here, MSAL would have found in the same blob. A miss is always
 * allowed, and each place where this file misses more than MSAL says so.
 */
import { canonicalEnvironment } from "./cloud-aliases.ts";
import { seconds } from "./collisions.ts";
import type {
  AccessTokenEntity,
  AccountEntity,
  CacheBlob,
  CredentialEntity,
  IdTokenEntity,
  RefreshTokenEntity,
} from "./entities.ts";
import { hasKeyComponents } from "./keys.ts";
import { appSearchScopes, targetContains, userSearchScopes } from "./scopes.ts";

/** The present in MSAL's whole seconds (`TimeUtils.nowSeconds`): rounded, so up to half a second ahead. */
export function nowSeconds(ms: number): number {
  return Math.round(ms / 1000);
}

/** A search for one Bearer access token. */
export interface AccessTokenQuery {
  /**
   * Compared exactly. "" asks for the application's own tokens (client credentials). May be left out
   * together with a `userAssertionHash` only.
   */
  readonly homeAccountId?: string;
  /** The spellings of the environment that MSAL would accept: `environmentAliases(host)`. */
  readonly environments: readonly string[];
  readonly clientId: string;
  /** The tenant; any case. "" accepts every tenant, as in MSAL. */
  readonly realm: string;
  /** The scopes as the application asked for them. */
  readonly scopes: readonly string[];
  /** On-behalf-of: the hash of the incoming assertion. */
  readonly userAssertionHash?: string;
  /** The request's `resource`; the token must have been acquired for the same. */
  readonly resource?: string | undefined;
  /** The present, from {@link nowSeconds}. */
  readonly nowSeconds: number;
  /** How long before its expiry a token counts as expired, in seconds; 300 in MSAL Node. */
  readonly renewalOffsetSeconds: number;
}

/** The outcome of {@link findAccessToken}. */
export type AccessTokenLookup =
  | {
      readonly found: true;
      readonly key: string;
      readonly token: AccessTokenEntity;
      /** MSAL would answer this token and refresh it ahead of time. */
      readonly pastRefreshOn: boolean;
    }
  | {
      readonly found: false;
      readonly reason: "none" | "ambiguous" | "expired" | "resource";
      /** With "expired": the one matching token; it may be served until its own `expires_on`. */
      readonly expired?: AccessTokenEntity;
    };

const NONE: AccessTokenLookup = Object.freeze({ found: false, reason: "none" });
const AMBIGUOUS: AccessTokenLookup = Object.freeze({ found: false, reason: "ambiguous" });

/**
 * The access token MSAL would answer to a silent, client credentials or on-behalf-of request without
 * `claims` and `forceRefresh`.
 *
 * Misses more than MSAL: tokens with additional cache key components or another scheme than Bearer never
 * match; a token from the future is expired for every kind of request.
 */
export function findAccessToken(blob: CacheBlob, query: AccessTokenQuery): AccessTokenLookup {
  const wanted = query.homeAccountId === "" ? appSearchScopes(query.scopes) : userSearchScopes(query.scopes);
  // Without an owner of any kind the search would find somebody's token, whoever's it is.
  if (wanted.length === 0 || (query.homeAccountId === undefined && !query.userAssertionHash)) return NONE;
  const needles = keyNeedles(query, wanted);
  let key: string | undefined;
  for (const candidate of Object.keys(blob.AccessToken)) {
    const token = blob.AccessToken[candidate] as AccessTokenEntity;
    if (!matchesToken(candidate, token, query, wanted, needles)) continue;
    if (key !== undefined) return AMBIGUOUS;
    key = candidate;
  }
  if (key === undefined || isShadowed(blob, key)) return NONE;
  return judge(key, blob.AccessToken[key] as AccessTokenEntity, query);
}

function matchesToken(
  key: string,
  token: AccessTokenEntity,
  query: AccessTokenQuery,
  wanted: readonly string[],
  needles: readonly string[],
): boolean {
  // MSAL requires all of them, so the order is free. The scopes first: they tell one account's tokens apart.
  return (
    targetContains(token.target, wanted) &&
    token.client_id === query.clientId &&
    token.credential_type === "AccessToken" &&
    // MSAL's on-behalf-of search goes by the assertion alone, so a second match there is ambiguous.
    (query.userAssertionHash ? token.userAssertionHash === query.userAssertionHash : isOwned(token, query)) &&
    !hasKeyComponents(token) &&
    keyIncludes(key, needles)
  );
}

function isOwned(token: AccessTokenEntity, query: AccessTokenQuery): boolean {
  return (
    (query.homeAccountId === undefined || token.home_account_id === query.homeAccountId) &&
    query.environments.includes(token.environment) &&
    sameRealm(token.realm, query.realm)
  );
}

function judge(key: string, token: AccessTokenEntity, query: AccessTokenQuery): AccessTokenLookup {
  const isBearer = token.token_type === undefined || token.token_type.toLowerCase() === "bearer";
  if (!isBearer || !isOwned(token, query)) return NONE;
  // The clock was turned back: then nothing is known about the real expiry either.
  if (seconds(token.cached_at) > query.nowSeconds) return { found: false, reason: "expired" };
  const isOtherResource = Boolean(query.resource) && token.resource !== query.resource;
  if (query.nowSeconds + query.renewalOffsetSeconds > seconds(token.expires_on)) {
    return { found: false, reason: "expired", ...(isOtherResource ? {} : { expired: token }) };
  }
  if (isOtherResource) return { found: false, reason: "resource" };
  // MSAL does not look at refresh_on when the request names a resource.
  const pastRefreshOn =
    !query.resource && Boolean(token.refresh_on) && query.nowSeconds > seconds(token.refresh_on);
  return { found: true, key, token, pastRefreshOn };
}

/** A search for what belongs to one account of one client. */
export interface CredentialQuery {
  readonly homeAccountId: string;
  /** As in {@link AccessTokenQuery.environments}. */
  readonly environments: readonly string[];
  readonly clientId: string;
}

/** The account's id token for that tenant; undefined if there is none or, as MSAL discards them, several. */
export function findIdToken(
  blob: CacheBlob,
  query: CredentialQuery & { readonly realm: string },
): IdTokenEntity | undefined {
  const needles = [query.clientId.toLowerCase(), query.homeAccountId.toLowerCase()];
  let match: IdTokenEntity | undefined;
  for (const key of Object.keys(blob.IdToken)) {
    const token = blob.IdToken[key] as IdTokenEntity;
    const isMatch =
      token.credential_type === "IdToken" &&
      matchesCredential(token, query) &&
      sameRealm(token.realm, query.realm) &&
      keyIncludes(key, needles);
    if (!isMatch) continue;
    if (match) return undefined;
    match = token;
  }
  return match;
}

/**
 * The refresh token MSAL would redeem: for a client of a family (its AppMetadata says so) the family's,
 * else the client's own; of several the first.
 */
export function findRefreshToken(
  blob: CacheBlob,
  query: CredentialQuery,
): { readonly key: string; readonly token: RefreshTokenEntity } | undefined {
  const isFamily = Object.values(blob.AppMetadata).some(
    (app) =>
      app.client_id === query.clientId &&
      app.family_id === FAMILY_ID &&
      query.environments.includes(app.environment),
  );
  return (isFamily ? firstRefreshToken(blob, query, FAMILY_ID) : undefined) ?? firstRefreshToken(blob, query);
}

/** The account with exactly this id, under any spelling of the environment. */
export function findAccount(
  blob: CacheBlob,
  homeAccountId: string,
  environment: string,
): AccountEntity | undefined {
  const canonical = canonicalEnvironment(environment);
  return accountsOf(blob).find(
    (account) =>
      account.home_account_id === homeAccountId && canonicalEnvironment(account.environment) === canonical,
  );
}

/** All accounts, in the blob's order. */
export function accountsOf(blob: CacheBlob): AccountEntity[] {
  return Object.values(blob.Account);
}

/** The only family of clients there is (MSAL: `THE_FAMILY_ID`). */
const FAMILY_ID = "1";

function firstRefreshToken(
  blob: CacheBlob,
  query: CredentialQuery,
  family?: string,
): { key: string; token: RefreshTokenEntity } | undefined {
  const needles = [(family ?? query.clientId).toLowerCase(), query.homeAccountId.toLowerCase()];
  const match = Object.entries(blob.RefreshToken).find(
    ([key, token]) =>
      token.credential_type === "RefreshToken" &&
      matchesCredential(token, query) &&
      (family === undefined || token.family_id === family) &&
      keyIncludes(key, needles),
  );
  return match && { key: match[0], token: match[1] };
}

function matchesCredential(entity: CredentialEntity, query: CredentialQuery): boolean {
  return (
    entity.client_id === query.clientId &&
    entity.home_account_id === query.homeAccountId &&
    query.environments.includes(entity.environment)
  );
}

function sameRealm(realm: string, wanted: string): boolean {
  return wanted === "" || realm === wanted || realm.toLowerCase() === wanted.toLowerCase();
}

/** MSAL reads an entity only if its key mentions what is searched for, so we must not find it otherwise. */
function keyNeedles(query: AccessTokenQuery, wanted: readonly string[]): string[] {
  const owner = query.userAssertionHash ? [] : [query.homeAccountId ?? "", query.realm];
  return [...wanted, ...owner, query.clientId].map((part) => part.toLowerCase());
}

function keyIncludes(key: string, needles: readonly string[]): boolean {
  const folded = key.toLowerCase();
  for (const needle of needles) if (!folded.includes(needle)) return false;
  return true;
}

/** MSAL's memory is one flat map: an entity of a section loaded later hides this one. */
function isShadowed(blob: CacheBlob, key: string): boolean {
  return Object.hasOwn(blob.RefreshToken, key) || Object.hasOwn(blob.AppMetadata, key);
}
