import { ConfidentialClientApplication, PublicClientApplication, type Logger } from "@azure/msal-node";
import type { Runtime } from "../runtime.ts";
import type { FailureMemory } from "./failure-memory.ts";
import { withMemoisedAssertion } from "./client-assertion.ts";
import { createSharedNetwork } from "./network.ts";
import type { OperationSettings } from "./operation.ts";
import { createFetchTransport } from "./transport.ts";
import type { Configuration, IAppTokenProvider, MsalClient } from "./types.ts";

/** What the clients that serve single operations have in common, and what may be set on it later. */
export interface ClientSettings<C extends MsalClient = MsalClient> {
  readonly current: () => OperationSettings<C>;
  readonly logger: () => Logger;
  setLogger(logger: Logger): void;
}

/** Of a confidential client, which may also be told to get its own tokens elsewhere. */
export interface ConfidentialClientSettings extends ClientSettings<ConfidentialClientApplication> {
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
export function createConfidentialSettings(
  options: ClientSettingsOptions,
  runtime: Runtime,
  failures: FailureMemory,
): ConfidentialClientSettings {
  let appTokenProvider: IAppTokenProvider | undefined;
  const settings = createSettings(options, runtime, failures, (configuration) => {
    const client = new ConfidentialClientApplication(configuration);
    if (appTokenProvider) client.SetAppTokenProvider(appTokenProvider);
    return client;
  });
  return {
    ...settings,
    setAppTokenProvider(provider) {
      appTokenProvider = provider;
    },
  };
}

/** @throws what MSAL throws for a configuration that it cannot use */
export function createPublicSettings(
  options: ClientSettingsOptions,
  runtime: Runtime,
  failures: FailureMemory,
): ClientSettings<PublicClientApplication> {
  return createSettings(
    options,
    runtime,
    failures,
    (configuration) => new PublicClientApplication(configuration),
  );
}

function createSettings<C extends MsalClient>(
  options: ClientSettingsOptions,
  runtime: Runtime,
  failures: FailureMemory,
  createClient: (configuration: Configuration) => C,
): ClientSettings<C> {
  const probe = createClient({
    auth: options.auth,
    ...(options.system && { system: options.system }),
  });
  const transport =
    options.system?.networkClient ??
    createFetchTransport(runtime, options.requestTimeoutMs ?? DEFAULT_REQUEST_TIMEOUT_MS);
  let settings: OperationSettings<C> = {
    auth: withMemoisedAssertion(options.auth, runtime),
    system: options.system,
    telemetry: options.telemetry,
    network: createSharedNetwork(transport, runtime, failures),
    logger: undefined,
    createClient,
  };
  return {
    current: () => settings,
    logger: () => settings.logger ?? probe.getLogger(),
    setLogger(logger) {
      settings = { ...settings, logger };
    },
  };
}
