import { isAnyTenant } from "../msal/issuer.ts";
import type { SilentFlowRequest } from "../msal/types.ts";
import { isTenantId } from "./account.ts";
import type { AuthorityRequest, ClientContext } from "./context.ts";
import { namesAuthority, type Silent } from "./silent-flow.ts";

/**
 * Names the authority of the account's `tenantId`, where the request and the client name another tenant or none. MSAL
 * searches its cache by that tenant and renews at the client's own authority all the same, so that it answers with a
 * token of another tenant, each time anew (measured, msal-node 7.2.1).
 */
export function inAskedTenant(context: ClientContext, { request, account }: Silent): SilentFlowRequest {
  const authority = context.authority(request);
  const { tenantId, homeAccountId } = account;
  if (namesAuthority(request) || !isTenantId(tenantId)) return request;
  // Policies, ADFS and other issuers have no tenants that could be exchanged for each other.
  if (authority.issuer !== authority.environment) return request;
  const answered = isAnyTenant(authority) ? homeAccountId.split(".")[1] : authority.tenant;
  // Only the provider knows which tenant a domain is.
  if (!answered || !isTenantId(answered) || answered.toLowerCase() === tenantId.toLowerCase()) return request;
  return { ...request, ...authorityOf(context, request, authority.canonical, tenantId) };
}

function authorityOf(
  context: ClientContext,
  request: AuthorityRequest,
  canonical: string,
  tenant: string,
): Pick<SilentFlowRequest, "authority" | "azureCloudOptions"> {
  const cloud = request.azureCloudOptions ?? context.auth.azureCloudOptions;
  // These go before an authority, in MSAL.
  if (cloud && cloud.azureCloudInstance !== "none") return { azureCloudOptions: { ...cloud, tenant } };
  return { authority: `${new URL(canonical).origin}/${tenant}` };
}
