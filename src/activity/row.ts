/** What happens to an activity row. Pure: time and the outcome are handed in. */
import type { AccountActivityRow } from "../store/account-activity-store.ts";
import type { AccountRef } from "./account-ref.ts";
import type { FailureOutcome } from "./outcome.ts";

/** Who acts: a web app for a user who is there, or a worker for one who is away. */
export type ClientRole = "web" | "worker";

const RETRY_FIRST_MS = 60_000;
const RETRY_MAX_MS = 3_600_000;
/** A benched account's error number is enough; nobody needs to count further. */
const MAX_ATTEMPTS = 1_000_000;

/** A row for an account that is about to be written; not yet confirmed. */
export function newRow(
  accountKey: string,
  clientId: string,
  account: AccountRef,
  nowMs: number,
): AccountActivityRow {
  return {
    accountKey,
    clientId,
    ...identity(account),
    name: undefined,
    ...noFailure,
    createdAt: nowMs,
    lastActivityAt: nowMs,
    lastSignInAt: undefined,
    lastRefreshAt: undefined,
    lastWorkerRunAt: undefined,
    confirmed: false,
    credentialFingerprint: undefined,
    sealedProperties: undefined,
  };
}

const noFailure = Object.freeze({
  status: "ok" as const,
  failureCode: undefined,
  failureSubError: undefined,
  failureClaims: undefined,
  failureCorrelationId: undefined,
  failedAt: undefined,
  failedAttempts: 0,
  nextAttemptAt: undefined,
});

function identity(account: AccountRef): Pick<AccountActivityRow, keyof AccountRef> {
  const { homeAccountId, environment, tenantId, localAccountId, username } = account;
  return { homeAccountId, environment, tenantId, localAccountId, username };
}

/** After a sign-in has been stored: everything is well again. */
export function afterSignIn(
  row: AccountActivityRow,
  account: AccountRef,
  credentialFingerprint: string | undefined,
  nowMs: number,
): AccountActivityRow {
  return {
    ...row,
    ...identity(account),
    ...noFailure,
    lastActivityAt: nowMs,
    lastSignInAt: nowMs,
    confirmed: true,
    credentialFingerprint,
  };
}

/** Which credential an outcome speaks of: the refresh token it used, and the one it got. */
export interface CredentialMove {
  readonly used: string | undefined;
  readonly now: string | undefined;
  /** Set where there was no record, and so no credential to speak of: when that was looked up. */
  readonly absentAtMs?: number;
}

/**
 * After a token was served from the shared store or renewed. An outcome for a refresh token that the row has
 * moved on from changes times only: a later sign-in decides how the account stands.
 */
export function afterSuccess(
  row: AccountActivityRow,
  role: ClientRole,
  move: CredentialMove & { readonly refreshed: boolean },
  nowMs: number,
): AccountActivityRow {
  const times = {
    ...row,
    ...(move.refreshed && { lastRefreshAt: nowMs }),
    ...(role === "worker" ? { lastWorkerRunAt: nowMs } : { lastActivityAt: nowMs }),
  };
  if (!move.refreshed || hasMovedOn(row, move)) return times;
  return { ...times, ...noFailure, confirmed: true, credentialFingerprint: move.now };
}

/** After a failed acquisition; `undefined`: the row is not concerned. */
export function afterFailure(
  row: AccountActivityRow,
  role: ClientRole,
  outcome: FailureOutcome,
  move: CredentialMove,
  nowMs: number,
): AccountActivityRow | undefined {
  if (hasMovedOn(row, move)) return undefined;
  const attempts = Math.min(row.failedAttempts + 1, MAX_ATTEMPTS);
  return {
    ...row,
    ...(role === "worker" && { lastWorkerRunAt: nowMs }),
    status: outcome.status,
    failureCode: outcome.code,
    failureSubError: outcome.subError,
    failureClaims: outcome.claims,
    failureCorrelationId: outcome.correlationId,
    failedAt: nowMs,
    failedAttempts: attempts,
    nextAttemptAt: outcome.status === "retry-later" ? nowMs + retryDelayMs(attempts) : undefined,
  };
}

function hasMovedOn(row: AccountActivityRow, move: CredentialMove): boolean {
  if (move.absentAtMs !== undefined) return !row.confirmed || (row.lastSignInAt ?? 0) >= move.absentAtMs;
  const spokenOf = row.credentialFingerprint;
  return spokenOf !== undefined && spokenOf !== move.used && spokenOf !== move.now;
}

function retryDelayMs(attempts: number): number {
  return Math.min(RETRY_FIRST_MS * 2 ** Math.min(attempts - 1, 10), RETRY_MAX_MS);
}
