/** The API that the worker calls: it takes only tokens that the authority issued for it, and says whose. */
import { createHash } from "node:crypto";
import { createServer } from "node:http";
import { once } from "node:events";
import type { AddressInfo } from "node:net";
import { createAccessTokenVerifier, type LocalAuthority } from "../../src/testing/index.ts";

export interface ProfileApi {
  readonly origin: string;
  /** Whom it was called for, in order. */
  readonly calls: readonly string[];
  /** Fingerprints of the tokens it was called with, in order, refused ones too. */
  readonly tokens: readonly string[];
  /** Refuses every token it has seen, or any token, and demands one with these claims (JSON). */
  revoke(claims: string, which?: "seen" | "any"): void;
  close(): Promise<void>;
}

export async function startProfileApi(authority: LocalAuthority): Promise<ProfileApi> {
  const calls: string[] = [];
  const tokens: string[] = [];
  let revoked: { readonly tokens: ReadonlySet<string> | undefined; readonly claims: string } | undefined;
  const verify = createAccessTokenVerifier({
    issuer: authority.issuer("{tenantid}"),
    audience: "api://notes",
    requiredScope: "read",
    jwks: () => authority.jwks(),
  });
  const server = createServer((request, response) => {
    const token = (request.headers.authorization ?? "").replace(/^Bearer /, "");
    const fingerprint = createHash("sha256").update(token).digest("base64url").slice(0, 16);
    tokens.push(fingerprint);
    if (revoked && (revoked.tokens?.has(fingerprint) ?? true)) {
      const demand = Buffer.from(revoked.claims).toString("base64");
      const challenge = `Bearer realm="", error="insufficient_claims", claims="${demand}"`;
      response.writeHead(401, { "www-authenticate": challenge }).end();
      return;
    }
    verify(token).then(
      (claims) => {
        calls.push(String(claims["preferred_username"]));
        response.setHeader("content-type", "application/json");
        const { name, preferred_username: username, xms_cc: capabilities } = claims;
        response.end(JSON.stringify({ name, username, capabilities }));
      },
      () => response.writeHead(401).end(),
    );
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return {
    origin: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    calls,
    tokens,
    revoke(claims, which = "seen") {
      revoked = { tokens: which === "seen" ? new Set(tokens) : undefined, claims };
    },
    async close() {
      server.close();
      server.closeAllConnections();
      await once(server, "close");
    },
  };
}
