/** Who was active when: the port behind `tokenCache.accounts()`. Types only. */

/** How token acquisition for an account stands. `ok` until an acquisition failed for a lasting reason. */
export type AccountStatus = "ok" | "needs-interaction" | "consent-required" | "retry-later";

/**
 * One row: an account whose tokens the cache has, or is about to have. All times are UTC, ms since the epoch.
 * The fields of Microsoft's `MsalAccountActivity`, plus what its users were missing.
 */
export interface AccountActivityRow {
  /** The store key of the account's partition (`AccountCacheKey` in .NET). Primary key. */
  readonly accountKey: string;
  /** The application. */
  readonly clientId: string;
  /** Whose tokens, as in `AccountInfo`. */
  readonly homeAccountId: string;
  /** As in `AccountInfo`. */
  readonly localAccountId: string;
  /** As in `AccountInfo`. */
  readonly tenantId: string;
  /** Canonical spelling. */
  readonly environment: string;
  /** As in `AccountInfo`; may be empty. */
  readonly username: string;
  /** The user's display name, if the id token had one. */
  readonly name: string | undefined;
  /** How token acquisition stands. */
  readonly status: AccountStatus;
  /** Why the status is not `ok`: the provider's error code, e.g. `invalid_grant`. */
  readonly failureCode: string | undefined;
  /** The provider's `suberror`. */
  readonly failureSubError: string | undefined;
  /** The claims challenge to hand to the next interactive sign-in. */
  readonly failureClaims: string | undefined;
  /** For the provider's logs. */
  readonly failureCorrelationId: string | undefined;
  /** When the last failure was; ms since the epoch. */
  readonly failedAt: number | undefined;
  /** Failures in a row; 0 after a success. */
  readonly failedAttempts: number;
  /** Not before this time should a background worker try again. */
  readonly nextAttemptAt: number | undefined;
  /** When the row was made; ms since the epoch. */
  readonly createdAt: number;
  /** When the user last did something: signed in, or had a token renewed by a web app. A worker is not the user. */
  readonly lastActivityAt: number;
  /** When the user last signed in; ms since the epoch. */
  readonly lastSignInAt: number | undefined;
  /** When a token was last renewed for the account, by whomever. */
  readonly lastRefreshAt: number | undefined;
  /** When a background worker last acted for the account. */
  readonly lastWorkerRunAt: number | undefined;
  /** False from just before a sign-in's record is written until just after: the row may have no record. */
  readonly confirmed: boolean;
  /** Hash of the refresh token the status speaks of; an outcome for another one is ignored. */
  readonly credentialFingerprint: string | undefined;
  /** The application's own properties, sealed and bound to {@link accountKey}. */
  readonly sealedProperties: Uint8Array | undefined;
}

/** A row with the revision a conditional write quotes. */
export interface StoredActivity {
  /** The row. */
  readonly row: AccountActivityRow;
  /** Changes with every write; quoted by a conditional one. */
  readonly revision: string;
}

/** Which rows, and which page of them. Filters that are absent let every row pass. */
export interface ActivityQuery {
  /** Rows with this status, or with any of these. */
  readonly status?: AccountStatus | readonly AccountStatus[];
  /** Rows with `lastActivityAt >= activeSince`. */
  readonly activeSince?: number;
  /** Rows with `lastActivityAt < idleSince`. */
  readonly idleSince?: number;
  /** Compared exactly. */
  readonly tenantId?: string;
  /** Compared exactly. */
  readonly homeAccountId?: string;
  /** Compared exactly. */
  readonly clientId?: string;
  /** Rows whose `accountKey` begins so: the namespace. */
  readonly keyPrefix?: string;
  /** Page size, 1 to 1,000. */
  readonly limit: number;
  /** From the previous page. */
  readonly cursor?: string;
}

/** One page of rows, in the order of their keys. */
export interface ActivityPage {
  /** At most as many as the query's `limit`. */
  readonly rows: readonly StoredActivity[];
  /** Absent on the last page. */
  readonly cursor?: string;
}

/**
 * Keeps one row per account. It may live in another database than the records.
 *
 * Paging is by `accountKey`, ascending: a row that exists during the whole listing is listed exactly once,
 * whatever is written meanwhile.
 */
export interface AccountActivityStore {
  /** For events and errors, e.g. `sqlite`. */
  readonly name: string;
  /** The row as it is now; `undefined` if there is none. @throws if the store failed */
  get(accountKey: string): Promise<StoredActivity | undefined>;
  /** Writes the row if its revision is `ifRevision`; `null` requires that there is none. */
  put(
    row: AccountActivityRow,
    options: { readonly revision: string; readonly ifRevision: string | null },
  ): Promise<{ readonly stored: boolean }>;
  /** Deletes the row if its revision is `ifRevision`. @returns whether it did. */
  delete(accountKey: string, options: { readonly ifRevision: string }): Promise<boolean>;
  /** One page of the rows that pass the filters. */
  list(query: ActivityQuery): Promise<ActivityPage>;
}
