/** From an error to a page that says what to do next. */
import type { ErrorRequestHandler } from "express";
import { needsSignIn, TokenkeepError, type ErrorCode } from "../../src/index.ts";
import { errorPage, type Problem } from "./pages.ts";

const STATUS: Readonly<Record<Problem, number>> = Object.freeze({
  "foreign-form": 403,
  "sign-in-again": 401,
  "sign-in-refused": 400,
  "sign-in-expired": 400,
  "sign-in-elsewhere": 400,
  "sign-in-unknown": 400,
  "sign-in-repeated": 400,
  "sign-in-failed": 400,
  "not-found": 404,
  busy: 503,
  downstream: 502,
  unknown: 500,
});

const SIGN_IN_PROBLEMS: Readonly<Partial<Record<ErrorCode, Problem>>> = Object.freeze({
  ERR_AUTHORIZATION_FAILED: "sign-in-refused",
  ERR_FLOW_EXPIRED: "sign-in-expired",
  ERR_STATE_MISMATCH: "sign-in-elsewhere",
  ERR_FLOW_INVALID: "sign-in-unknown",
  ERR_FLOW_REPLAYED: "sign-in-repeated",
  ERR_CODE_REDEEMED: "sign-in-repeated",
});

/** The last handler of the app. Express knows it by its four parameters. */
export const answerErrors: ErrorRequestHandler = (error: unknown, _req, res, next) => {
  const problem = problemOf(error);
  // Codes, not texts: a log is read by many.
  const { name, code, errorCode } = error as { name?: string; code?: string; errorCode?: string };
  console.error(`answered ${STATUS[problem]}: ${name ?? "error"} ${errorCode ?? code ?? ""}`.trimEnd());
  if (res.headersSent) return next(error);
  if (problem === "busy") res.set("retry-after", "5");
  res.status(STATUS[problem]).send(errorPage(problem));
};

function problemOf(error: unknown): Problem {
  const { statusCode, retryable } = error as {
    readonly statusCode?: unknown;
    readonly retryable?: unknown;
  };
  if (retryable === true || statusCode === 503) return "busy";
  // First, because a code that is refused looks like a refresh token that is.
  if (statusCode === 400) {
    return (error instanceof TokenkeepError && SIGN_IN_PROBLEMS[error.code]) || "sign-in-failed";
  }
  if (needsSignIn(error) || statusCode === 401) return "sign-in-again";
  return statusCode === 502 ? "downstream" : "unknown";
}
