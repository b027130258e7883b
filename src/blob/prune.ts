/** What a blob still needs, and until when. */
import { seconds } from "./collisions.ts";
import type { CacheBlob } from "./entities.ts";

/**
 * The blob without the access tokens whose `expires_on` has passed. MSAL's early renewal margin plays no
 * part: until its real expiry a token may still be served while the identity provider is down. Accounts,
 * id tokens and refresh tokens stay. Returns the same object if nothing was dropped.
 */
export function pruneBlob(blob: CacheBlob, nowSeconds: number): CacheBlob {
  const entries = Object.entries(blob.AccessToken);
  const alive = entries.filter(([, token]) => seconds(token.expires_on) > nowSeconds);
  return alive.length === entries.length ? blob : { ...blob, AccessToken: Object.fromEntries(alive) };
}

/** The latest `expires_on` of all access tokens, in seconds since the epoch; undefined if there are none. */
export function lastExpiry(blob: CacheBlob): number | undefined {
  const expiries = Object.values(blob.AccessToken).map((token) => seconds(token.expires_on));
  return expiries.length === 0 ? undefined : Math.max(...expiries);
}
