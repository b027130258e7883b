import { classifyFailure } from "../activity/outcome.ts";
import { TokenkeepError, type ErrorCode } from "../errors.ts";

/** What a sign-in can fail with that is the browser's doing: begin a new one. */
const BAD_SIGN_IN: ReadonlySet<ErrorCode> = new Set([
  "ERR_FLOW_INVALID",
  "ERR_FLOW_EXPIRED",
  "ERR_FLOW_REPLAYED",
  "ERR_STATE_MISMATCH",
  "ERR_CODE_REDEEMED",
  "ERR_AUTHORIZATION_FAILED",
]);

/** The HTTP status an error should be answered with; `undefined`: nothing is known about it. */
export function statusOf(error: object, where?: "in-sign-in"): number | undefined {
  if (error instanceof TokenkeepError) {
    if (error.retryable) return 503;
    if (error.code === "ERR_ACCOUNT_MISSING" || error.code === "ERR_SIGNED_OUT") return 401;
    if (error.code === "ERR_TENANT_NOT_ALLOWED") return 403;
    return BAD_SIGN_IN.has(error.code) ? 400 : 500;
  }
  // The id token answers another sign-in than this browser's (OpenID Connect Core section 3.1.3.7).
  if (where === "in-sign-in" && (error as { errorCode?: unknown }).errorCode === "nonce_mismatch") return 400;
  const outcome = classifyFailure(error);
  if (!outcome) return undefined;
  if (outcome.status === "retry-later") return 503;
  // In a sign-in the provider has refused the code; anywhere else, the user's refresh token.
  return where === "in-sign-in" ? 400 : 401;
}
