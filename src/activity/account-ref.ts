import { OptionsError } from "../errors.ts";

/**
 * What identifies an account, and nothing secret: JSON-safe, about 200 bytes. It goes into a session, a cookie
 * or a queue job, and is what `account:` of every request accepts.
 */
export interface AccountRef {
  /** `uid.utid` with Entra ID: the user and their home tenant. Names the user's record. */
  readonly homeAccountId: string;
  /** The cloud or issuer host, in any of its spellings. */
  readonly environment: string;
  /** The tenant that tokens are asked for in by default; a guest's may be another than the home tenant. */
  readonly tenantId: string;
  /** The user's id in that tenant (`oid`, else `sub`). */
  readonly localAccountId: string;
  /** The sign-in name, for people to read; may be empty. Identifies nobody. */
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
