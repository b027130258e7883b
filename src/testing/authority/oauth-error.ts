/** Failures in the words of OAuth 2.0 (RFC 6749 section 5.2) and Entra ID (AADSTS numbers, suberrors). */
import { guidFrom } from "./options.ts";

/** A failure that the protocol has a name for. Never holds what the request carried. */
export class OAuthError extends Error {
  readonly error: string;
  /** The AADSTS number. */
  readonly number: number;
  readonly status: number;
  readonly suberror: string | undefined;
  readonly claims: string | undefined;

  constructor(
    error: string,
    number: number,
    text: string,
    extra: { readonly status?: number; readonly suberror?: string; readonly claims?: string } = {},
  ) {
    super(`AADSTS${number}: ${text}`);
    this.name = "OAuthError";
    this.error = error;
    this.number = number;
    this.status = extra.status ?? (error === "invalid_client" ? 401 : 400);
    this.suberror = extra.suberror;
    this.claims = extra.claims;
  }
}

/** A refresh token or code that will never work again; MSAL drops a refresh token on `bad_token`. */
export const deadToken = (number: number, text: string): OAuthError =>
  new OAuthError("invalid_grant", number, text, { suberror: "bad_token" });

/** Consent is missing for something that was asked for. */
export const consentRequired = (): OAuthError =>
  new OAuthError("invalid_grant", 65001, "The user has not consented to use the application.", {
    suberror: "consent_required",
  });

/** The user must do more before a token is issued; `claims` says what. */
export const interactionRequired = (claims: string): OAuthError =>
  new OAuthError("interaction_required", 50076, "The user must complete an additional step to sign in.", {
    suberror: "basic_action",
    claims,
  });

/** The JSON body of a failed token request. */
export function errorBody(
  failure: OAuthError,
  nowMs: number,
  correlationId: string | undefined,
): Readonly<Record<string, unknown>> {
  const timestamp = `${new Date(nowMs).toISOString().slice(0, 19).replace("T", " ")}Z`;
  const traceId = guidFrom(`trace:${nowMs}:${failure.number}`);
  const correlation = correlationId ?? traceId;
  return {
    error: failure.error,
    error_description: `${failure.message} Trace ID: ${traceId} Correlation ID: ${correlation} Timestamp: ${timestamp}`,
    error_codes: [failure.number],
    timestamp,
    trace_id: traceId,
    correlation_id: correlation,
    ...(failure.suberror === undefined ? {} : { suberror: failure.suberror }),
    ...(failure.claims === undefined ? {} : { claims: failure.claims }),
  };
}
