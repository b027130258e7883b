import { LRUCache } from "lru-cache";
import { accountRef, type AccountRef } from "../activity/account-ref.ts";
import type { Authority } from "../msal/issuer.ts";
import type { Partition } from "../partitions/partition.ts";
import type { PartitionPlace, Partitions } from "../partitions/partitions.ts";
import type { RequestNames } from "./cached-flow.ts";
import { requestedAccount } from "./account.ts";
import { userSubject, type UserPartitions } from "./context.ts";

/** Whose tokens a request asks for, and where they lie. */
export interface Subject {
  readonly account: AccountRef;
  readonly partition: Partition;
  /** The way to its record. */
  readonly place?: PartitionPlace | undefined;
  /** What a plain request for one scope was called that had to be waited for. */
  lastAsked?: { readonly scope: string; readonly names: RequestNames } | undefined;
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

/** Users whose accounts come out of a session anew with each request. */
const REMEMBERED_USERS = 10_000;

/**
 * Workers and tests ask again and again with the same account object, web applications with equal ones. What was made
 * of it holds as long as its fields and the authority are the same: an application may change the object it has.
 */
export function createSubjects(userPartitions: UserPartitions, placeOf: Partitions["place"]): Subjects {
  const remembered = new WeakMap<AccountRef, Remembered>();
  const byUser = new LRUCache<string, Remembered>({ max: REMEMBERED_USERS });
  return (account, authority, hasOwnAuthority) => {
    if (account) {
      const known = remembered.get(account);
      if (known && isSame(known, account, authority, hasOwnAuthority)) return known;
      // An object that comes once is not worth being remembered: that takes longer, and costs the collector more.
      const equal = typeof account.homeAccountId === "string" ? byUser.get(account.homeAccountId) : undefined;
      if (equal && isSame(equal, account, authority, hasOwnAuthority)) return equal;
    }
    const meant = requestedAccount(account, authority, hasOwnAuthority);
    const partition = userPartitions(authority, meant.homeAccountId, userSubject(authority, meant));
    const subject: Remembered = {
      account: meant,
      partition,
      place: placeOf(partition),
      // Mostly it is spelt as it is meant, and there are many of them.
      given: isSameAccount(meant, account as AccountRef) ? meant : accountRef(account as AccountRef),
      authority,
      hasOwnAuthority,
    };
    remembered.set(account as AccountRef, subject);
    byUser.set((account as AccountRef).homeAccountId, subject);
    return subject;
  };
}

function isSame(
  known: Remembered,
  account: AccountRef,
  authority: Authority,
  hasOwnAuthority: boolean,
): boolean {
  return (
    known.authority === authority &&
    known.hasOwnAuthority === hasOwnAuthority &&
    isSameAccount(known.given, account)
  );
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
