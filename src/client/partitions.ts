import { checkObject } from "../checks.ts";
import { parseAuthority, type AuthorityOptions } from "../msal/issuer.ts";
import * as named from "../partitions/partition.ts";
import type { Partition, PartitionScope } from "../partitions/partition.ts";

/** Which application asks which authority: what every partition is made from. */
export interface PartitionOwner extends AuthorityOptions {
  /** The application's id, as in MSAL's `auth`. */
  readonly clientId: string;
}

function scopeOf(owner: PartitionOwner): PartitionScope {
  checkObject(owner, "owner");
  return { clientId: owner.clientId, issuer: parseAuthority(owner).issuer };
}

/** The partition of one user; on ADFS pass the account's `localAccountId`. Where `createConfidentialClient` keeps it too. */
export function userPartition(owner: PartitionOwner, homeAccountId: string): Partition {
  return named.userPartition(scopeOf(owner), homeAccountId);
}

/** The partition of the application's own tokens in the tenant that `authority` names. */
export function appPartition(owner: PartitionOwner): Partition {
  return named.appPartition(scopeOf(owner), parseAuthority(owner).tenant || "-");
}

/**
 * The partition of what one assertion is exchanged for in the tenant that `authority` names. Of the assertion only a
 * SHA-256 is kept.
 */
export function oboPartition(owner: PartitionOwner, assertion: string): Partition {
  return named.oboPartition(scopeOf(owner), assertion, parseAuthority(owner).tenant || "-");
}
