/**
 * Access tokens that must not lie side by side.
 *
 * MSAL saves an access token by deleting what it displaces, and counts on it ever after: two that satisfy
 * one search make a client credentials request fail with `multiple_matching_tokens` each time, and a
 * silent one throw both away.
 */
import { canonicalEnvironment } from "./cloud-aliases.ts";
import type { AccessTokenEntity, CacheBlob } from "./entities.ts";
import { displacesScopes, targetScopes, type TargetScopes } from "./scopes.ts";

/** An access token, to be compared with others. Most are compared with none: what that takes is made only then. */
export interface TokenSlot {
  readonly key: string;
  readonly token: AccessTokenEntity;
  /** See {@link ownerOf}. */
  owner: string | undefined;
  scopes: TargetScopes | undefined;
}

export function tokenSlots(tokens: CacheBlob["AccessToken"]): TokenSlot[] {
  return Object.entries(tokens).map(([key, token]) => ({ key, token, owner: undefined, scopes: undefined }));
}

/** MSAL's `saveAccessToken`: would saving the first delete the second? Not symmetric, see `displaces`. */
export function displacesSlot(saved: TokenSlot, older: TokenSlot): boolean {
  return ownerOf(saved) === ownerOf(older) && displacesScopes(scopesOf(saved), scopesOf(older));
}

/** True for two tokens that MSAL never keeps both, whichever comes first; so also for two under one key. */
export function collide(a: TokenSlot, b: TokenSlot): boolean {
  return a.key === b.key || (displacesSlot(a, b) && displacesSlot(b, a));
}

/** The blob without the losers among colliding access tokens: the later `expires_on` stays. */
export function withoutCollisions(blob: CacheBlob): CacheBlob {
  if (sharesNoScope(blob.AccessToken)) return blob;
  const slots = tokenSlots(blob.AccessToken);
  const kept: TokenSlot[] = [];
  for (const slot of slots.toSorted(laterFirst)) {
    if (!kept.some((other) => collide(slot, other))) kept.push(slot);
  }
  if (kept.length === slots.length) return blob;
  const keep = new Set(kept.map((slot) => slot.key));
  const AccessToken = Object.fromEntries(Object.entries(blob.AccessToken).filter(([key]) => keep.has(key)));
  return { ...blob, AccessToken };
}

/** No scope twice, in whatever spelling: then no token displaces another. Mostly so, and soon seen. */
function sharesNoScope(tokens: CacheBlob["AccessToken"]): boolean {
  const seen = new Set<string>();
  for (const key of Object.keys(tokens)) {
    for (const part of (tokens[key] as AccessTokenEntity).target.split(" ")) {
      const scope = part.trim().toLowerCase();
      if (seen.has(scope)) return false;
      if (scope !== "") seen.add(scope);
    }
  }
  return true;
}

/** A decimal time as MSAL reads it: what is not a number is 0. */
export function seconds(time: string | undefined): number {
  return Number(time) || 0;
}

function laterFirst(a: TokenSlot, b: TokenSlot): number {
  // The last two only make the choice the same on every node, whatever order the entries came in.
  return (
    seconds(b.token.expires_on) - seconds(a.token.expires_on) ||
    seconds(b.token.cached_at) - seconds(a.token.cached_at) ||
    (a.key < b.key ? -1 : 1)
  );
}

function scopesOf(slot: TokenSlot): TargetScopes {
  return (slot.scopes ??= targetScopes(slot.token.target));
}

/** Tokens of different owners never meet: account, cloud, client, tenant, kind, scheme, components. */
function ownerOf(slot: TokenSlot): string {
  return (slot.owner ??= ownerText(slot.token));
}

function ownerText(token: AccessTokenEntity): string {
  const kind = token.credential_type.toLowerCase();
  const components = Object.entries(token.additionalCacheKeyComponents ?? {}).toSorted(([a], [b]) =>
    a < b ? -1 : 1,
  );
  return JSON.stringify([
    token.home_account_id,
    canonicalEnvironment(token.environment),
    token.client_id,
    token.realm.toLowerCase(),
    kind,
    // MSAL looks at the scheme only of tokens that say they have one.
    kind === "accesstoken" ? "" : (token.token_type ?? "").toLowerCase(),
    components,
  ]);
}
