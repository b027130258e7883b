import { AzureCloudInstance, ProtocolMode } from "@azure/msal-node";
import { canonicalEnvironment, networkHost } from "../blob/environments.ts";
import { OptionsError } from "../errors.ts";
import type { AzureCloudOptions } from "@azure/msal-node";

/** What an authority URL says about where tokens come from. */
export interface Authority {
  /**
   * Names the issuer in partition keys. For Entra ID the cloud's canonical environment: guests hold tokens of
   * several tenants in one partition. Elsewhere host and path: two issuers on one host are two issuers.
   */
  readonly issuer: string;
  /** MSAL's cache environment for this authority's host. */
  readonly environment: string;
  /** The first path segment: a tenant id or domain, `common`, …; empty for a generic OIDC issuer. */
  readonly tenant: string;
  /** The URL as MSAL writes it in results: lower case, a slash at the end, the cloud by the host that is asked. */
  readonly canonical: string;
  /** ADFS has no `client_info`, and so knows users by their local account id. */
  readonly isAdfs: boolean;
}

/** MSAL's default, from msal-common `Constants.DEFAULT_AUTHORITY`. */
const DEFAULT_AUTHORITY = "https://login.microsoftonline.com/common/";
const B2C_PATH_PREFIX = "tfp";
const ANY_TENANT: ReadonlySet<string> = new Set(["common", "organizations", "consumers"]);

export interface AuthorityOptions {
  /** As in MSAL's `auth`. Default: https://login.microsoftonline.com/common. */
  readonly authority?: string | undefined;
  /** As in MSAL's `auth`, if you set them. */
  readonly azureCloudOptions?: AzureCloudOptions | undefined;
  /** As in MSAL's `system`, if you set it. */
  readonly protocolMode?: ProtocolMode | undefined;
}

/** Reads an authority the way MSAL does (`Authority.generateAuthority`, 16.16.1). */
export function parseAuthority(options: AuthorityOptions): Authority {
  const url = authorityUrl(options);
  const isGeneric = options.protocolMode === ProtocolMode.OIDC;
  const given = url.pathname.split("/").filter((segment) => segment !== "");
  const isAdfs = given[0]?.toLowerCase() === "adfs";
  const segments = isGeneric || isAdfs ? given : withoutVersion(given);
  const environment = canonicalEnvironment(url.host);
  const isPolicy = segments.length > 1 || segments[0]?.toLowerCase() === B2C_PATH_PREFIX;
  const ownIssuer = isAdfs || isGeneric || isPolicy;
  // Generic issuers compare exactly (OpenID Connect Core, section 3.1.3.7); Microsoft's paths without case.
  const path = isGeneric ? segments.join("/") : segments.join("/").toLowerCase();
  return {
    issuer: ownIssuer ? `${environment}/${path}` : environment,
    environment,
    tenant: isGeneric ? "" : (segments[0] ?? ""),
    canonical:
      `${url.protocol}//${networkHost(url.host)}${url.pathname.endsWith("/") ? url.pathname : `${url.pathname}/`}`.toLowerCase(),
    isAdfs,
  };
}

/** MSAL asks the same endpoints with it and without (`Authority.defaultOpenIdConfigurationEndpoint`, 16.16.1). */
function withoutVersion(segments: readonly string[]): readonly string[] {
  const hasVersion = segments.length > 1 && segments.at(-1)?.toLowerCase() === "v2.0";
  return hasVersion ? segments.slice(0, -1) : segments;
}

/** True for an authority that stands for every tenant; which one, only an answer says. */
export function isAnyTenant({ tenant }: Authority): boolean {
  return ANY_TENANT.has(tenant.toLowerCase());
}

const CIAM_HOST = ".ciamlogin.com";

function authorityUrl(options: AuthorityOptions): URL {
  const url = givenUrl(options);
  // MSAL adds the tenant that the host names (`Authority.transformCIAMAuthority`, 16.16.1).
  if (url.pathname === "/" && url.host.endsWith(CIAM_HOST)) {
    url.pathname = `/${url.host.split(".")[0] ?? ""}.onmicrosoft.com`;
  }
  return url;
}

function givenUrl({ authority, azureCloudOptions }: AuthorityOptions): URL {
  const cloud = azureCloudOptions?.azureCloudInstance;
  const text =
    cloud && cloud !== AzureCloudInstance.None
      ? `${cloud}/${azureCloudOptions.tenant || "common"}/`
      : (authority ?? DEFAULT_AUTHORITY);
  try {
    return new URL(text);
  } catch {
    if (text !== authority) {
      throw new OptionsError(
        "azureCloudOptions.azureCloudInstance",
        "is none of MSAL's `AzureCloudInstance`",
      );
    }
    throw new OptionsError(
      "authority",
      "is not a URL, as https://login.microsoftonline.com/contoso.com is one",
    );
  }
}
