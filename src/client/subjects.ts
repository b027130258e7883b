import { accountRef, type AccountRef } from "../activity/account-ref.ts";
import type { Authority } from "../msal/issuer.ts";
import type { Partition } from "../partitions/partition.ts";
import { requestedAccount } from "./account.ts";
import { userSubject, type UserPartitions } from "./context.ts";

/** Whose tokens a request asks for, and where they lie. */
export interface Subject {
  readonly account: AccountRef;
  readonly partition: Partition;
}

/** @throws {OptionsError} if there is no usable account */
export type Subjects = (
  account: AccountRef | null | undefined,
  authority: Authority,
  hasOwnAuthority: boolean,
) => Subject;

interface Remembered extends Subject {
  readonly given: AccountRef;
  readonly authority: Authority;
  readonly hasOwnAuthority: boolean;
}

/**
 * Sessions and workers ask again and again with the same account object. What was made of it holds as long as its
 * fields and the authority are the same: an application may change the object it has.
 */
export function createSubjects(userPartitions: UserPartitions): Subjects {
  const remembered = new WeakMap<AccountRef, Remembered>();
  return (account, authority, hasOwnAuthority) => {
    const known = account ? remembered.get(account) : undefined;
    if (
      known &&
      account &&
      known.authority === authority &&
      known.hasOwnAuthority === hasOwnAuthority &&
      isSameAccount(known.given, account)
    ) {
      return known;
    }
    const meant = requestedAccount(account, authority, hasOwnAuthority);
    const partition = userPartitions(authority, meant.homeAccountId, userSubject(authority, meant));
    const subject: Remembered = {
      account: meant,
      partition,
      // Mostly it is spelt as it is meant, and there are many of them.
      given: isSameAccount(meant, account as AccountRef) ? meant : accountRef(account as AccountRef),
      authority,
      hasOwnAuthority,
    };
    remembered.set(account as AccountRef, subject);
    return subject;
  };
}

function isSameAccount(a: AccountRef, b: AccountRef): boolean {
  return (
    a.homeAccountId === b.homeAccountId &&
    a.tenantId === b.tenantId &&
    a.environment === b.environment &&
    a.localAccountId === b.localAccountId &&
    a.username === b.username
  );
}
