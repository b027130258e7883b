/** `oidc-provider`, a certified OpenID provider that we did not write, over https on this machine. */
import { generateKeyPairSync } from "node:crypto";
import { once } from "node:events";
import { createServer } from "node:https";
import type { AddressInfo } from "node:net";
import { Provider } from "oidc-provider";
import type { Certificate } from "./certificate.ts";

export const CLIENT_ID = "notes-web-app";
export const CLIENT_SECRET = "a secret that only the provider and the application know";

export interface OpenIdProvider {
  readonly issuer: string;
  /** Grant types of the answered token requests, in order; failed ones as `failed <grant type>`. */
  readonly grants: readonly string[];
  /** Every token issued, and every code and token presented. */
  readonly secrets: ReadonlySet<string>;
  close(): Promise<void>;
}

export async function startOpenIdProvider(certificate: Certificate): Promise<OpenIdProvider> {
  const server = createServer({ key: certificate.key, cert: certificate.cert });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const issuer = `https://localhost:${(server.address() as AddressInfo).port}`;
  const provider = new Provider(issuer, configuration());
  const grants: string[] = [];
  const secrets = new Set<string>([CLIENT_SECRET]);
  const remember = (values: Readonly<Record<string, unknown>>): void => {
    for (const name of ["access_token", "refresh_token", "id_token", "code"]) {
      const value = values[name];
      if (typeof value === "string") secrets.add(value);
    }
  };
  provider.on("grant.success", ({ body, oidc }) => {
    grants.push(String(oidc.params["grant_type"]));
    remember(body);
    remember(oidc.params);
  });
  provider.on("grant.error", ({ oidc }) => {
    grants.push(`failed ${String(oidc.params["grant_type"])}`);
    remember(oidc.params);
  });
  server.on("request", provider.callback());
  return {
    issuer,
    grants,
    secrets,
    async close() {
      server.close();
      server.closeAllConnections();
      await once(server, "close");
    },
  };
}

function configuration(): object {
  const { privateKey } = generateKeyPairSync("rsa", { modulusLength: 2048 });
  return {
    jwks: { keys: [{ ...privateKey.export({ format: "jwk" }), use: "sig", alg: "RS256" }] },
    clients: [
      {
        client_id: CLIENT_ID,
        client_secret: CLIENT_SECRET,
        token_endpoint_auth_method: "client_secret_post",
        grant_types: ["authorization_code", "refresh_token"],
        response_types: ["code"],
        // A loopback redirect of a native client may have any port (RFC 8252 section 7.3); a test's has.
        application_type: "native",
        redirect_uris: ["http://127.0.0.1/redirect"],
      },
    ],
    scopes: ["openid", "profile", "offline_access", "notes"],
    claims: { openid: ["sub"], profile: ["name", "preferred_username"] },
    // MSAL reads names from the ID token, not from the userinfo endpoint.
    conformIdTokenClaims: false,
    findAccount: (_context: unknown, login: string) => ({
      accountId: login,
      claims: () => ({
        sub: login,
        name: `${login} of the test`,
        preferred_username: `${login}@example.test`,
      }),
    }),
    // Every refresh token is good for one use.
    rotateRefreshToken: true,
    ttl: {
      AccessToken: 3600,
      IdToken: 3600,
      RefreshToken: 86_400,
      Grant: 86_400,
      Session: 3600,
      Interaction: 600,
    },
    cookies: { keys: ["a key for the provider's own cookies"] },
    features: { devInteractions: { enabled: true } },
  };
}
