/**
 * What a failed acquisition throws: an error of MSAL's own class, so that `instanceof` and `errorCode` work as
 * before, with a stable code and what an application needs in order to act on it.
 */
import type { AccountRef } from "../activity/account-ref.ts";
import { kindOfFailure, type FailureKind, type InteractionReason } from "../activity/outcome.ts";
import { TokenkeepError, type ErrorCode } from "../errors.ts";
import type { NetworkTrace } from "./network.ts";

/** The codes of failed acquisitions; each has its row in docs/errors.md. */
export type AcquisitionErrorCode = Extract<
  ErrorCode,
  | "ERR_INTERACTION_REQUIRED"
  | "ERR_CONSENT_REQUIRED"
  | "ERR_THROTTLED"
  | "ERR_PROVIDER_UNAVAILABLE"
  | "ERR_CONFIGURATION"
  | "ERR_PROVIDER_REFUSED"
>;

/**
 * An error of MSAL (`InteractionRequiredAuthError`, `ServerError`, `ClientAuthError`, …) with what tokenkeep adds.
 * `cause` is the error that MSAL threw. `account` and `claims` are not enumerable, so that no log shows
 * who the user is.
 */
export interface AcquisitionError extends Error {
  /** Switch on this. */
  readonly code: AcquisitionErrorCode;
  /** True where the same call may succeed later without anybody doing anything. */
  readonly retryable: boolean;
  /** How long the provider asks to wait (`Retry-After`), ms, at most an hour; undefined where it did not say. */
  readonly retryAfterMs: number | undefined;
  /** Why only a person can help; undefined with other codes. */
  readonly reason: InteractionReason | undefined;
  /** What was asked for: to be asked for again at the next sign-in. */
  readonly scopes: readonly string[];
  /** The provider's claims challenge, to be passed on at the next sign-in; undefined where there is none. */
  readonly claims: string | undefined;
  /** Whose tokens were asked for; undefined for the application's own and where nobody is known yet. */
  readonly account: AccountRef | undefined;
  /** Of the request, for the provider's support. */
  readonly correlationId: string;
  /** The provider's, or MSAL's, error code: `invalid_grant`, `no_tokens_found`, `network_error`, … */
  readonly errorCode: string;
  /** The provider's finer code, e.g. `consent_required`; empty where there is none. */
  readonly subError: string;
  /** The error that MSAL threw. */
  readonly cause: unknown;
}

/** What was being acquired when it failed. */
export interface FailedRequest {
  readonly scopes: readonly string[] | undefined;
  readonly account?: AccountRef | undefined;
}

const CODES: Readonly<Record<FailureKind, AcquisitionErrorCode>> = {
  interaction: "ERR_INTERACTION_REQUIRED",
  consent: "ERR_CONSENT_REQUIRED",
  throttled: "ERR_THROTTLED",
  unavailable: "ERR_PROVIDER_UNAVAILABLE",
  configuration: "ERR_CONFIGURATION",
  refused: "ERR_PROVIDER_REFUSED",
};

/** Fields of MSAL's errors (7.2.1) that its applications read; an error of another shape is passed through. */
const MSAL_FIELDS = [
  "name",
  "errorCode",
  "errorMessage",
  "subError",
  "correlationId",
  "timestamp",
  "traceId",
  "errorNo",
  "status",
] as const;

const added = new WeakSet();

/** True for an error that a failed acquisition threw. */
export function isAcquisitionError(error: unknown): error is AcquisitionError {
  return typeof error === "object" && error !== null && added.has(error);
}

/**
 * True where the same call may succeed later without anybody doing anything: the store, the key ring or the
 * identity provider says only "not now". Answer 503; `retryAfterMs` of an {@link AcquisitionError} says for how long.
 */
export function canRetry(error: unknown): boolean {
  return (error instanceof TokenkeepError || isAcquisitionError(error)) && error.retryable;
}

/** @returns `error` itself where it is not one of MSAL's, or has been through here before */
export function acquisitionError(
  error: unknown,
  trace: Pick<NetworkTrace, "retryAfterMs" | "httpStatus">,
  request: FailedRequest,
): unknown {
  if (!(error instanceof Error) || error instanceof TokenkeepError || added.has(error)) return error;
  const failure = kindOfFailure(error, trace.httpStatus);
  if (!failure) return error;
  const kept = Object.fromEntries(
    Object.entries(error).filter(([name]) => (MSAL_FIELDS as readonly string[]).includes(name)),
  );
  const retryable = failure.kind === "throttled" || failure.kind === "unavailable";
  // A real Error whose prototype is that of MSAL's class: made without running its constructor, which differs.
  const made = Reflect.construct(Error, [error.message, { cause: error }], error.constructor) as Error;
  Object.assign(made, kept, {
    code: CODES[failure.kind],
    retryable,
    retryAfterMs: retryable ? trace.retryAfterMs : undefined,
    reason: failure.reason,
    scopes: Object.freeze([...(request.scopes ?? [])]),
  });
  hide(made, "claims", failure.claims);
  hide(made, "account", request.account);
  // A log shows the cause too.
  if ("claims" in error) hide(error, "claims", error.claims);
  added.add(made);
  return made;
}

/** Readable, and in no log: neither `console.log` nor JSON shows it. */
function hide(error: Error, name: string, value: unknown): void {
  Object.defineProperty(error, name, { value, enumerable: false, configurable: true });
}
