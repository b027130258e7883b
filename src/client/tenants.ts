/** Which tenants an application serves: asked before anything of a user is stored. */
import { accountRef, type AccountRef } from "../activity/account-ref.ts";
import { OptionsError, TokenkeepError } from "../errors.ts";

/**
 * The tenants whose users may sign in: their ids, or a function that says so of one, e.g. from the table of customers.
 * What it throws is what the sign-in fails with.
 */
export type AllowedTenants =
  readonly string[] | ((tenantId: string, account: AccountRef) => boolean | Promise<boolean>);

/** @throws `ERR_TENANT_NOT_ALLOWED`, and what the application's function throws */
export type TenantGate = (account: AccountRef) => Promise<void>;

/** The account's `tenantId` is that of the token, which for a guest is not the home tenant. */
export function createTenantGate(allowed: AllowedTenants | undefined): TenantGate | undefined {
  if (allowed === undefined) return undefined;
  const known = typeof allowed === "function" ? undefined : new Set(allowed.map((id) => id.toLowerCase()));
  return async (account) => {
    const { tenantId } = account;
    const isAllowed =
      typeof allowed === "function"
        ? (await allowed(tenantId, accountRef(account))) === true
        : known?.has(tenantId.toLowerCase());
    if (isAllowed) return;
    throw new TokenkeepError(
      "ERR_TENANT_NOT_ALLOWED",
      "this application does not serve the tenant of this account; nothing was stored",
    );
  };
}

const TENANT_ID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i;

/** A domain would never match: tokens name their tenant by its id. @throws {OptionsError} */
export function checkTenants(allowed: AllowedTenants | undefined): void {
  if (allowed === undefined || typeof allowed === "function") return;
  if (!Array.isArray(allowed) || !allowed.every((id) => typeof id === "string" && TENANT_ID.test(id))) {
    throw new OptionsError("tenants", "must be a function, or an array of tenant ids (GUIDs, not domains)");
  }
}
