/** Several accounts in one browser session: the list, and which of them is the active one. */
import type { AccountRef } from "../activity/account-ref.ts";
import { TokenkeepError } from "../errors.ts";
import type { SignInSession } from "./session.ts";

/** About 250 bytes each; with the flows of a sign-in under way they still fit into a sealed cookie. */
const MAX_ACCOUNTS = 5;

/** Everybody who has signed in in this session, the active account first. */
export function accountsOf({ account, accounts = [] }: SignInSession): AccountRef[] {
  return account ? [account, ...accounts.filter((known) => !isSame(known, account))] : [...accounts];
}

/** Signs somebody in beside those who are there, and makes them the active one; the one who was active longest ago goes. */
export function addAccount(session: SignInSession, account: AccountRef): void {
  makeActive(session, account, accountsOf(session));
}

/** @throws `ERR_ACCOUNT_MISSING` for an account that has not signed in in this session: an id proves nothing */
export function switchAccount(session: SignInSession, homeAccountId: string): AccountRef {
  const known = accountsOf(session);
  const account = known.find((candidate) => candidate.homeAccountId === homeAccountId);
  if (!account) throw new TokenkeepError("ERR_ACCOUNT_MISSING", "this account is not in the session");
  makeActive(session, account, known);
  return account;
}

/** Takes the active account out. @returns who is active now */
export function leaveAccount(session: SignInSession): AccountRef | undefined {
  const [, next, ...others] = accountsOf(session);
  if (next) {
    makeActive(session, next, others);
  } else {
    delete session.account;
    delete session.accounts;
  }
  return next;
}

function makeActive(session: SignInSession, account: AccountRef, known: readonly AccountRef[]): void {
  session.account = account;
  const others = known.filter((candidate) => !isSame(candidate, account)).slice(0, MAX_ACCOUNTS - 1);
  if (others.length > 0) session.accounts = [account, ...others];
  else delete session.accounts;
}

function isSame(a: AccountRef, b: AccountRef): boolean {
  return a.homeAccountId === b.homeAccountId && a.environment === b.environment;
}
