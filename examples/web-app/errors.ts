/** From an error to a page that says what to do next. */
import type { ErrorRequestHandler } from "express";
import { needsSignIn } from "../../src/index.ts";
import { errorPage, type Problem } from "./pages.ts";

const STATUS: Readonly<Record<Problem, number>> = Object.freeze({
  "foreign-form": 403,
  "sign-in-again": 401,
  "sign-in-failed": 400,
  "not-found": 404,
  busy: 503,
  downstream: 502,
  unknown: 500,
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
  if (needsSignIn(error) || statusCode === 401) return "sign-in-again";
  if (statusCode === 400) return "sign-in-failed";
  return statusCode === 502 ? "downstream" : "unknown";
}
