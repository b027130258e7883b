/** How an API checks the access tokens it is given: what a demonstration API and its tests need. */
import { createPublicKey, type KeyObject } from "node:crypto";
import { OptionsError, TokenkeepError } from "../../errors.ts";
import { systemRuntime, type Runtime } from "../../runtime.ts";
import { decodeJwt, verifyRs256, type Claims, type Jwks } from "./jwt.ts";

/** What makes an access token acceptable. */
export interface AccessTokenVerifierOptions {
  /** The tokens' `iss`. `{tenantid}` in it stands for the token's own `tid`: any tenant of that authority. */
  readonly issuer: string;
  /** The tokens' `aud`. */
  readonly audience: string;
  /** A scope that `scp` must list. Default: none is asked for. */
  readonly requiredScope?: string;
  /** URL of the keys (`jwks_uri`), or a function that gives them. */
  readonly jwks: string | (() => Jwks | Promise<Jwks>);
  /** How long keys may be used without asking again, milliseconds. Default 86,400,000 (a day). */
  readonly jwksMaxAgeMs?: number;
  /** After a fetch, how long unknown key ids cause no other one, milliseconds. Default 10,000. */
  readonly jwksCooldownMs?: number;
  /** Tolerance for clocks that differ, seconds. Default 0. */
  readonly clockToleranceSeconds?: number;
  /** The clock that tokens expire by. Default: the system's. */
  readonly runtime?: Runtime;
}

/**
 * Gives the claims of a good token. A bad one is refused with `ERR_TOKEN_INVALID`, whose text names the check
 * that failed and never the token. Keys that cannot be fetched are the same error, but `retryable`.
 */
export type AccessTokenVerifier = (token: string) => Promise<Claims>;

const DAY_MS = 86_400_000;
const COOLDOWN_MS = 10_000;

/** Checks form, algorithm (RS256 only), key, signature, issuer, audience, times and scope, in this order. */
export function createAccessTokenVerifier(options: AccessTokenVerifierOptions): AccessTokenVerifier {
  const runtime = options.runtime ?? systemRuntime;
  for (const name of ["issuer", "audience", "jwks"] as const) {
    if (!options[name]) throw new OptionsError(name, "is missing");
  }
  const keys = createKeySource(options, runtime);
  return async (text) => {
    const token = decodeJwt(text);
    if (token === undefined) throw refused("form");
    // RFC 8725 section 3.1: the verifier decides the algorithm, not the token.
    if (token.header["alg"] !== "RS256" || token.header["crit"] !== undefined) throw refused("algorithm");
    const kid = token.header["kid"];
    const key = typeof kid === "string" ? await keys(kid) : undefined;
    if (key === undefined) throw refused("key");
    if (!verifyRs256(token, key)) throw refused("signature");
    checkClaims(token.claims, options, Math.floor(runtime.now() / 1000));
    return token.claims;
  };
}

const refused = (check: string): TokenkeepError =>
  new TokenkeepError("ERR_TOKEN_INVALID", `access token refused: ${check}`);

function checkClaims(claims: Claims, options: AccessTokenVerifierOptions, nowSeconds: number): void {
  const { iss, aud, exp, nbf, scp, tid } = claims;
  const issuer = options.issuer.replace("{tenantid}", typeof tid === "string" ? tid : "");
  if (iss !== issuer) throw refused("issuer");
  if (aud !== options.audience) throw refused("audience");
  const tolerance = options.clockToleranceSeconds ?? 0;
  if (typeof exp !== "number" || exp + tolerance <= nowSeconds) throw refused("expired");
  if (nbf !== undefined && (typeof nbf !== "number" || nbf - tolerance > nowSeconds)) {
    throw refused("not yet valid");
  }
  const scopes = typeof scp === "string" ? scp.split(" ") : [];
  if (options.requiredScope !== undefined && !scopes.includes(options.requiredScope)) throw refused("scope");
}

type KeySource = (kid: string) => Promise<KeyObject | undefined>;

function createKeySource(options: AccessTokenVerifierOptions, runtime: Runtime): KeySource {
  const maxAgeMs = options.jwksMaxAgeMs ?? DAY_MS;
  const cooldownMs = options.jwksCooldownMs ?? COOLDOWN_MS;
  let known: { readonly keys: ReadonlyMap<string, KeyObject>; readonly at: number } | undefined;
  let loading: Promise<ReadonlyMap<string, KeyObject>> | undefined;
  const load = (): Promise<ReadonlyMap<string, KeyObject>> => {
    loading ??= fetchKeys(options.jwks)
      .then((keys) => {
        known = { keys, at: runtime.monotonicNow() };
        return keys;
      })
      .finally(() => {
        loading = undefined;
      });
    return loading;
  };
  return async (kid) => {
    const age = known === undefined ? Infinity : runtime.monotonicNow() - known.at;
    const found = age < maxAgeMs ? known?.keys.get(kid) : undefined;
    // Made-up key ids must not make this API call the authority once per request.
    if (found !== undefined || age < cooldownMs) return found;
    return (await load()).get(kid);
  };
}

async function fetchKeys(
  source: AccessTokenVerifierOptions["jwks"],
): Promise<ReadonlyMap<string, KeyObject>> {
  try {
    const jwks = typeof source === "string" ? await fetchJwks(source) : await source();
    const keys = new Map<string, KeyObject>();
    for (const jwk of jwks.keys) {
      if (jwk.kty !== "RSA") continue;
      keys.set(jwk.kid, createPublicKey({ key: { kty: jwk.kty, n: jwk.n, e: jwk.e }, format: "jwk" }));
    }
    return keys;
  } catch (cause) {
    throw new TokenkeepError("ERR_TOKEN_INVALID", "access token not checked: the keys could not be fetched", {
      cause,
      retryable: true,
    });
  }
}

async function fetchJwks(url: string): Promise<Jwks> {
  const response = await fetch(url, { headers: { accept: "application/json" }, redirect: "error" });
  if (!response.ok) throw new Error(`status ${response.status}`);
  return (await response.json()) as Jwks;
}
