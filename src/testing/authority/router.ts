/** From path to endpoint. */
import { authorizeEndpoint } from "./authorize-endpoint.ts";
import { deviceCodeEntryEndpoint, logoutEndpoint } from "./browser-endpoints.ts";
import type { CallKind } from "./call-log.ts";
import {
  isShared,
  issuerOf,
  jsonAnswer,
  tenantOf,
  type AuthorityAnswer,
  type AuthorityContext,
  type AuthorityRequest,
} from "./context.ts";
import type { Jwks } from "./jwt.ts";
import { errorBody, OAuthError } from "./oauth-error.ts";
import { deviceAuthorizationEndpoint, tokenEndpoint } from "./token-endpoint.ts";

type Endpoint = (
  context: AuthorityContext,
  segment: string,
  request: AuthorityRequest,
) => AuthorityAnswer | undefined | Promise<AuthorityAnswer | undefined>;

interface Route {
  readonly methods: readonly string[];
  readonly endpoint: Endpoint;
}

const GET = ["GET"] as const;
const POST = ["POST"] as const;

const ROUTES: ReadonlyMap<string, Route> = new Map([
  ["v2.0/.well-known/openid-configuration", { methods: GET, endpoint: metadataEndpoint }],
  ["discovery/v2.0/keys", { methods: GET, endpoint: keysEndpoint }],
  ["oauth2/v2.0/authorize", { methods: ["GET", "POST"], endpoint: authorizeEndpoint }],
  ["oauth2/v2.0/token", { methods: POST, endpoint: tokenEndpoint }],
  ["oauth2/v2.0/devicecode", { methods: POST, endpoint: deviceAuthorizationEndpoint }],
  [
    "oauth2/v2.0/deviceauth",
    {
      methods: ["GET", "POST"],
      endpoint: (context, _segment, request) => deviceCodeEntryEndpoint(context, request),
    },
  ],
  ["oauth2/v2.0/logout", { methods: GET, endpoint: logoutEndpoint }],
]);

/** Answers one request; `undefined` means that the connection breaks. */
export async function route(
  context: AuthorityContext,
  request: AuthorityRequest,
): Promise<AuthorityAnswer | undefined> {
  const path = request.url.split("?", 1)[0] ?? "";
  const [, segment = "", ...rest] = path.split("/");
  const found = ROUTES.get(rest.join("/"));
  if (found === undefined || segment === "") return jsonAnswer(404, { error: "not_found" });
  if (!found.methods.includes(request.method)) {
    return jsonAnswer(405, { error: "method_not_allowed" }, { allow: found.methods.join(", ") });
  }
  return await found.endpoint(context, segment, request);
}

/** The OpenID configuration of a tenant (OpenID Connect Discovery 1.0 section 3). */
export function metadataOf(context: AuthorityContext, segment: string): Readonly<Record<string, unknown>> {
  const base = `${context.baseUrl()}/${segment}`;
  return {
    issuer: issuerOf(context, isShared(segment) ? "{tenantid}" : segment),
    authorization_endpoint: `${base}/oauth2/v2.0/authorize`,
    token_endpoint: `${base}/oauth2/v2.0/token`,
    device_authorization_endpoint: `${base}/oauth2/v2.0/devicecode`,
    end_session_endpoint: `${base}/oauth2/v2.0/logout`,
    jwks_uri: `${base}/discovery/v2.0/keys`,
    response_types_supported: ["code"],
    response_modes_supported: ["query", "fragment", "form_post"],
    scopes_supported: ["openid", "profile", "email", "offline_access"],
    subject_types_supported: ["pairwise"],
    code_challenge_methods_supported: ["S256"],
    id_token_signing_alg_values_supported: ["RS256"],
    token_endpoint_auth_methods_supported: ["client_secret_post", "client_secret_basic", "private_key_jwt"],
  };
}

/** The public keys, newest first. */
export const jwksOf = (context: AuthorityContext): Jwks => ({
  keys: context.signingKeys.map((key) => key.jwk),
});

function metadataEndpoint(context: AuthorityContext, segment: string): AuthorityAnswer {
  return readDocument(context, segment, "metadata", () =>
    metadataOf(context, tenantOf(context, segment)?.tenantId ?? segment),
  );
}

function keysEndpoint(context: AuthorityContext, segment: string): AuthorityAnswer {
  return readDocument(context, segment, "keys", () => {
    tenantOf(context, segment);
    return jwksOf(context);
  });
}

function readDocument(
  context: AuthorityContext,
  segment: string,
  grant: CallKind,
  read: () => unknown,
): AuthorityAnswer {
  const at = context.runtime.now();
  const call = { at, grant, tenant: segment, scopes: [], delivered: true };
  try {
    const body = read();
    context.log.add({ ...call, outcome: "ok" });
    return jsonAnswer(200, body);
  } catch (error) {
    if (!(error instanceof OAuthError)) throw error;
    context.log.add({ ...call, outcome: error.error, errorNumber: error.number });
    return jsonAnswer(error.status, errorBody(error, at, undefined));
  }
}
