/** One spelling of every cloud, so that one account is filed once. Applied on load and on import. */
import { canonicalEnvironment } from "./cloud-aliases.ts";
import { seconds, withoutCollisions } from "./collisions.ts";
import type {
  AccessTokenEntity,
  AccountEntity,
  AppMetadataEntity,
  CacheBlob,
  CredentialEntity,
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
  const credential = (key: string, before: CredentialEntity, now: CredentialEntity): string =>
    storedCredentialKey(key, before, now);
  const next: CacheBlob = {
    ...blob,
    Account: rekeyed<AccountEntity>(blob.Account, (_key, _before, now) => accountKey(now)),
    IdToken: rekeyed(blob.IdToken, credential),
    AccessToken: rekeyed(notFromTheFuture(blob.AccessToken, nowSeconds), credential, laterCached),
    RefreshToken: rekeyed(blob.RefreshToken, refreshTokenKey),
    AppMetadata: rekeyed<AppMetadataEntity>(blob.AppMetadata, (_key, _before, now) => appMetadataKey(now)),
  };
  const changed = Object.keys(next).some((section) => next[section] !== blob[section]);
  return withoutCollisions(changed ? next : blob);
}

function rekeyed<E extends { readonly environment: string }>(
  section: Readonly<Record<string, E>>,
  keyOf: (key: string, before: E, now: E) => string,
  replaces: (candidate: E, kept: E) => boolean = () => false,
): Readonly<Record<string, E>> {
  const result = new Map<string, E>();
  let changed = false;
  for (const [key, before] of Object.entries(section)) {
    const environment = canonicalEnvironment(before.environment);
    const now = environment === before.environment ? before : { ...before, environment };
    const newKey = keyOf(key, before, now);
    if (now !== before || newKey !== key) changed = true;
    const kept = result.get(newKey);
    if (kept === undefined || replaces(now, kept)) result.set(newKey, now);
  }
  return changed ? Object.fromEntries(result) : section;
}

/**
 * MSAL Node files a refresh token without scopes, MSAL Python with them. Left there, Python's would stay beside
 * every newer one, and be redeemed before it.
 */
function refreshTokenKey(key: string, before: RefreshTokenEntity, now: RefreshTokenEntity): string {
  const { target: _target, ...withoutScopes } = now;
  return storedCredentialKey(key, before, withoutScopes);
}

function laterCached(candidate: AccessTokenEntity, kept: AccessTokenEntity): boolean {
  return seconds(candidate.cached_at) > seconds(kept.cached_at);
}

function notFromTheFuture(tokens: CacheBlob["AccessToken"], nowSeconds: number): CacheBlob["AccessToken"] {
  const isFuture = (token: AccessTokenEntity): boolean => seconds(token.cached_at) > nowSeconds;
  if (!Object.values(tokens).some(isFuture)) return tokens;
  return Object.fromEntries(
    Object.entries(tokens).map(([key, token]) => [
      key,
      isFuture(token) ? { ...token, cached_at: String(nowSeconds) } : token,
    ]),
  );
}
