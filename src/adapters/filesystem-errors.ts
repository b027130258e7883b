/** What the system's error codes mean for a caller of the filesystem store. */
import { storeFailure, TokenkeepError } from "../errors.ts";

const FULL = new Set(["ENOSPC", "EDQUOT", "EFBIG"]);

export function codeOf(error: unknown): string | undefined {
  return (error as NodeJS.ErrnoException | undefined)?.code;
}

export function isMissing(error: unknown): boolean {
  return codeOf(error) === "ENOENT";
}

/** Why, in the system's words and without the path: "EACCES: permission denied". */
export function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return "no reason given";
  return error.message.split(", ", 1).join("");
}

/** An ERR_STORE_OPEN, which is final until somebody changes the folder or the path. */
export function openFailure(problem: string, cause?: unknown): TokenkeepError {
  return new TokenkeepError("ERR_STORE_OPEN", `store filesystem: ${problem}`, { cause });
}

/** Something is wrong with one file, and only a person can mend it; see `sqliteFailure` for why it is retryable. */
export function fileFailure(problem: string): TokenkeepError {
  return new TokenkeepError("ERR_STORE_UNAVAILABLE", `store filesystem: ${problem}`, { retryable: true });
}

/** Every failure is retryable: none says anything about whether a user is signed in. */
export function filesystemFailure(operation: string, cause: unknown): Error {
  // A wrong argument is the caller's and says so itself.
  if (cause instanceof TypeError && "option" in cause) return cause;
  if (FULL.has(codeOf(cause) ?? "")) {
    const message = `store filesystem: ${operation} failed, the disk or the quota is full`;
    return new TokenkeepError("ERR_STORE_FULL", message, { cause, retryable: true });
  }
  return storeFailure("filesystem", operation, cause);
}
