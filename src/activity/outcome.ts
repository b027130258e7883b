import { isRetryable } from "../errors.ts";
import type { AccountStatus } from "../store/account-activity-store.ts";

/** What a failed acquisition says about an account; `undefined`: nothing at all. */
export interface FailureOutcome {
  readonly status: Exclude<AccountStatus, "ok">;
  readonly code: string;
  readonly subError: string | undefined;
  readonly claims: string | undefined;
  readonly correlationId: string | undefined;
}

/** Entra ID error numbers and sub errors that mean: the user or an administrator must consent. */
const CONSENT_ERRORS = new Set(["65001", "65004", "90094"]);
const CONSENT_SUB_ERROR = "consent_required";
/** OAuth errors that stay until a person acts (RFC 6749 section 5.2; OpenID Connect Core section 3.1.2.6). */
const INTERACTION_CODES = new Set([
  "invalid_grant",
  "interaction_required",
  "consent_required",
  "login_required",
  "no_tokens_found",
  "refresh_token_expired",
  "bad_token",
  "native_account_unavailable",
]);
/** What passes by itself: the network, throttling, an outage (RFC 6749 section 4.1.2.1). */
const TRANSIENT_CODES = new Set([
  "network_error",
  "temporarily_unavailable",
  "server_error",
  "token_parsing_error",
  "endpoints_resolution_error",
]);

/**
 * What no user can mend: the application's credential, registration or request (RFC 6749 section 5.2), and what
 * MSAL 7.2.1 finds wrong with its configuration before it asks anybody.
 */
const CONFIGURATION_CODES = new Set([
  "invalid_client",
  "unauthorized_client",
  "invalid_scope",
  "invalid_resource",
  "unsupported_grant_type",
  "invalid_client_credential",
  "invalid_assertion",
  "missing_tenant_id_error",
]);

/** The fields of MSAL's errors that matter, by shape: no folder but `msal` imports MSAL. */
interface AuthErrorShape {
  readonly name?: unknown;
  readonly errorCode?: unknown;
  readonly subError?: unknown;
  readonly errorNo?: unknown;
  readonly claims?: unknown;
  readonly correlationId?: unknown;
  readonly status?: unknown;
}

/**
 * Sorts an error by what a worker or a web app can do about it. A wrong client secret, a store that is down
 * and every error of our own say nothing about the account, and bench nobody.
 */
export function classifyFailure(error: unknown): FailureOutcome | undefined {
  if (isRetryable(error) || typeof error !== "object" || error === null) return undefined;
  const shape = error as AuthErrorShape;
  const code = text(shape.errorCode);
  if (code === undefined) return undefined;
  const status = statusOf(shape, code);
  if (!status) return undefined;
  return {
    status,
    code,
    subError: text(shape.subError),
    claims: text(shape.claims),
    correlationId: text(shape.correlationId),
  };
}

/** What can be done about a failed acquisition, and by whom. */
export type FailureKind =
  "interaction" | "consent" | "throttled" | "unavailable" | "configuration" | "refused";

/**
 * Why only a person can help: nobody has signed in here, or was signed out (`no-tokens`); the provider takes the
 * refresh token no more (`refresh-token-refused`); it demands something of the sign-in (`claims`); it wants
 * consent (`consent`); anything else that a sign-in mends (`sign-in`).
 */
export type InteractionReason = "no-tokens" | "refresh-token-refused" | "claims" | "consent" | "sign-in";

/**
 * Sorts an error of MSAL for the application; `undefined`: it is none of MSAL's.
 * @param httpStatus of the last answer, where MSAL's error does not have it (429 and 5xx bodies, msal-node 7.2.1)
 */
export function kindOfFailure(
  error: unknown,
  httpStatus: number | undefined,
):
  | {
      readonly kind: FailureKind;
      readonly reason: InteractionReason | undefined;
      readonly claims: string | undefined;
    }
  | undefined {
  const shape = error as AuthErrorShape;
  const code = text(shape.errorCode);
  if (code === undefined) return undefined;
  const status = statusOf(shape, code);
  const claims = text(shape.claims);
  if (status === "consent-required") return { kind: "consent", reason: "consent", claims };
  if (status === "needs-interaction") {
    return { kind: "interaction", reason: reasonOf(shape, code, claims), claims };
  }
  return { kind: otherKind(shape, code, status, httpStatus), reason: undefined, claims: undefined };
}

/** What no user can mend. */
function otherKind(
  shape: AuthErrorShape,
  code: string,
  status: FailureOutcome["status"] | undefined,
  httpStatus: number | undefined,
): FailureKind {
  if (Number(shape.status ?? httpStatus) === 429) return "throttled";
  if (status === "retry-later") return "unavailable";
  const configuration = CONFIGURATION_CODES.has(code) || shape.name === "ClientConfigurationError";
  return configuration ? "configuration" : "refused";
}

function reasonOf(shape: AuthErrorShape, code: string, claims: string | undefined): InteractionReason {
  if (code === "no_tokens_found" || code === "native_account_unavailable") return "no-tokens";
  if (claims !== undefined) return "claims";
  return isRefreshTokenRefused(shape) && isRefreshTokenDead(shape) ? "refresh-token-refused" : "sign-in";
}

function statusOf(shape: AuthErrorShape, code: string): FailureOutcome["status"] | undefined {
  const subError = text(shape.subError);
  if (subError === CONSENT_SUB_ERROR || isOneOf(CONSENT_ERRORS, shape.errorNo)) return "consent-required";
  if (shape.name === "InteractionRequiredAuthError" || INTERACTION_CODES.has(code))
    return "needs-interaction";
  const httpStatus = Number(shape.status);
  if (httpStatus === 429 || httpStatus >= 500 || TRANSIENT_CODES.has(code)) return "retry-later";
  return undefined;
}

/**
 * True for an error of an acquisition that only a person can mend: send the user to sign in. MSAL reports a
 * revoked or expired refresh token as a plain `ServerError` with `invalid_grant` (measured, msal-node 7.2.1),
 * so its `InteractionRequiredAuthError` alone is not enough to go by.
 */
export function needsSignIn(error: unknown): boolean {
  const status = classifyFailure(error)?.status;
  return status === "needs-interaction" || status === "consent-required";
}

/** True where the provider refused the refresh token itself: somebody else may have renewed it meanwhile. */
export function isRefreshTokenRefused(error: unknown): boolean {
  const code = (error as AuthErrorShape | null)?.errorCode;
  return code === "invalid_grant" || code === "bad_token";
}

/** Entra ID error numbers that say of a refresh token itself: expired, revoked, too old for a policy. */
const DEAD_TOKEN_ERRORS = new Set(["70008", "70043", "50173", "700082", "700084"]);

/**
 * True where the provider will never take this refresh token again, whatever the user does. Other refusals
 * (consent, another factor) speak of one request, and the token goes on serving others.
 */
export function isRefreshTokenDead(error: unknown): boolean {
  const shape = error as AuthErrorShape;
  if (text(shape.subError) !== undefined) return shape.subError === "bad_token";
  if (shape.errorCode !== "invalid_grant") return false;
  // A provider that has no such numbers means the token (RFC 6749 section 5.2).
  return !shape.errorNo || isOneOf(DEAD_TOKEN_ERRORS, shape.errorNo);
}

/** MSAL types an error number as text and hands out a number (msal-node 7.2.1). */
function isOneOf(numbers: ReadonlySet<string>, errorNo: unknown): boolean {
  return (typeof errorNo === "string" || typeof errorNo === "number") && numbers.has(`${errorNo}`);
}

function text(value: unknown): string | undefined {
  return typeof value === "string" && value !== "" ? value : undefined;
}
