/** Sign-ins and what hangs on them: authorization codes, refresh tokens, and their ends. */
import { createHash } from "node:crypto";
import { randomId, type Runtime } from "../../runtime.ts";
import { refreshTokenFingerprint } from "./call-log.ts";
import type { Person, Tenant } from "./directory.ts";
import { deadToken, OAuthError } from "./oauth-error.ts";
import type { Policy } from "./policy.ts";

/** One sign-in, or one exchange on behalf of a user: the family of refresh tokens that came from it. */
export interface Grant {
  readonly id: string;
  readonly clientId: string;
  readonly person: Person;
  readonly tenant: Tenant;
  /** As asked for at first; used when a later request names no scopes. */
  readonly scopes: readonly string[];
  readonly createdAt: number;
  /** Why nothing of it works any more. */
  readonly revoked: OAuthError | undefined;
}

/** What an authorization code stands for. */
export interface CodeGrant {
  readonly grant: Grant;
  readonly redirectUri: string;
  readonly challenge: string | undefined;
  readonly nonce: string | undefined;
  readonly claims: string | undefined;
}

/** A refresh token that may be redeemed: take what it is for, and {@link spend} it if all else is well. */
export interface RedeemableRefreshToken {
  readonly grant: Grant;
  spend(): void;
}

/** The store of grants. */
export interface Grants {
  open(from: Pick<Grant, "clientId" | "person" | "tenant" | "scopes">): Grant;
  byId(id: string): Grant | undefined;
  list(): readonly Grant[];
  revoke(matches: (grant: Grant) => boolean): number;
  issueCode(code: CodeGrant): string;
  /** What the code is for, without redeeming it. */
  peekCode(code: string): CodeGrant | undefined;
  /** Takes the code if `prepare` does not throw; a code works once. */
  redeemCode<T>(code: string, prepare: (code: CodeGrant) => T): T;
  issueRefreshToken(grant: Grant): string;
  peekRefreshToken(refreshToken: string): Grant | undefined;
  /** Refuses a token that is unknown, another client's, expired, spent or revoked. */
  findRefreshToken(refreshToken: string, clientId: string): RedeemableRefreshToken;
}

interface CodeRecord {
  readonly code: CodeGrant;
  readonly expiresAt: number;
  redeemed: boolean;
}

interface RefreshTokenRecord {
  readonly grant: MutableGrant;
  readonly expiresAt: number;
  firstUsedAt: number | undefined;
}

type MutableGrant = { -readonly [Field in keyof Grant]: Grant[Field] } & { aliveUntil: number };

const revokedByUser = (): OAuthError =>
  deadToken(50173, "The grant was revoked. The user must sign in again.");

const REFRESH_TOKEN_BYTES = 600;
const CODE_BYTES = 96;
const SWEEP_EVERY = 256;

/** An empty store. Only hashes of refresh tokens are kept. */
export function createGrants(runtime: Runtime, policy: Policy): Grants {
  const grants = new Map<string, MutableGrant>();
  const codes = new Map<string, CodeRecord>();
  const refreshTokens = new Map<string, RefreshTokenRecord>();
  let issued = 0;

  const random = (bytes: number): string => Buffer.from(runtime.randomBytes(bytes)).toString("base64url");
  const sweep = (): void => {
    issued += 1;
    if (issued % SWEEP_EVERY !== 0) return;
    const now = runtime.now();
    for (const [key, record] of codes) if (record.expiresAt <= now) codes.delete(key);
    for (const [key, record] of refreshTokens) if (record.expiresAt <= now) refreshTokens.delete(key);
    for (const [key, grant] of grants) if (grant.aliveUntil <= now) grants.delete(key);
  };
  const keepAlive = (grant: MutableGrant, untilMs: number): void => {
    grant.aliveUntil = Math.max(grant.aliveUntil, untilMs);
  };

  return {
    open(from) {
      const now = runtime.now();
      const { accessTokenSeconds, codeSeconds } = policy.lifetimes;
      const aliveUntil = now + (accessTokenSeconds + codeSeconds) * 1000;
      const grant = { ...from, id: randomId(runtime), createdAt: now, revoked: undefined, aliveUntil };
      grants.set(grant.id, grant);
      return grant;
    },
    byId: (id) => grants.get(id),
    list: () => [...grants.values()],
    revoke(matches) {
      const found = [...grants.values()].filter((grant) => grant.revoked === undefined && matches(grant));
      for (const grant of found) grant.revoked = revokedByUser();
      return found.length;
    },
    issueCode(code) {
      sweep();
      const text = `1.C${random(CODE_BYTES)}`;
      const expiresAt = runtime.now() + policy.lifetimes.codeSeconds * 1000;
      codes.set(text, { code, expiresAt, redeemed: false });
      return text;
    },
    peekCode: (code) => codes.get(code)?.code,
    redeemCode(code, prepare) {
      const record = codes.get(code);
      if (record === undefined) throw new OAuthError("invalid_grant", 70000, "The code is not valid.");
      if (record.redeemed) {
        throw new OAuthError("invalid_grant", 54005, "The authorization code was already redeemed.");
      }
      if (record.expiresAt <= runtime.now()) {
        throw new OAuthError("invalid_grant", 70008, "The authorization code has expired.");
      }
      if (record.code.grant.revoked !== undefined) throw record.code.grant.revoked;
      const prepared = prepare(record.code);
      record.redeemed = true;
      return prepared;
    },
    issueRefreshToken(grant) {
      sweep();
      const text = `1.R${random(REFRESH_TOKEN_BYTES)}`;
      const family = grants.get(grant.id) ?? { ...grant, aliveUntil: 0 };
      const expiresAt = runtime.now() + policy.lifetimes.refreshTokenSeconds * 1000;
      keepAlive(family, expiresAt);
      grants.set(family.id, family);
      refreshTokens.set(hash(text), { grant: family, expiresAt, firstUsedAt: undefined });
      return text;
    },
    peekRefreshToken: (refreshToken) => refreshTokens.get(hash(refreshToken))?.grant,
    findRefreshToken(refreshToken, clientId) {
      const record = refreshTokens.get(hash(refreshToken));
      if (record === undefined || record.grant.clientId !== clientId) {
        throw deadToken(70000, "The refresh token is not valid for this client.");
      }
      refuseDead(record, runtime.now(), policy);
      return {
        grant: record.grant,
        spend() {
          record.firstUsedAt ??= runtime.now();
        },
      };
    },
  };
}

function refuseDead(record: RefreshTokenRecord, nowMs: number, policy: Policy): void {
  if (record.grant.revoked !== undefined) throw record.grant.revoked;
  if (record.expiresAt <= nowMs) throw deadToken(700082, "The refresh token has expired.");
  if (record.firstUsedAt === undefined || policy.refreshTokens === "reusable") return;
  if (policy.refreshTokens === "rolling") {
    if (nowMs - record.firstUsedAt < policy.rollingGraceMs) return;
    throw deadToken(70000, "The refresh token has been replaced by a newer one.");
  }
  record.grant.revoked = deadToken(70000, "A refresh token of this sign-in was used twice.");
  throw record.grant.revoked;
}

const hash = (refreshToken: string): string => createHash("sha256").update(refreshToken).digest("base64url");

/** The fingerprint of a request's refresh token, for the log. */
export const fingerprintOf = (refreshToken: string | undefined): string | undefined =>
  refreshToken === undefined ? undefined : refreshTokenFingerprint(refreshToken);
