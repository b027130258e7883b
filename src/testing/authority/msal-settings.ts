/** What MSAL Node must be told to talk to a local authority. */
import { OptionsError } from "../../errors.ts";
import type { AuthorityAnswer, AuthorityContext, AuthorityRequest } from "./context.ts";
import { metadataOf } from "./router.ts";

/** The `auth` part of an MSAL configuration. */
export interface MsalAuthSettings {
  /** A registered application's. */
  clientId: string;
  /** Its secret. */
  clientSecret?: string;
  /** A tenant of the local authority. */
  authority: string;
  /** Its host. */
  knownAuthorities: string[];
  /** Its endpoints, so that MSAL need not ask for them. */
  authorityMetadata: string;
}

/** MSAL's network module, by its shape: `system.networkClient`. */
export interface InProcessNetworkClient {
  /** As MSAL's `INetworkModule`. */
  sendGetRequestAsync<T>(url: string, options?: InProcessRequestOptions): Promise<InProcessResponse<T>>;
  /** As MSAL's `INetworkModule`. */
  sendPostRequestAsync<T>(url: string, options?: InProcessRequestOptions): Promise<InProcessResponse<T>>;
}

/** Headers and form body of one request. */
export interface InProcessRequestOptions {
  /** By name. */
  readonly headers?: Record<string, string>;
  /** A form. */
  readonly body?: string;
}

/** An answer as MSAL wants it. */
export interface InProcessResponse<T> {
  /** Lower-case names. */
  headers: Record<string, string>;
  /** Parsed JSON. */
  body: T;
  /** HTTP status. */
  status: number;
}

/** A host that MSAL knows by heart, aliases included; naming it as known would lose the aliases. */
const PUBLIC_CLOUD = "login.microsoftonline.com";

/**
 * MSAL (7.2) refuses an `http` authority, but takes the endpoints from `authorityMetadata` as they are. With
 * `{tenant}` left in them they follow the authority of each request, so one client reaches every tenant.
 */
export function msalAuthSettings(
  context: AuthorityContext,
  tenantNameOrId: string,
  clientId: string,
): MsalAuthSettings {
  const app = context.directory.app(clientId);
  if (app === undefined) throw new OptionsError("clientId", "names no registration of this authority");
  const segment = context.directory.tenant(tenantNameOrId)?.tenantId ?? tenantNameOrId;
  const host = context.authorityHost;
  return {
    clientId: app.clientId,
    ...(app.clientSecret === undefined ? {} : { clientSecret: app.clientSecret }),
    authority: `https://${host}/${segment}`,
    knownAuthorities: host === PUBLIC_CLOUD ? [] : [host],
    authorityMetadata: JSON.stringify(metadataOf(context, "{tenant}")),
  };
}

/** A network module that reaches the authority without a socket, whatever URL it listens on, if any. */
export function createNetworkClient(
  context: AuthorityContext,
  handle: (request: AuthorityRequest) => Promise<AuthorityAnswer | undefined>,
): InProcessNetworkClient {
  const send = async <T>(
    method: string,
    url: string,
    options: InProcessRequestOptions = {},
  ): Promise<InProcessResponse<T>> => {
    const { origin, pathname, search } = new URL(url);
    if (origin !== `https://${context.authorityHost}` && origin !== new URL(context.baseUrl()).origin) {
      throw new Error(`the local authority is not at ${origin}`);
    }
    const headers = Object.fromEntries(
      Object.entries(options.headers ?? {}).map(([name, value]) => [name.toLowerCase(), value]),
    );
    const request = { method, url: `${pathname}${search}`, headers, body: options.body ?? "" };
    const answer = await handle(request);
    if (answer === undefined) throw Object.assign(new Error("connection reset"), { code: "ECONNRESET" });
    return { status: answer.status, headers: { ...answer.headers }, body: JSON.parse(answer.body) as T };
  };
  return {
    sendGetRequestAsync: (url, options) => send("GET", url, options),
    sendPostRequestAsync: (url, options) => send("POST", url, options),
  };
}
