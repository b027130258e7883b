import { ClientAssertion, CryptoProvider } from "@azure/msal-node";
import { LRUCache } from "lru-cache";
import type { Runtime } from "../runtime.ts";
import type { Configuration } from "./types.ts";

type Auth = Configuration["auth"];
type Certificate = NonNullable<Auth["clientCertificate"]>;

/** MSAL gives its assertions ten minutes (7.2.1); one in its last minute might end on its way. */
const USED_FOR_MS = 9 * 60_000;

/** An application of many tenants has an endpoint, and so an assertion, for each. */
const REMEMBERED_ENDPOINTS = 1_000;

/**
 * MSAL signs a client assertion for every client it makes with a certificate (2.6 ms with RSA-2048, measured). Here
 * each token endpoint's is signed once, and again shortly before it ends, or if the clock was turned back.
 */
export function withMemoisedAssertion(auth: Auth, runtime: Runtime): Auth {
  const { clientCertificate, ...rest } = auth;
  if (!clientCertificate) return auth;
  const crypto = new CryptoProvider();
  const signed = new LRUCache<string, { readonly jwt: string; readonly atMs: number }>({
    max: REMEMBERED_ENDPOINTS,
  });
  return {
    ...rest,
    clientAssertion({ clientId, tokenEndpoint = "" }) {
      const nowMs = runtime.now();
      const known = signed.get(tokenEndpoint);
      if (known && known.atMs <= nowMs && nowMs < known.atMs + USED_FOR_MS) return Promise.resolve(known.jwt);
      const jwt = assertionOf(clientCertificate).getJwt(crypto, clientId, tokenEndpoint);
      signed.set(tokenEndpoint, { jwt, atMs: nowMs });
      return Promise.resolve(jwt);
    },
  };
}

function assertionOf({ thumbprint, thumbprintSha256, privateKey, x5c }: Certificate): ClientAssertion {
  return thumbprintSha256
    ? ClientAssertion.fromCertificateWithSha256Thumbprint(thumbprintSha256, privateKey, x5c)
    : ClientAssertion.fromCertificate(thumbprint ?? "", privateKey, x5c);
}
