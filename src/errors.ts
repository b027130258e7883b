/**
 * Every error tokenkeep throws itself, and every code. The code is the contract; the text may improve.
 *
 * No message, property or `cause` that tokenkeep adds ever holds a token, a secret, a key, a blob or a raw
 * partition key. A failed acquisition throws an error of MSAL's own class, because applications already know
 * those, with a code from here added: see `msal/acquisition-error.ts`.
 */

/** What each code means and what to do is in docs/errors.md; a test keeps that table complete. */
export type ErrorCode =
  /** An option is missing or wrong; `option` names it. Always a {@link OptionsError} (a `TypeError`). */
  | "ERR_OPTION_INVALID"
  /** The store could not be opened at start (path, permissions, schema). */
  | "ERR_STORE_OPEN"
  /** A call to the store failed; retry later. Says nothing about whether the user is signed in. */
  | "ERR_STORE_UNAVAILABLE"
  /** The store refused a write because it is full. */
  | "ERR_STORE_FULL"
  /** The store fails, and no more sign-outs can wait for it: nothing was signed out. */
  | "ERR_UNSAVED_FULL"
  /** A record is sealed under a key id this process does not have; retry after the key ring is complete. */
  | "ERR_KEY_UNKNOWN"
  /** Whoever wraps the data keys does not answer; retry later. Says nothing about whether anybody is signed in. */
  | "ERR_KEYS_UNAVAILABLE"
  /** Whoever wraps the data keys refuses: a permission is missing, or it does not know the key. */
  | "ERR_KEYS_REFUSED"
  /** A record was written by a newer version of tokenkeep; retry after the upgrade. */
  | "ERR_RECORD_UNSUPPORTED"
  /** Bytes that claim to be a cache blob are not one. */
  | "ERR_BLOB_INVALID"
  /** An operation produced entries that belong to another account than its partition's. */
  | "ERR_PARTITION_MISMATCH"
  /** The identity provider's answer names no account, so there is no partition to keep it in. */
  | "ERR_ACCOUNT_MISSING"
  /** The account was signed out everywhere after this assertion had been issued. */
  | "ERR_SIGNED_OUT"
  /** The application does not serve the tenant of that account (`tenants`). */
  | "ERR_TENANT_NOT_ALLOWED"
  /** No long-running process goes by that key: never started, stopped, signed out everywhere, or expired. */
  | "ERR_PROCESS_UNKNOWN"
  /** An authorization code has been redeemed already, or is being redeemed, by another process. */
  | "ERR_CODE_REDEEMED"
  /** More accounts than `getAllAccounts()` lists; use `tokenCache.accounts()`. */
  | "ERR_TOO_MANY_ACCOUNTS"
  /** A method of the MSAL interface that a cache shared by many users cannot answer, or what a store cannot do. */
  | "ERR_NOT_SUPPORTED"
  /** The token cache has been closed. */
  | "ERR_CLOSED"
  /** A sign-in flow value is malformed, tampered with or was not made by this application. */
  | "ERR_FLOW_INVALID"
  /** A sign-in flow took longer than its lifetime. */
  | "ERR_FLOW_EXPIRED"
  /** A sign-in flow has already been completed, here or on another node. */
  | "ERR_FLOW_REPLAYED"
  /** The redirect does not answer this flow: `state` or the redirect URI differs. */
  | "ERR_STATE_MISMATCH"
  /** The identity provider answered the authorization request with an error. */
  | "ERR_AUTHORIZATION_FAILED"
  /** A downstream access token is missing, malformed or does not verify. */
  | "ERR_TOKEN_INVALID"
  /** Only the user can help: nobody has signed in, or the provider wants them again. */
  | "ERR_INTERACTION_REQUIRED"
  /** The user or an administrator must consent to the scopes. */
  | "ERR_CONSENT_REQUIRED"
  /** The identity provider asks for fewer requests (429); `retryAfterMs` says for how long, if it did. */
  | "ERR_THROTTLED"
  /** The identity provider cannot be reached or answers with a server error. */
  | "ERR_PROVIDER_UNAVAILABLE"
  /** The application's own credential or registration is wrong; no user can help. */
  | "ERR_CONFIGURATION"
  /** The identity provider refused the request for another reason. */
  | "ERR_PROVIDER_REFUSED";

/** Options shared by the error constructors. */
export interface TokenkeepErrorOptions {
  /** The error underneath, kept as the standard `cause`. */
  readonly cause?: unknown;
  /** Whether the same call may succeed later without anybody doing anything interactive. */
  readonly retryable?: boolean;
}

/** Base class of all errors of this library except wrong options. Switch on {@link TokenkeepError.code}. */
export class TokenkeepError extends Error {
  /** Stable; see docs/errors.md. */
  readonly code: ErrorCode;
  /** True where the same call may succeed later; such an error never means "sign in again". */
  readonly retryable: boolean;

  constructor(code: ErrorCode, message: string, options: TokenkeepErrorOptions = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.name = "TokenkeepError";
    this.code = code;
    this.retryable = options.retryable ?? false;
  }
}

/** A wrong or missing option: a `TypeError`, thrown at construction, that names the option. */
export class OptionsError extends TypeError {
  /** The same for every option; {@link OptionsError.option} says which. */
  readonly code = "ERR_OPTION_INVALID" satisfies ErrorCode;
  /** The option as the caller wrote it, e.g. `tokenCache.keys`. */
  readonly option: string;

  constructor(option: string, problem: string) {
    super(`option \`${option}\` ${problem}`);
    this.name = "OptionsError";
    this.option = option;
  }
}

/** True for an error that says only "not now": the store, or a key this process does not have yet. */
export function isRetryable(error: unknown): boolean {
  return error instanceof TokenkeepError && error.retryable;
}

/** Wraps whatever a store threw; keeps one of our own errors as it is. */
export function storeFailure(store: string, operation: string, cause: unknown): TokenkeepError {
  if (cause instanceof TokenkeepError) return cause;
  return new TokenkeepError("ERR_STORE_UNAVAILABLE", `store ${store}: ${operation} failed`, {
    cause,
    retryable: true,
  });
}
