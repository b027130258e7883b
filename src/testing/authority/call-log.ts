/** What was asked of the authority and what came of it. Holds no token, code or secret. */
import { createHash } from "node:crypto";

/** The kind of a call: the grant of a token request, or the endpoint. */
export type CallKind =
  | "authorization_code"
  | "refresh_token"
  | "client_credentials"
  | "on_behalf_of"
  | "device_code"
  | "device_authorization"
  | "authorize"
  | "logout"
  | "metadata"
  | "keys"
  | "unknown";

/** One call. */
export interface AuthorityCall {
  /** When it was answered: the runtime's clock, milliseconds since the Unix epoch. */
  readonly at: number;
  /** What was called. */
  readonly grant: CallKind;
  /** Tenant GUID, or the word in the path (`common`) where no tenant was resolved. */
  readonly tenant: string;
  /** The application, where the call named one. */
  readonly clientId?: string;
  /** Sign-in name of the user the call was about, where there is one. */
  readonly user?: string;
  /** Scopes as asked for. */
  readonly scopes: readonly string[];
  /** `ok`, an OAuth error code, or the injected failure: `429`, `500`, `503`, `reset`. */
  readonly outcome: string;
  /** The AADSTS number of an OAuth error. */
  readonly errorNumber?: number;
  /** False when the answer was dropped on purpose: the authority acted, the caller knows nothing. */
  readonly delivered: boolean;
  /** The sign-in (or exchange) that the call belongs to; see `revokeGrant`. */
  readonly grantId?: string;
  /** Names the refresh token that was presented, without giving it away. */
  readonly refreshTokenFingerprint?: string;
}

/** Which calls to count; a field left out matches everything. `user` is a sign-in name. */
export type CallFilter = Partial<
  Pick<AuthorityCall, "grant" | "user" | "tenant" | "clientId" | "outcome" | "delivered">
>;

/** The log. */
export interface CallLog {
  readonly calls: readonly AuthorityCall[];
  add(call: AuthorityCall): void;
  count(filter: CallFilter): number;
  clear(): void;
}

/** The first 16 base64url characters of the SHA-256 of a refresh token. */
export function refreshTokenFingerprint(refreshToken: string): string {
  return createHash("sha256").update(refreshToken).digest("base64url").slice(0, 16);
}

/** A log of at most `limit` calls, the oldest dropped first. */
export function createCallLog(limit: number): CallLog {
  const calls: AuthorityCall[] = [];
  return {
    calls,
    add(call) {
      calls.push(call);
      if (calls.length > limit) calls.splice(0, calls.length - limit);
    },
    count: (filter) => calls.filter((call) => matches(call, filter)).length,
    clear: () => calls.splice(0),
  };
}

function matches(call: AuthorityCall, filter: CallFilter): boolean {
  return (Object.keys(filter) as (keyof CallFilter)[]).every(
    (field) => filter[field] === undefined || filter[field] === call[field],
  );
}

/** Every secret string issued, for leak scans; at most `limit`, the oldest dropped first. */
export interface IssuedSecrets {
  readonly all: ReadonlySet<string>;
  add(secret: string): void;
}

/** An empty set of secrets. */
export function createIssuedSecrets(limit: number): IssuedSecrets {
  const all = new Set<string>();
  return {
    all,
    add(secret) {
      all.add(secret);
      // A Set iterates in the order of insertion.
      for (const oldest of all) {
        if (all.size <= limit) break;
        all.delete(oldest);
      }
    },
  };
}
