/** The API that the worker calls: it takes only tokens that the authority issued for it, and says whose. */
import { createServer } from "node:http";
import { once } from "node:events";
import type { AddressInfo } from "node:net";
import { createAccessTokenVerifier, type LocalAuthority } from "../../src/testing/index.ts";

export interface ProfileApi {
  readonly origin: string;
  /** Whom it was called for, in order. */
  readonly calls: readonly string[];
  close(): Promise<void>;
}

export async function startProfileApi(authority: LocalAuthority): Promise<ProfileApi> {
  const calls: string[] = [];
  const verify = createAccessTokenVerifier({
    issuer: authority.issuer("{tenantid}"),
    audience: "api://notes",
    requiredScope: "read",
    jwks: () => authority.jwks(),
  });
  const server = createServer((request, response) => {
    const token = (request.headers.authorization ?? "").replace(/^Bearer /, "");
    verify(token).then(
      (claims) => {
        calls.push(String(claims["preferred_username"]));
        response.setHeader("content-type", "application/json");
        response.end(JSON.stringify({ name: claims["name"], username: claims["preferred_username"] }));
      },
      () => response.writeHead(401).end(),
    );
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return {
    origin: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    calls,
    async close() {
      server.close();
      server.closeAllConnections();
      await once(server, "close");
    },
  };
}
