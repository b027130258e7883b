/** One spelling of every cloud, so that one account is filed once. Applied on load and on import. */
import { canonicalEnvironment } from "./cloud-aliases.ts";
import { seconds, withoutCollisions } from "./collisions.ts";
import type {
  AccessTokenEntity,
  AccountEntity,
  AppMetadataEntity,
  CacheBlob,
  RefreshTokenEntity,
} from "./entities.ts";
import { accountKey, appMetadataKey, storedCredentialKey } from "./keys.ts";

export { canonicalEnvironment, environmentAliases, isKnownCloud, networkHost } from "./cloud-aliases.ts";

/**
 * The blob with each environment in its canonical spelling, each entry under the key that MSAL would save
 * it by, and no `cached_at` later than `nowSeconds` (MSAL discards a token from the future).
 *
 * Where two entries come to lie under one key, the access token with the later `cached_at` stays; of other
 * entries the first, which is the one MSAL would find. Access tokens that now collide are settled as
 * {@link withoutCollisions} says. Returns the same object if nothing changed.
 */
export function canonicalizeBlob(blob: CacheBlob, nowSeconds: number): CacheBlob {
  const Account = rekeyed<AccountEntity>(blob.Account, accountKeyOf);
  const IdToken = rekeyed(blob.IdToken, storedCredentialKey);
  const AccessToken = rekeyed(
    notFromTheFuture(blob.AccessToken, nowSeconds),
    storedCredentialKey,
    laterCached,
  );
  const RefreshToken = rekeyed(blob.RefreshToken, refreshTokenKey);
  const AppMetadata = rekeyed<AppMetadataEntity>(blob.AppMetadata, appMetadataKeyOf);
  const isSame =
    Account === blob.Account &&
    IdToken === blob.IdToken &&
    AccessToken === blob.AccessToken &&
    RefreshToken === blob.RefreshToken &&
    AppMetadata === blob.AppMetadata;
  return withoutCollisions(
    isSame ? blob : { ...blob, Account, IdToken, AccessToken, RefreshToken, AppMetadata },
  );
}

type KeyOf<E> = (key: string, before: E, now: E) => string;
type Section<E> = Readonly<Record<string, E>>;

function rekeyed<E extends { readonly environment: string }>(
  section: Section<E>,
  keyOf: KeyOf<E>,
  replaces: (candidate: E, kept: E) => boolean = () => false,
): Section<E> {
  // Mostly all is as it should be, and then nothing is made.
  for (const key of Object.keys(section)) {
    const entity = section[key] as E;
    if (inCanonicalSpelling(entity) === entity && keyOf(key, entity, entity) === key) continue;
    return rekeyedAll(section, keyOf, replaces);
  }
  return section;
}

function rekeyedAll<E extends { readonly environment: string }>(
  section: Section<E>,
  keyOf: KeyOf<E>,
  replaces: (candidate: E, kept: E) => boolean,
): Section<E> {
  const result = new Map<string, E>();
  for (const [key, before] of Object.entries(section)) {
    const now = inCanonicalSpelling(before);
    const newKey = keyOf(key, before, now);
    const kept = result.get(newKey);
    if (kept === undefined || replaces(now, kept)) result.set(newKey, now);
  }
  return Object.fromEntries(result);
}

function inCanonicalSpelling<E extends { readonly environment: string }>(entity: E): E {
  const environment = canonicalEnvironment(entity.environment);
  return environment === entity.environment ? entity : { ...entity, environment };
}

function accountKeyOf(_key: string, _before: AccountEntity, now: AccountEntity): string {
  return accountKey(now);
}

function appMetadataKeyOf(_key: string, _before: AppMetadataEntity, now: AppMetadataEntity): string {
  return appMetadataKey(now);
}

/**
 * MSAL Node files a refresh token without scopes, MSAL Python with them. Left there, Python's would stay beside
 * every newer one, and be redeemed before it.
 */
function refreshTokenKey(key: string, before: RefreshTokenEntity, now: RefreshTokenEntity): string {
  if (now.target === undefined) return storedCredentialKey(key, before, now);
  const { target: _target, ...withoutScopes } = now;
  return storedCredentialKey(key, before, withoutScopes);
}

function laterCached(candidate: AccessTokenEntity, kept: AccessTokenEntity): boolean {
  return seconds(candidate.cached_at) > seconds(kept.cached_at);
}

function notFromTheFuture(tokens: CacheBlob["AccessToken"], nowSeconds: number): CacheBlob["AccessToken"] {
  const isFuture = (token: AccessTokenEntity): boolean => seconds(token.cached_at) > nowSeconds;
  if (!Object.keys(tokens).some((key) => isFuture(tokens[key] as AccessTokenEntity))) return tokens;
  return Object.fromEntries(
    Object.entries(tokens).map(([key, token]) => [
      key,
      isFuture(token) ? { ...token, cached_at: String(nowSeconds) } : token,
    ]),
  );
}
