import { credentialKey } from "../blob/keys.ts";
import { SECTIONS, type CacheBlob, type CredentialEntity } from "../blob/entities.ts";
import { sameJson } from "../blob/json.ts";
import { TokenkeepError } from "../errors.ts";
import { canonicalHomeAccountId, type Partition } from "../partitions/partition.ts";
import type { AccountInfo } from "./types.ts";

/**
 * Refuses a result that holds somebody else's entries (invariant 1): the provider answered for another
 * account than the one that was asked for. Only what the operation added or changed is looked at.
 * @throws `ERR_PARTITION_MISMATCH`
 */
export function assertOwnEntries(partition: Partition, base: CacheBlob, mine: CacheBlob): void {
  for (const section of SECTIONS) {
    if (section === "AppMetadata") continue;
    for (const [key, entity] of Object.entries(mine[section])) {
      if (sameJson(entity, base[section][key])) continue;
      if (!belongs(partition, entity.home_account_id)) {
        throw mismatch();
      }
    }
  }
}

/** Only the entries that belong into the partition; for doors whose memory may hold others'. */
export function entriesOf(partition: Partition, blob: CacheBlob): CacheBlob {
  const own = <E extends { readonly home_account_id: string }>(
    section: Readonly<Record<string, E>>,
  ): Record<string, E> =>
    Object.fromEntries(
      Object.entries(section).filter(([, entity]) => belongs(partition, entity.home_account_id)),
    );
  return {
    ...blob,
    Account: own(blob.Account),
    IdToken: own(blob.IdToken),
    AccessToken: own(blob.AccessToken),
    RefreshToken: own(blob.RefreshToken),
  };
}

/**
 * Refuses an answer that names another account than the one asked for. MSAL hands it to the caller, and
 * quietly stores nothing (msal-node 7.2.1), so the entries alone do not show it.
 * @throws `ERR_PARTITION_MISMATCH`
 */
export function assertOwnAccount(partition: Partition, account: AccountInfo | null): void {
  if (account && !belongs(partition, account.homeAccountId)) throw mismatch();
}

function mismatch(): TokenkeepError {
  return new TokenkeepError(
    "ERR_PARTITION_MISMATCH",
    "the identity provider answered for another account than the one asked for; nothing was stored",
  );
}

function belongs(partition: Partition, homeAccountId: string): boolean {
  switch (partition.kind) {
    case "app":
      return homeAccountId === "";
    case "user":
      return canonicalHomeAccountId(homeAccountId) === partition.homeAccountId;
    case "long-running":
      return (
        partition.homeAccountId === undefined ||
        canonicalHomeAccountId(homeAccountId) === partition.homeAccountId
      );
    default:
      // One assertion speaks for one subject, whoever that is.
      return true;
  }
}

/**
 * A refresh may be answered without `id_token` and `client_info` (OpenID Connect Core section 12.2 allows it):
 * MSAL then files the tokens under nobody (msal-node 7.2.1). They belong to whom the refresh token belonged to.
 */
export function ownedBy(homeAccountId: string, blob: CacheBlob): CacheBlob {
  return {
    ...blob,
    AccessToken: reowned(homeAccountId, blob.AccessToken),
    RefreshToken: reowned(homeAccountId, blob.RefreshToken),
  };
}

function reowned<E extends CredentialEntity>(
  homeAccountId: string,
  entities: Readonly<Record<string, E>>,
): Record<string, E> {
  const owned: Record<string, E> = {};
  for (const [key, entity] of Object.entries(entities))
    if (entity.home_account_id !== "") owned[key] = entity;
  for (const entity of Object.values(entities)) {
    if (entity.home_account_id !== "") continue;
    const named = { ...entity, home_account_id: homeAccountId };
    owned[credentialKey(named)] = named;
  }
  return owned;
}
