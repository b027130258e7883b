/**
 * Merging two concurrent changes of one blob.
 *
 * Starts from theirs and applies what mine added or changed since base. What mine lacks is *not* removed:
 * MSAL's memory may lack an entry for many reasons. Only a declared removal removes, and an access token
 * of the change displaces others by MSAL's own rule.
 */
import { mergeAccessTokens, type Preference } from "./merge-access-tokens.ts";
import { mergeAccounts, mergeAppMetadata, mergeCredentials, type Sides } from "./merge-entities.ts";
import { withoutCollisions } from "./collisions.ts";
import { SECTIONS, type CacheBlob, type SectionName } from "./entities.ts";
import { mergeJson, own, type JsonObject } from "./json.ts";
import {
  compareProvenance,
  fingerprint,
  highestGrant,
  originOf,
  provenanceOf,
  type Provenance,
} from "./provenance.ts";

/** An entry that an operation removed on purpose. */
export interface Removal {
  readonly section: SectionName;
  readonly key: string;
  /**
   * Removes the entry only while its secret has this `fingerprint`: for a refresh token that the provider
   * rejected, which another node may have replaced meanwhile. Without it the entry goes, whatever it is.
   */
  readonly ifFingerprint?: string;
}

export interface MergeInput {
  /** What the operation began with. */
  readonly base: CacheBlob;
  /** What it ended with. */
  readonly mine: CacheBlob;
  /** What is stored now. */
  readonly theirs: CacheBlob;
  /** The origins of mine's refresh tokens (after this operation) and of theirs. */
  readonly provenance: { readonly mine: Provenance; readonly theirs: Provenance };
  readonly removals?: readonly Removal[];
  /** The operation answered a claims challenge: between equals its access token wins, whatever its expiry. */
  readonly strengthens?: boolean;
}

export interface MergeResult {
  readonly blob: CacheBlob;
  readonly provenance: Provenance;
}

/**
 * The three-way merge. Pure; the blobs are expected as `canonicalizeBlob` leaves them.
 *
 * Where both sides changed the same thing: of refresh tokens the higher grant stays, then the higher
 * generation, then theirs. Of access tokens that displace each other, and of id tokens, those of the side
 * with the higher grant stay; between equal grants my id token, and of access tokens mine if it
 * `strengthens`, else the later `expires_on`, then mine. Accounts, app metadata and everything unknown are
 * united field by field, mine over theirs where both changed.
 *
 * Merging the result with the same change again changes nothing. The result never holds two access tokens
 * that collide (see `withoutCollisions`); the losers of a collision inside one side are dropped first.
 */
export function mergeBlobs(input: MergeInput): MergeResult {
  const base = input.base;
  const mine = withoutCollisions(input.mine);
  const theirs = withoutCollisions(withoutRemoved(input.theirs, input.removals ?? []));
  const { provenance } = input;
  const sides = <S extends SectionName>(section: S): Sides<CacheBlob[S]> => ({
    base: base[section],
    mine: mine[section],
    theirs: theirs[section],
  });
  const RefreshToken = mergeCredentials(
    "RefreshToken",
    sides("RefreshToken"),
    (my, their) =>
      compareProvenance(originOf(provenance.mine, my.secret), originOf(provenance.theirs, their.secret)) > 0,
  );
  const preference: Preference = {
    grants: highestGrant(provenanceOf(mine, provenance.mine)) - theirGrant(theirs, RefreshToken, provenance),
    strengthens: input.strengthens ?? false,
  };
  const blob: CacheBlob = {
    ...foreignSections({ base, mine, theirs }),
    Account: mergeAccounts(sides("Account")),
    IdToken: mergeCredentials("IdToken", sides("IdToken"), () => preference.grants >= 0),
    AccessToken: mergeAccessTokens(sides("AccessToken"), preference),
    RefreshToken,
    AppMetadata: mergeAppMetadata(sides("AppMetadata")),
  };
  return { blob, provenance: provenanceOf(blob, provenance.mine, provenance.theirs) };
}

/**
 * The highest grant of theirs. A refresh token of theirs that mine replaced counts for no more than its
 * replacement: else it would weigh once and, gone from the result, no more when the change is merged again.
 */
function theirGrant(
  theirs: CacheBlob,
  merged: CacheBlob["RefreshToken"],
  provenance: MergeInput["provenance"],
): number {
  const grants = Object.entries(theirs.RefreshToken).map(([key, { secret }]) => {
    const grant = originOf(provenance.theirs, secret)?.grant ?? 0;
    const stays = merged[key]?.secret ?? secret;
    return stays === secret ? grant : Math.min(grant, originOf(provenance.mine, stays)?.grant ?? 0);
  });
  return Math.max(0, ...grants);
}

function withoutRemoved(blob: CacheBlob, removals: readonly Removal[]): CacheBlob {
  const hit = removals.filter(({ section, key, ifFingerprint }) => {
    const entity = own<JsonObject>(blob[section], key);
    if (entity === undefined || ifFingerprint === undefined) return entity !== undefined;
    const secret = entity["secret"];
    return typeof secret === "string" && fingerprint(secret) === ifFingerprint;
  });
  return hit.reduce(
    (rest, { section, key }) => ({
      ...rest,
      [section]: Object.fromEntries(Object.entries(rest[section]).filter(([name]) => name !== key)),
    }),
    blob,
  );
}

function isForeign(name: string): boolean {
  return !SECTIONS.includes(name as SectionName);
}

function foreignSections({ base, mine, theirs }: Sides<CacheBlob>): Record<string, unknown> {
  const merged: Record<string, unknown> = {};
  for (const name of new Set([...Object.keys(theirs), ...Object.keys(mine)].filter(isForeign))) {
    const value = mergeJson(own(base, name), own(mine, name), own(theirs, name));
    if (value !== undefined) merged[name] = value;
  }
  return merged;
}
