/** What the authority demands at the moment: lifetimes, refresh token mode, consent and extra claims. */
import type { Person } from "./directory.ts";
import { OptionsError } from "../../errors.ts";
import type { Claims } from "./jwt.ts";
import { mergeLifetimes, type AuthorityLifetimes, type RefreshTokenMode } from "./options.ts";
import { consentName, expandScope, type AskedScope } from "./scopes.ts";

/** A demand for claims; see `requireClaims`. */
export interface ClaimsDemand {
  /** The JSON that the client must send back in its `claims` parameter. */
  readonly claims: string;
  /** `request`: any request that carries them will do; `sign-in`: only one with the user present. */
  readonly until: "request" | "sign-in";
}

/** The demands, changed by the controls and read by the endpoints. */
export interface Policy {
  readonly lifetimes: AuthorityLifetimes;
  readonly refreshTokens: RefreshTokenMode;
  readonly rollingGraceMs: number;
  setLifetimes(lifetimes: Partial<AuthorityLifetimes>): void;
  setRefreshTokens(mode: RefreshTokenMode, rollingGraceMs?: number): void;
  requireConsent(person: Person, scope: AskedScope): void;
  lacksConsent(person: Person, scope: AskedScope): boolean;
  /** The user agreed to these scopes on the page. */
  consent(person: Person, scopes: readonly AskedScope[]): void;
  requireClaims(person: Person, demand: ClaimsDemand): void;
  /** The demand that a request does not meet; one that is met is dropped. */
  unmetClaims(person: Person, requested: string | undefined, signingIn: boolean): string | undefined;
}

/** The policy of an authority that nobody has told anything yet. */
export function createPolicy(
  initialLifetimes: AuthorityLifetimes,
  initialMode: RefreshTokenMode,
  initialGraceMs: number,
): Policy {
  let lifetimes = initialLifetimes;
  let refreshTokens = initialMode;
  let rollingGraceMs = initialGraceMs;
  const consentDemands = new Set<string>();
  const claimsDemands = new Map<string, ClaimsDemand>();
  const consentKey = (person: Person, scope: AskedScope): string =>
    `${person.username} ${consentName(scope)}`;
  return {
    get lifetimes() {
      return lifetimes;
    },
    get refreshTokens() {
      return refreshTokens;
    },
    get rollingGraceMs() {
      return rollingGraceMs;
    },
    setLifetimes(overrides) {
      lifetimes = mergeLifetimes(lifetimes, overrides);
    },
    setRefreshTokens(mode, graceMs) {
      refreshTokens = mode;
      if (graceMs !== undefined) rollingGraceMs = graceMs;
    },
    requireConsent(person, scope) {
      for (const each of expandScope(scope)) consentDemands.add(consentKey(person, each));
    },
    lacksConsent: (person, scope) => consentDemands.has(consentKey(person, scope)),
    consent(person, scopes) {
      for (const scope of scopes.flatMap(expandScope)) consentDemands.delete(consentKey(person, scope));
    },
    requireClaims(person, demand) {
      if (parseClaims(demand.claims) === undefined) throw new OptionsError("claims", "must be a JSON object");
      claimsDemands.set(person.username, demand);
    },
    unmetClaims(person, requested, signingIn) {
      const demand = claimsDemands.get(person.username);
      if (demand === undefined) return undefined;
      const carried = contains(parseClaims(requested), parseClaims(demand.claims));
      if (!carried || (demand.until === "sign-in" && !signingIn)) return demand.claims;
      claimsDemands.delete(person.username);
      return undefined;
    },
  };
}

/** The `claims` request parameter as an object (OpenID Connect Core section 5.5). */
function parseClaims(claims: string | undefined): Claims | undefined {
  if (claims === undefined || claims === "") return undefined;
  try {
    const value: unknown = JSON.parse(claims);
    return typeof value === "object" && value !== null ? (value as Claims) : undefined;
  } catch {
    return undefined;
  }
}

/** Values asked for by `claims` for the access token: they are put into it, so that an API can see them. */
export function requestedTokenClaims(claims: string | undefined): Claims {
  const asked = parseClaims(claims)?.["access_token"];
  if (typeof asked !== "object" || asked === null) return {};
  const granted: Record<string, unknown> = {};
  for (const [name, wish] of Object.entries(asked as Claims)) {
    const values = wishedValues(wish);
    if (values !== undefined && STEP_UP_CLAIMS.has(name)) granted[name] = values;
  }
  return granted;
}

// Anything else asked for (`nbf`, an identity) would let a client write its own token.
const STEP_UP_CLAIMS: ReadonlySet<string> = new Set(["acrs", "amr", "xms_cc"]);

function wishedValues(wish: unknown): readonly unknown[] | undefined {
  if (typeof wish !== "object" || wish === null) return undefined;
  const { value, values } = wish as { readonly value?: unknown; readonly values?: unknown };
  if (Array.isArray(values)) return values;
  return value === undefined ? undefined : [value];
}

// MSAL adds client capabilities to the claims it was given, so the request may hold more than the demand.
function contains(whole: unknown, part: unknown): boolean {
  if (typeof part !== "object" || part === null) return whole === part;
  if (typeof whole !== "object" || whole === null) return false;
  return Object.entries(part).every(([key, value]) => contains((whole as Claims)[key], value));
}
