import type { AccountActivityRow, AccountStatus } from "../store/account-activity-store.ts";
import type { AccountRef } from "./account-ref.ts";

/** Why an account cannot be served just now. */
export interface AccountFailure {
  /** The provider's error code, e.g. `invalid_grant`. */
  readonly code: string;
  /** The provider's `suberror`, e.g. `bad_token`. */
  readonly subError: string | undefined;
  /** A claims challenge for the next interactive sign-in. */
  readonly claims: string | undefined;
  /** For the provider's logs. */
  readonly correlationId: string | undefined;
  /** When it last failed, UTC, ms since the epoch. */
  readonly at: number;
  /** Failures in a row. */
  readonly attempts: number;
  /** Not before this time is another try worth while; `undefined`: not without the user. */
  readonly nextAttemptAt: number | undefined;
}

/**
 * An account whose tokens the cache has, and how things stand with it. It is an {@link AccountRef}, so it can
 * be handed to `acquireTokenSilent({ account })` as it is. Times are UTC, ms since the epoch.
 */
export interface AccountActivity<Properties = unknown> extends AccountRef {
  /** Names the account's partition in this cache (`AccountCacheKey` in .NET); not for parsing. */
  readonly accountKey: string;
  /** `long-running`: a process's tokens, for `acquireTokenInLongRunningProcess`; see {@link AccountKind}. */
  readonly kind: AccountKind;
  /** The application that the account's tokens belong to. */
  readonly clientId: string;
  /** How token acquisition stands. */
  readonly status: AccountStatus;
  /** Set unless `status` is `ok`. */
  readonly failure: AccountFailure | undefined;
  /** When the row was made; ms since the epoch, like all times here. */
  readonly createdAt: number;
  /** When the user last did something; a worker is not the user. */
  readonly lastActivityAt: number;
  /** `undefined` if the account came by an import. */
  readonly lastSignInAt: number | undefined;
  /** When a token was last renewed, by whomever. */
  readonly lastRefreshAt: number | undefined;
  /** When a background worker last acted for the account. */
  readonly lastWorkerRunAt: number | undefined;
  /** What the application's `onBeforeActivityWrite` hook attached; `undefined` if nothing, or unreadable. */
  readonly properties: Properties | undefined;
}

/**
 * What a row speaks of: a user who has signed in, or a long-running process (on-behalf-of) that goes on for one.
 * Only the former is for `acquireTokenSilent`.
 */
export type AccountKind = "user" | "long-running";

/** The kind is the first part of the key behind the namespace. */
export function kindOfRow(namespace: string, accountKey: string): AccountKind {
  return accountKey.startsWith(`${namespace}:long-running:`) ? "long-running" : "user";
}

export function activityFromRow<Properties>(
  row: AccountActivityRow,
  kind: AccountKind,
  properties: Properties | undefined,
): AccountActivity<Properties> {
  return {
    accountKey: row.accountKey,
    kind,
    clientId: row.clientId,
    homeAccountId: row.homeAccountId,
    environment: row.environment,
    tenantId: row.tenantId,
    localAccountId: row.localAccountId,
    username: row.username,
    status: row.status,
    failure: failureFromRow(row),
    createdAt: row.createdAt,
    lastActivityAt: row.lastActivityAt,
    lastSignInAt: row.lastSignInAt,
    lastRefreshAt: row.lastRefreshAt,
    lastWorkerRunAt: row.lastWorkerRunAt,
    properties,
  };
}

function failureFromRow(row: AccountActivityRow): AccountFailure | undefined {
  if (row.status === "ok" || row.failureCode === undefined || row.failedAt === undefined) return undefined;
  return {
    code: row.failureCode,
    subError: row.failureSubError,
    claims: row.failureClaims,
    correlationId: row.failureCorrelationId,
    at: row.failedAt,
    attempts: row.failedAttempts,
    nextAttemptAt: row.nextAttemptAt,
  };
}
