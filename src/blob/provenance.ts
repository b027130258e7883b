/**
 * Where a refresh token comes from: which sign-in, and how many refreshes after it.
 *
 * Which of two refresh tokens is the newer is decided by this and never by a clock. Kept in the record,
 * beside the blob, under a hash of the token.
 */
import { hash } from "node:crypto";
import type { CacheBlob } from "./entities.ts";
import { own } from "./json.ts";

/** `grant` grows with each sign-in of a partition, `generation` with each refresh after it. */
export interface Origin {
  readonly grant: number;
  readonly generation: number;
}

/** Origins by {@link fingerprint} of the refresh token. A token without an entry is older than any with one. */
export type Provenance = Readonly<Record<string, Origin>>;

/** SHA-256 of a secret, the first 128 bits, base64url (22 characters). Tells tokens apart, reveals none. */
export function fingerprint(secret: string): string {
  return hash("sha256", secret, "buffer").subarray(0, 16).toString("base64url");
}

/** The highest grant of all entries; 0 if there are none. */
export function highestGrant(provenance: Provenance): number {
  return Object.values(provenance).reduce((highest, { grant }) => Math.max(highest, grant), 0);
}

/** Negative if `a` is the older, positive if the newer, 0 if they cannot be told apart. */
export function compareProvenance(a: Origin | undefined, b: Origin | undefined): number {
  const [x, y] = [a ?? UNKNOWN, b ?? UNKNOWN];
  return x.grant - y.grant || x.generation - y.generation;
}

/** The entry of a refresh token, if it has one. */
export function originOf(provenance: Provenance, secret: string): Origin | undefined {
  return own(provenance, fingerprint(secret));
}

/** The entries of those refresh tokens that the blob holds; of two the newer. */
export function provenanceOf(blob: CacheBlob, ...known: readonly Provenance[]): Provenance {
  return assign(blob, (name) =>
    known
      .map((provenance) => own(provenance, name))
      .toSorted((a, b) => compareProvenance(b, a))
      .at(0),
  );
}

/**
 * After a sign-in (code, device code, on-behalf-of, import): each refresh token that is neither in `base`
 * nor in `known` gets the next grant.
 *
 * @param change.base what the operation began with; an empty blob for a scratch client
 * @param change.mine what it ended with
 * @param change.known the provenance of what the store holds *now*: after a conflict call this again
 */
export function provenanceAfterSignIn(change: BlobChange): Provenance {
  const before = new Set(Object.values(change.base.RefreshToken).map((token) => token.secret));
  const next: Origin = { grant: highestGrant(change.known) + 1, generation: 0 };
  return assign(change.mine, (name, secret) => {
    // Known already: our own earlier attempt had been stored although its answer was lost.
    const known = own(change.known, name);
    return known ?? (before.has(secret) ? undefined : next);
  });
}

/**
 * After a refresh: a refresh token that replaced one of `base` under the same key has that one's grant and
 * the next generation. One that replaced nothing has the highest known grant (at least 1), generation 0.
 *
 * @param change.known the provenance that belongs to `base`
 */
export function provenanceAfterRefresh(change: BlobChange): Provenance {
  const fresh: Origin = { grant: Math.max(1, highestGrant(change.known)), generation: 0 };
  return assign(change.mine, (name, secret, key) => {
    const known = own(change.known, name);
    const replaced = own(change.base.RefreshToken, key);
    if (known !== undefined || replaced?.secret === secret) return known;
    if (replaced === undefined) return fresh;
    const { grant, generation } = originOf(change.known, replaced.secret) ?? UNKNOWN;
    return { grant, generation: generation + 1 };
  });
}

/** One operation's effect on a blob, and the origins known to whoever judges it. */
export interface BlobChange {
  readonly base: CacheBlob;
  readonly mine: CacheBlob;
  readonly known: Provenance;
}

const UNKNOWN: Origin = Object.freeze({ grant: 0, generation: 0 });

/** `name` is the secret's {@link fingerprint}. */
type OriginOf = (name: string, secret: string, key: string) => Origin | undefined;

function assign(blob: CacheBlob, origin: OriginOf): Provenance {
  const result: Record<string, Origin> = {};
  for (const [key, { secret }] of Object.entries(blob.RefreshToken)) {
    const name = fingerprint(secret);
    const entry = origin(name, secret, key);
    if (entry !== undefined && compareProvenance(entry, result[name]) >= 0) result[name] = entry;
  }
  return result;
}
