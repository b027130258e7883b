/** What the identity provider has issued to whom: the truth that stores and answers are compared with. */
import { fingerprint } from "../src/blob/provenance.ts";
import type { Operation, ProviderCall } from "./operation.ts";
import type { Process } from "./process.ts";

/** All tokens that come from one sign-in. */
export interface Family {
  readonly name: string;
  readonly user: string;
  /** The operation that redeemed the code, or began a job; undefined for short on-behalf-of. */
  readonly signIn: Operation | undefined;
  /** When the provider ended it, virtual ms. */
  revokedAt: number | undefined;
}

export interface AccessTokenFacts {
  readonly name: string;
  readonly user: string | undefined;
  readonly family: Family | undefined;
  readonly issuedAt: number;
  readonly expiresAt: number;
  /** When it should be renewed. */
  readonly refreshAt: number;
  /** Bare scopes behind the audience, or the roles of an application's token. */
  readonly scopes: readonly string[];
  readonly tenantId: string;
  readonly clientId: string;
  readonly strong: boolean;
  readonly operation: Operation | undefined;
  /** On-behalf-of: the assertion it was exchanged for. */
  readonly assertion: string | undefined;
}

export interface RefreshTokenFacts {
  readonly name: string;
  readonly family: Family;
  /** Grows by one with each refresh token. */
  readonly order: number;
  readonly issuedAt: number;
  readonly uses: ProviderCall[];
}

/** A request on its way to the provider and back, virtual ms. */
export interface SentRequest {
  readonly process: Process;
  readonly sentAt: number;
  /** When its process had an answer or an error; `Infinity` until then. */
  endedAt: number;
}

export interface Ledger {
  readonly families: ReadonlyMap<string, Family>;
  readonly calls: readonly ProviderCall[];
  /** Everything that was sent, whether it arrived or not. */
  readonly requests: SentRequest[];
  access(secret: string): AccessTokenFacts | undefined;
  refresh(secret: string): RefreshTokenFacts | undefined;
  /** The refresh token that a row of the activity index speaks of. */
  byFingerprint(fingerprint: string): RefreshTokenFacts | undefined;
  /** Notes a request, before its outcome is known. */
  asked(call: ProviderCall): void;
  /** Notes what a successful answer gave away. */
  issued(call: ProviderCall, body: Readonly<Record<string, unknown>>, issuedAt: number): void;
  revoked(user: string, at: number): void;
}

interface Claims {
  readonly sid?: string;
  readonly oid: string;
  readonly tid: string;
  readonly azp: string;
  readonly aud: string;
  readonly scp?: string;
  readonly roles?: readonly string[];
  readonly acrs?: unknown;
  readonly iat: number;
  readonly exp: number;
}

export function createLedger(userOf: (oid: string) => string | undefined): Ledger {
  const families = new Map<string, Family>();
  const access = new Map<string, AccessTokenFacts>();
  const refresh = new Map<string, RefreshTokenFacts>();
  const calls: ProviderCall[] = [];

  function familyOf(call: ProviderCall, claims: Claims): Family | undefined {
    const user = userOf(claims.oid);
    if (claims.sid === undefined || user === undefined) return undefined;
    let family = families.get(claims.sid);
    if (!family) {
      const begins = call.grant === "authorization_code" || call.operation?.kind === "job-begin";
      const signIn = begins ? call.operation : undefined;
      family = { name: `F${families.size + 1}`, user, signIn, revokedAt: undefined };
      families.set(claims.sid, family);
    }
    return family;
  }

  return {
    families,
    calls,
    requests: [],
    access: (secret) => access.get(secret),
    refresh: (secret) => refresh.get(secret),
    byFingerprint(wanted) {
      for (const [secret, facts] of refresh) if (fingerprint(secret) === wanted) return facts;
      return undefined;
    },
    asked(call) {
      calls.push(call);
      call.operation?.calls.push(call);
      if (call.refreshToken !== undefined) refresh.get(call.refreshToken)?.uses.push(call);
    },
    issued(call, body, issuedAt) {
      const secret = String(body["access_token"]);
      const claims = claimsOf(secret);
      const family = familyOf(call, claims);
      access.set(secret, {
        name: `A${access.size + 1}`,
        user: userOf(claims.oid),
        family,
        issuedAt,
        expiresAt: issuedAt + (claims.exp - claims.iat) * 1000,
        refreshAt: issuedAt + Number(body["refresh_in"] ?? Infinity) * 1000,
        scopes: (claims.scp?.split(" ") ?? claims.roles ?? []).map((scope) => `${claims.aud}/${scope}`),
        tenantId: claims.tid,
        clientId: claims.azp,
        strong: claims.acrs !== undefined,
        operation: call.operation,
        assertion: call.operation?.assertion,
      });
      call.accessToken = secret;
      const renewal = body["refresh_token"];
      if (typeof renewal !== "string" || !family) return;
      call.newRefreshToken = renewal;
      const order = refresh.size + 1;
      refresh.set(renewal, { name: `R${order}`, family, order, issuedAt, uses: [] });
    },
    revoked(user, at) {
      for (const family of families.values()) if (family.user === user) family.revokedAt ??= at;
    },
  };
}

/** The claims of a token that the simulated provider has just signed. */
function claimsOf(token: string): Claims {
  return JSON.parse(Buffer.from(token.split(".")[1] ?? "", "base64url").toString("utf8")) as Claims;
}
