import type { AccountRef } from "../activity/account-ref.ts";
import { OptionsError } from "../errors.ts";
import { canonicalEnvironment } from "../blob/environments.ts";
import type { Authority } from "../msal/issuer.ts";
import { canonicalHomeAccountId } from "../partitions/partition.ts";

/** Tenants that name nobody in particular: a token is never asked for "in" them. */
const ANY_TENANT = new Set(["common", "organizations", "consumers", ""]);

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
  const environment = textOf(account, "environment");
  const asked = hasOwnAuthority && !ANY_TENANT.has(authority.tenant.toLowerCase()) && !authority.isAdfs;
  return {
    homeAccountId: canonicalHomeAccountId(account.homeAccountId),
    environment: environment
      ? sameText(environment, canonicalEnvironment(environment))
      : authority.environment,
    tenantId: asked && isTenantId(authority.tenant) ? authority.tenant : textOf(account, "tenantId"),
    localAccountId: textOf(account, "localAccountId"),
    username: textOf(account, "username"),
  };
}

/** Of two equal texts the one that the caller will bring again: it is compared faster. */
function sameText(given: string, meant: string): string {
  return given === meant ? given : meant;
}

/** MSAL's result has a claim as the provider sent it, be it a number; what is stored is text. */
function textOf(account: AccountRef, field: Exclude<keyof AccountRef, "homeAccountId">): string {
  const value: unknown = account[field] ?? "";
  if (typeof value === "number" || typeof value === "boolean") return `${value}`;
  if (typeof value !== "string") throw new OptionsError(`account.${field}`, "must be text");
  return value;
}

/** A tenant may be named by a domain; then only the provider knows its id, and MSAL's own rule must do. */
export function isTenantId(tenant: string): boolean {
  return /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i.test(tenant);
}
