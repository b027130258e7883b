/** MSAL's scope rules (`msal-common/src/request/ScopeSet.ts`, 16.16) as functions of plain values. */

const DEFAULT_OIDC_SCOPES: readonly string[] = Object.freeze(["openid", "profile", "offline_access"]);
const OIDC_SCOPES: readonly string[] = Object.freeze([...DEFAULT_OIDC_SCOPES, "email"]);
const OFFLINE: readonly string[] = Object.freeze(["offline_access"]);

/**
 * The scopes that MSAL looks for: without the OpenID Connect ones, unless there are no others; then
 * without `offline_access`. No scopes at all stand for the OpenID Connect defaults.
 *
 * Empty if every entry is blank; MSAL refuses such a request.
 */
export function searchScopes(scopes: readonly string[]): string[] {
  const set = distinct(scopes.length > 0 ? scopes : DEFAULT_OIDC_SCOPES);
  for (const scope of onlyOidc(set) ? OFFLINE : OIDC_SCOPES) set.delete(scope);
  return [...set];
}

/** The scopes a silent or on-behalf-of request searches for: MSAL adds the OpenID Connect defaults first. */
export function userSearchScopes(requested: readonly string[]): string[] {
  return searchScopes([...requested, ...DEFAULT_OIDC_SCOPES]);
}

/** The scopes a client credentials request searches for: MSAL takes the OpenID Connect defaults away first. */
export function appSearchScopes(requested: readonly string[]): string[] {
  const scopes = requested.filter((scope) => !DEFAULT_OIDC_SCOPES.includes(scope));
  return scopes.length === 0 ? [] : searchScopes(scopes);
}

/** True if a token with this `target` (scopes, separated by spaces) covers all wanted scopes, in any case. */
export function targetContains(target: string, wanted: readonly string[]): boolean {
  if (wanted.length === 0) return false;
  // Most tokens are for one scope, and no set is needed to see that it is another.
  if (!target.includes(" ")) {
    const scope = target.trim().toLowerCase();
    return scope !== "" && wanted.length === 1 && scope === wanted[0]?.toLowerCase();
  }
  const granted = distinct(target.split(" "));
  // MSAL compares the sizes before it folds case.
  if (granted.size < wanted.length) return false;
  const folded = foldedOf(granted);
  return wanted.every((scope) => folded.has(scope.toLowerCase()));
}

/**
 * True if saving a token with target `saved` makes MSAL delete one with target `older` (all else equal).
 *
 * Not symmetric: OpenID Connect scopes of `saved` count only if it has no others. So a token for
 * "openid profile" displaces one for "mail.read openid", which does not displace the former.
 */
export function displaces(saved: string, older: string): boolean {
  return displacesScopes(targetScopes(saved), targetScopes(older));
}

/** A `target`, prepared for many comparisons by {@link displacesScopes}. */
export interface TargetScopes {
  /** How many distinct scopes, and the same in lower case. */
  readonly size: number;
  readonly folded: ReadonlySet<string>;
  /** What counts when this target is the one being saved. */
  readonly savedSize: number;
  readonly savedFolded: ReadonlySet<string>;
}

export function targetScopes(target: string): TargetScopes {
  const all = distinct(target.split(" "));
  const { size } = all;
  const folded = foldedOf(all);
  if (!onlyOidc(all)) for (const scope of OIDC_SCOPES) all.delete(scope);
  const isWhole = all.size === size;
  return { size, folded, savedSize: all.size, savedFolded: isWhole ? folded : foldedOf(all) };
}

/** {@link displaces} for prepared targets. */
export function displacesScopes(saved: TargetScopes, older: TargetScopes): boolean {
  // As in MSAL a scope that occurs in two spellings makes the union smaller, and so counts as shared.
  let union = older.folded.size;
  for (const scope of saved.savedFolded) if (!older.folded.has(scope)) union += 1;
  return union < saved.savedSize + older.size;
}

function distinct(scopes: readonly string[]): Set<string> {
  const set = new Set<string>();
  for (const scope of scopes) set.add(scope.trim());
  set.delete("");
  return set;
}

function foldedOf(scopes: ReadonlySet<string>): Set<string> {
  const folded = new Set<string>();
  for (const scope of scopes) folded.add(scope.toLowerCase());
  return folded;
}

function onlyOidc(scopes: ReadonlySet<string>): boolean {
  for (const scope of scopes) if (!OIDC_SCOPES.includes(scope.toLowerCase())) return false;
  // As in MSAL a scope in two spellings is one too many.
  return foldedOf(scopes).size === scopes.size;
}
