import { OptionsError } from "../errors.ts";

/**
 * What identifies an account, and nothing secret: JSON-safe, about 200 bytes. It goes into a session, a cookie
 * or a queue job, and is what `account:` of every request accepts.
 */
export interface AccountRef {
  readonly homeAccountId: string;
  readonly environment: string;
  readonly tenantId: string;
  readonly localAccountId: string;
  readonly username: string;
}

/**
 * The reference of an account: MSAL's `AccountInfo` without its tokens and claims.
 * @throws {OptionsError} named `account`, for what is no account: a result's may be `null`
 */
export function accountRef(account: AccountRef): AccountRef {
  if (typeof (account as Partial<AccountRef> | null | undefined)?.homeAccountId !== "string") {
    throw new OptionsError("account", "is missing: pass an AccountInfo, e.g. `result.account`");
  }
  const { homeAccountId, environment, tenantId, localAccountId, username } = account;
  return { homeAccountId, environment, tenantId, localAccountId, username };
}
