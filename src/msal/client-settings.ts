import {
  ClientAssertion,
  ConfidentialClientApplication,
  CryptoProvider,
  type Logger,
} from "@azure/msal-node";
import type { Runtime } from "../runtime.ts";
import { createSharedNetwork } from "./network.ts";
import type { OperationSettings } from "./operation.ts";
import { createFetchTransport } from "./transport.ts";
import type { Configuration, IAppTokenProvider } from "./types.ts";

/** What the clients that serve single operations have in common, and what may be set on it later. */
export interface ClientSettings {
  readonly current: () => OperationSettings;
  readonly logger: () => Logger;
  setLogger(logger: Logger): void;
  setAppTokenProvider(provider: IAppTokenProvider): void;
}

export interface ClientSettingsOptions {
  readonly auth: Configuration["auth"];
  readonly system?: Configuration["system"];
  readonly telemetry?: Configuration["telemetry"];
  readonly requestTimeoutMs?: number;
}

/** How long the identity provider may take for one answer, ms. */
export const DEFAULT_REQUEST_TIMEOUT_MS = 30_000;

/** @throws what MSAL throws for credentials that it cannot use: at start, not at the first user's request */
export function createClientSettings(options: ClientSettingsOptions, runtime: Runtime): ClientSettings {
  const probe = new ConfidentialClientApplication({
    auth: options.auth,
    ...(options.system && { system: options.system }),
  });
  const transport =
    options.system?.networkClient ??
    createFetchTransport(runtime, options.requestTimeoutMs ?? DEFAULT_REQUEST_TIMEOUT_MS);
  let settings: OperationSettings = {
    auth: withMemoisedAssertion(options.auth),
    system: options.system,
    telemetry: options.telemetry,
    network: createSharedNetwork(transport, runtime),
    logger: undefined,
    appTokenProvider: undefined,
  };
  return {
    current: () => settings,
    logger: () => settings.logger ?? probe.getLogger(),
    setLogger(logger) {
      settings = { ...settings, logger };
    },
    setAppTokenProvider(appTokenProvider) {
      settings = { ...settings, appTokenProvider };
    },
  };
}

/**
 * MSAL signs a client assertion for every client it makes with a certificate (2.6 ms with RSA-2048, measured).
 * One `ClientAssertion` per token endpoint keeps its signed form until it expires.
 */
function withMemoisedAssertion(auth: Configuration["auth"]): Configuration["auth"] {
  const { clientCertificate, ...rest } = auth;
  if (!clientCertificate) return auth;
  const crypto = new CryptoProvider();
  const byEndpoint = new Map<string, ClientAssertion>();
  const { thumbprint, thumbprintSha256, privateKey, x5c } = clientCertificate;
  const create = (): ClientAssertion =>
    thumbprintSha256
      ? ClientAssertion.fromCertificateWithSha256Thumbprint(thumbprintSha256, privateKey, x5c)
      : ClientAssertion.fromCertificate(thumbprint ?? "", privateKey, x5c);
  return {
    ...rest,
    clientAssertion: ({ clientId, tokenEndpoint = "" }) => {
      const assertion = byEndpoint.get(tokenEndpoint) ?? create();
      byEndpoint.set(tokenEndpoint, assertion);
      return Promise.resolve(assertion.getJwt(crypto, clientId, tokenEndpoint));
    },
  };
}
