/** What PostgreSQL's error codes (appendix A of its manual) mean for a caller of the store. */
import { storeFailure, TokenkeepError } from "../errors.ts";

const NO_SUCH_TABLE = "42P01";
const NO_SUCH_SCHEMA = "3F000";
const DISK_FULL = "53100";

/** What helps, by SQLSTATE. */
const ADVICE: Readonly<Record<string, string>> = Object.freeze({
  "25006": "the server is read-only: the pool leads to a replica, or to a primary that became one",
  "28P01": "the password is wrong",
  "40001":
    "the connection uses a stricter isolation than READ COMMITTED; set default_transaction_isolation back",
  "42501": "the role may not use tokenkeep's tables; grant it SELECT, INSERT, UPDATE and DELETE on them",
  "53300": "the server has no connection left; make the pool smaller or max_connections larger",
  "55P03": "another transaction held the lock of this row for too long; nothing was written",
  "57014": "the statement was cancelled or took longer than statement_timeout; nothing was written",
});

/** The SQLSTATE of an error that the server has sent; any other error is of the connection. */
export function sqlStateOf(error: unknown): string | undefined {
  if (!(error instanceof Error) || !("code" in error) || !("severity" in error)) return undefined;
  return typeof error.code === "string" ? error.code : undefined;
}

/** True if no server was told, or it has forgotten, what the statement of this name is: nothing has run. */
export function isUnprepared(error: unknown): boolean {
  const code = sqlStateOf(error);
  return code === "26000" || code === "42P05";
}

/** The tables are not there, or not as they should be. Retryable: once somebody has acted the same call succeeds. */
export function schemaFailure(problem: string): TokenkeepError {
  return new TokenkeepError("ERR_STORE_OPEN", `store postgres: ${problem}`, { retryable: true });
}

/** Every failure is retryable: none says anything about whether a user is signed in. */
export function postgresFailure(operation: string, error: unknown): Error {
  if (error instanceof TokenkeepError) return error;
  // A wrong argument is the caller's and says so itself.
  if (error instanceof TypeError && "option" in error) return error;
  const code = sqlStateOf(error);
  if (code === undefined) return storeFailure("postgres", operation, withoutValues(error));
  if (code === NO_SUCH_TABLE || code === NO_SUCH_SCHEMA) {
    return schemaFailure("its tables are not there; run `await store.migrate()` once, e.g. when you deploy");
  }
  const cause = withoutValues(error);
  if (code === DISK_FULL) {
    const message = `store postgres: ${operation} failed, the server's disk is full`;
    return new TokenkeepError("ERR_STORE_FULL", message, { cause, retryable: true });
  }
  const advice = ADVICE[code];
  if (advice === undefined) return storeFailure("postgres", operation, cause);
  const message = `store postgres: ${operation} failed, ${advice}`;
  return new TokenkeepError("ERR_STORE_UNAVAILABLE", message, { cause, retryable: true });
}

/** `detail` and `where` of a server's error may repeat a key or a row; one of the pool holds the whole client. */
function withoutValues(error: unknown): Error {
  if (!(error instanceof Error)) return new Error("no reason given");
  const code = "code" in error && typeof error.code === "string" ? error.code : undefined;
  return Object.assign(new Error(error.message || code || error.name), code === undefined ? {} : { code });
}
