/** What the flows have in common that exchange an assertion: whose it is, and whether it still counts. */
import { lastExpiry } from "../blob/prune.ts";
import type { CacheBlob } from "../blob/entities.ts";
import { TokenkeepError } from "../errors.ts";
import { decodeClaims } from "../msal/cached-result.ts";
import type { AccountInfo, OnBehalfOfRequest } from "../msal/types.ts";
import type { ListOptions } from "../partitions/account-record.ts";
import { accountPartition, type Partition } from "../partitions/partition.ts";
import type { ClientContext } from "./context.ts";

/** What an assertion was exchanged for, and by which request. */
export interface Exchanged {
  readonly request: OnBehalfOfRequest;
  readonly account: Pick<AccountInfo, "homeAccountId">;
  readonly mine: CacheBlob;
}

/**
 * Lists a partition in the user's account record, before it is written: sign-out everywhere finds it.
 * @returns what the record is to be written with
 * @throws `ERR_SIGNED_OUT` for an assertion issued before the user signed out everywhere; retryable store errors
 */
export async function listForUser(
  context: ClientContext,
  partition: Partition,
  { request, account, mine }: Exchanged,
  options?: ListOptions,
): Promise<{ readonly unlisted: boolean }> {
  const owner = accountPartition(partition, account.homeAccountId);
  const expiresAtMs = (lastExpiry(mine) ?? 0) * 1000;
  const entry = { id: partition.id, kind: partition.kind, expiresAtMs };
  const { record, listed } = await context.parts.partitions.list(owner, entry, options);
  if (isOlder(request.oboAssertion, record.signedOutAtMs)) throw signedOut();
  return { unlisted: !listed };
}

/** `iat` has whole seconds (RFC 7519 section 4.1.6): in doubt the assertion is the older one. */
function isOlder(assertion: string, signedOutAtMs: number | undefined): boolean {
  if (signedOutAtMs === undefined) return false;
  const atMs = issuedAtMs(assertion);
  return atMs === undefined || atMs <= signedOutAtMs;
}

export function issuedAtMs(assertion: string): number | undefined {
  const issuedAt = Number((decodeClaims(assertion) as { iat?: unknown } | undefined)?.iat);
  return Number.isFinite(issuedAt) ? issuedAt * 1000 : undefined;
}

export function signedOut(): TokenkeepError {
  return new TokenkeepError(
    "ERR_SIGNED_OUT",
    "the user was signed out everywhere after this assertion had been issued; a new one is needed",
  );
}
