/** Who is calling the token endpoint: secrets and signed assertions compared, public clients named. */
import { constants, createHash, createPublicKey, timingSafeEqual, verify } from "node:crypto";
import { issuerOf, param, type AuthorityContext } from "./context.ts";
import type { Registration } from "./directory.ts";
import { decodeJwt, type DecodedJwt } from "./jwt.ts";
import { OAuthError } from "./oauth-error.ts";
import type { FederatedCredential } from "./options.ts";

const ASSERTION_TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

/** The registration that sent the request (RFC 6749 section 2.3, RFC 7523 section 3). */
export function authenticateClient(
  context: AuthorityContext,
  params: URLSearchParams,
  authorization: string | undefined,
): Registration {
  const basic = readBasic(authorization);
  const clientId = basic?.clientId ?? param(params, "client_id");
  const app = clientId === undefined ? undefined : context.directory.app(clientId);
  if (app === undefined) {
    throw new OAuthError("unauthorized_client", 700016, "The application was not found.");
  }
  const secret = basic?.secret ?? param(params, "client_secret");
  const assertion = param(params, "client_assertion");
  if (app.isPublic) {
    if (secret === undefined && assertion === undefined) return app;
    throw new OAuthError("invalid_client", 700025, "The client is public and must not send a credential.");
  }
  if (assertion !== undefined) {
    checkAssertion(context, app, assertion, param(params, "client_assertion_type"));
    return app;
  }
  if (secret === undefined) {
    throw new OAuthError("invalid_client", 7000218, "The request has no client_secret or client_assertion.");
  }
  if (app.clientSecret === undefined || !equal(secret, app.clientSecret)) {
    throw new OAuthError("invalid_client", 7000215, "The client secret is not valid.");
  }
  return app;
}

const digest = (text: string): Buffer => createHash("sha256").update(text).digest();
const equal = (a: string, b: string): boolean => timingSafeEqual(digest(a), digest(b));

function readBasic(
  header: string | undefined,
): { readonly clientId: string; readonly secret: string } | undefined {
  const match = /^Basic ([\w+/=-]+)$/i.exec(header ?? "");
  const text = match?.[1] === undefined ? "" : Buffer.from(match[1], "base64").toString("utf8");
  const colon = text.indexOf(":");
  if (colon < 0) return undefined;
  try {
    return {
      clientId: decodeURIComponent(text.slice(0, colon)),
      secret: decodeURIComponent(text.slice(colon + 1)),
    };
  } catch {
    return undefined;
  }
}

function checkAssertion(
  context: AuthorityContext,
  app: Registration,
  assertion: string,
  type: string | undefined,
): void {
  const token = type === ASSERTION_TYPE ? decodeJwt(assertion) : undefined;
  const federated = app.federatedCredentials?.find(({ issuer }) => issuer === token?.claims["iss"]);
  const keys = federated?.publicKeys ?? app.publicKeys ?? [];
  if (token === undefined || !keys.some((pem) => signedBy(token, pem))) {
    throw new OAuthError("invalid_client", 700027, "The client assertion's signature is not valid.");
  }
  const { iss, sub, aud, exp, nbf } = token.claims;
  const now = Math.floor(context.runtime.now() / 1000);
  const timely = typeof exp === "number" && exp > now && (typeof nbf !== "number" || nbf <= now + 300);
  if (!timely) throw new OAuthError("invalid_client", 700024, "The client assertion is not in its validity.");
  if (federated) return checkFederated(federated, sub, aud);
  if (iss !== app.clientId || sub !== app.clientId || !isOurs(context, aud)) {
    throw new OAuthError("invalid_client", 700021, "The client assertion is for another client or audience.");
  }
}

const FEDERATED_AUDIENCE = "api://AzureADTokenExchange";

function checkFederated({ subject, audience }: FederatedCredential, sub: unknown, aud: unknown): void {
  if (sub === subject && aud === (audience ?? FEDERATED_AUDIENCE)) return;
  throw new OAuthError("invalid_client", 700213, "No federated credential matches the client assertion.");
}

function signedBy(token: DecodedJwt, pem: string): boolean {
  const data = Buffer.from(token.signingInput);
  const key = createPublicKey(pem);
  if (token.header["alg"] === "RS256") return verify("sha256", data, key, token.signature);
  if (token.header["alg"] !== "PS256") return false;
  const padding = constants.RSA_PKCS1_PSS_PADDING;
  return verify("sha256", data, { key, padding, saltLength: 32 }, token.signature);
}

// MSAL names the token endpoint it calls; the issuer is what the revision of RFC 7523 asks for.
function isOurs(context: AuthorityContext, audience: unknown): boolean {
  const segments = [
    "common",
    "organizations",
    ...context.directory.tenants.flatMap((t) => [t.tenantId, t.name]),
  ];
  const bases = [context.baseUrl(), `https://${context.authorityHost}`];
  return segments.some(
    (segment) =>
      audience === issuerOf(context, segment) ||
      bases.some((base) => audience === `${base}/${segment}/oauth2/v2.0/token`),
  );
}
