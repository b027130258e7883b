import type { AccountRef } from "../activity/account-ref.ts";
import { OptionsError } from "../errors.ts";
import { canonicalEnvironment } from "../blob/environments.ts";
import type { Authority } from "../msal/issuer.ts";
import { canonicalHomeAccountId } from "../partitions/partition.ts";

/** Tenants that name nobody in particular: a token is never asked for "in" them. */
const ANY_TENANT = new Set(["common", "organizations", "consumers", ""]);

const OTHER_FIELDS = ["environment", "tenantId", "localAccountId", "username"] as const;

/**
 * The account of a request in the form in which its tokens are stored: MSAL looks entries up by it, and
 * answers `account: null` where only the spelling of the environment differs (measured, msal-node 7.2.1).
 *
 * A tenant that the request's own `authority` names is the tenant asked for. MSAL looks in the account's home
 * tenant then, and would answer with a token of the wrong tenant (measured, msal-node 7.2.1).
 * @throws {OptionsError} if there is no usable account
 */
export function requestedAccount(
  account: AccountRef | null | undefined,
  authority: Authority,
  hasOwnAuthority: boolean,
): AccountRef {
  if (typeof account !== "object" || account === null || typeof account.homeAccountId !== "string") {
    throw new OptionsError("account", "is missing: pass an AccountInfo, or the AccountRef of a sign-in");
  }
  for (const field of OTHER_FIELDS) {
    if (typeof (account[field] ?? "") !== "string")
      throw new OptionsError(`account.${field}`, "must be text");
  }
  const asked = hasOwnAuthority && !ANY_TENANT.has(authority.tenant.toLowerCase()) && !authority.isAdfs;
  return {
    homeAccountId: canonicalHomeAccountId(account.homeAccountId),
    environment: account.environment ? canonicalEnvironment(account.environment) : authority.environment,
    tenantId: asked && isTenantId(authority.tenant) ? authority.tenant : (account.tenantId ?? ""),
    localAccountId: account.localAccountId ?? "",
    username: account.username ?? "",
  };
}

/** A tenant may be named by a domain; then only the provider knows its id, and MSAL's own rule must do. */
function isTenantId(tenant: string): boolean {
  return /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i.test(tenant);
}
