/** The world around the application: the identity provider and the downstream API, in this process. */
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import type { RequestListener } from "node:http";
import { createLocalAuthority, DEFAULT_CLIENT_IDS } from "../../src/testing/index.ts";
import type { HttpListener, LocalAuthority } from "../../src/testing/index.ts";
import { createNotesApi } from "../notes-api/api.ts";
import type { Settings } from "../settings.ts";

export interface Services {
  readonly authority: LocalAuthority;
  readonly authorityUrl: string;
  readonly notesApiUrl: string;
  /** MSAL's `auth` for the registration of the web app and its worker; any tenant may sign in. */
  readonly auth: Settings["auth"];
  /** The authority's page that ends its session in a browser. */
  readonly signOutUrl: string;
  close(): Promise<void>;
}

export async function startServices(accessTokenSeconds: number): Promise<Services> {
  const authority = createLocalAuthority({ lifetimes: { accessTokenSeconds } });
  const http = await authority.listen();
  const common = `${http.origin}/organizations`;
  const api = await listen(
    createNotesApi({
      issuer: authority.issuer("{tenantid}"),
      jwksUrl: `${common}/discovery/v2.0/keys`,
    }),
  );
  return {
    authority,
    authorityUrl: http.origin,
    notesApiUrl: api.origin,
    auth: authority.msalAuth("organizations", DEFAULT_CLIENT_IDS.web),
    signOutUrl: `${common}/oauth2/v2.0/logout`,
    async close() {
      await Promise.all([api.close(), http.close()]);
    },
  };
}

async function listen(handler: RequestListener): Promise<HttpListener> {
  const server = createServer(handler);
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    server.listen(0, "127.0.0.1", resolve);
  });
  return {
    origin: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}
