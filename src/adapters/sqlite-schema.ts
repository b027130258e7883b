/** The tables, and how a database says that it is ours. SQL text only. */
import type { AccountActivityRow } from "../store/account-activity-store.ts";

/** "tkkp": in the file's header, so that no other application's database is taken for ours. */
export const APPLICATION_ID = 0x746b_6b70;

/** In `PRAGMA user_version`. A file with a larger one was written by a newer tokenkeep. */
export const SCHEMA_VERSION = 1;

export const TABLES = Object.freeze(["records", "leases", "account_activity"] as const);

/** Every field of an activity row and its column. A field without a column does not compile. */
export const ACTIVITY_COLUMNS = Object.freeze({
  accountKey: "account_key TEXT NOT NULL PRIMARY KEY COLLATE BINARY",
  clientId: "client_id TEXT NOT NULL",
  homeAccountId: "home_account_id TEXT NOT NULL",
  localAccountId: "local_account_id TEXT NOT NULL",
  tenantId: "tenant_id TEXT NOT NULL",
  environment: "environment TEXT NOT NULL",
  username: "username TEXT NOT NULL",
  name: "name TEXT",
  status: "status TEXT NOT NULL",
  failureCode: "failure_code TEXT",
  failureSubError: "failure_sub_error TEXT",
  failureClaims: "failure_claims TEXT",
  failureCorrelationId: "failure_correlation_id TEXT",
  failedAt: "failed_at INTEGER",
  failedAttempts: "failed_attempts INTEGER NOT NULL",
  nextAttemptAt: "next_attempt_at INTEGER",
  createdAt: "created_at INTEGER NOT NULL",
  lastActivityAt: "last_activity_at INTEGER NOT NULL",
  lastSignInAt: "last_sign_in_at INTEGER",
  lastRefreshAt: "last_refresh_at INTEGER",
  lastWorkerRunAt: "last_worker_run_at INTEGER",
  confirmed: "confirmed INTEGER NOT NULL",
  credentialFingerprint: "credential_fingerprint TEXT",
  sealedProperties: "sealed_properties BLOB",
} satisfies Record<keyof AccountActivityRow, string>);

/**
 * The tables of schema version 1.
 *
 * Records are an ordinary rowid table: with blobs of 1.5 to 20 KB, WITHOUT ROWID made reads 1.8 to 2.4
 * times and updates 2 to 4 times slower (Node 24.21, SQLite 3.53), because a B-tree of keys must then carry
 * the blobs. Each activity index ends in the key, so that a filtered page comes out in key order without a
 * sort; `last_activity_at` has none, because every use of an account changes it. Leases have none either:
 * the table holds those of the moment, and every release deletes what has expired.
 */
export const CREATE_SCHEMA = `
CREATE TABLE records (
  key TEXT NOT NULL PRIMARY KEY COLLATE BINARY,
  version TEXT NOT NULL,
  bytes BLOB NOT NULL,
  expires_at INTEGER NOT NULL
);
CREATE INDEX records_expiry ON records (expires_at);
CREATE TABLE leases (
  key TEXT NOT NULL PRIMARY KEY COLLATE BINARY,
  owner TEXT NOT NULL,
  expires_at INTEGER NOT NULL
) WITHOUT ROWID;
CREATE TABLE account_activity (
  ${Object.values(ACTIVITY_COLUMNS).join(",\n  ")},
  revision TEXT NOT NULL
);
CREATE INDEX account_activity_home ON account_activity (home_account_id, account_key);
CREATE INDEX account_activity_tenant ON account_activity (tenant_id, account_key);
CREATE INDEX account_activity_status ON account_activity (status, account_key);
PRAGMA application_id = ${APPLICATION_ID};
PRAGMA user_version = ${SCHEMA_VERSION};
`;
