import type { AccountRef } from "../activity/account-ref.ts";
import type { ClientRole } from "../activity/row.ts";
import { createConfidentialSettings } from "../msal/client-settings.ts";
import { createTokenCacheFacade } from "../msal/token-cache-facade.ts";
import type {
  AuthorizationCodePayload,
  AuthorizationCodeRequest,
  ClientCredentialRequest,
  Configuration,
  IAppTokenProvider,
  IConfidentialClientApplication,
  Logger,
  MsalTokenCache,
  OnBehalfOfRequest,
  RefreshTokenRequest,
  SilentFlowRequest,
  UsernamePasswordRequest,
} from "../msal/types.ts";
import type { SignOutOutcome } from "../partitions/sign-out.ts";
import type { TokenCache } from "../token-cache.ts";
import { createAccountSource } from "./accounts.ts";
import { acquireTokenByClientCredential } from "./client-credential.ts";
import { authCodeUrl, createClientContext } from "./client-context.ts";
import type { ConfidentialContext } from "./context.ts";
import { checkedRequest, resolveClientOptions } from "./client-options.ts";
import {
  acquireTokenByCode,
  acquireTokenByRefreshToken,
  acquireTokenByUsernamePassword,
} from "./creation.ts";
import { acquireTokenInLongRunningProcess, type LongRunningRequest } from "./long-running-flow.ts";
import {
  initiateLongRunningProcess,
  stopLongRunningProcess,
  type LongRunningProcess,
} from "./long-running.ts";
import { observed } from "./observed.ts";
import { acquireTokenOnBehalfOf } from "./on-behalf-of.ts";
import type { TokenResult } from "./result.ts";
import { removeAccount, signOutEverywhere } from "./sign-out.ts";
import { acquireTokenSilent } from "./silent.ts";
import type { AllowedTenants } from "./tenants.ts";

/** What {@link createConfidentialClient} is made from: MSAL's configuration, and `tokenCache` for its `cache`. */
export interface ConfidentialClientOptions {
  /** MSAL's own: client id, authority, secret, certificate or assertion. */
  readonly auth: Configuration["auth"];
  /** MSAL's own: logger, network client, protocol mode. */
  readonly system?: Configuration["system"];
  /** MSAL's own: the application's name and version. */
  readonly telemetry?: Configuration["telemetry"];
  /** Where tokens are kept. Several clients may share one. */
  readonly tokenCache: TokenCache;
  /** Whether users are there (`web`, the default) or away (`worker`): decides what activity is recorded. */
  readonly role?: ClientRole;
  /**
   * How long the identity provider may take for one answer, ms. Default 30,000. A `system.networkClient` of
   * your own must give up within it by itself: a refresh lease is reckoned to last longer.
   */
  readonly requestTimeoutMs?: number;
  /**
   * Whether a token in its last five minutes, which MSAL counts as expired, is served while the identity provider
   * does not answer (unreachable, 5xx, 429) or another process is renewing it. Default true; the result says
   * `metadata.nearExpiry`.
   */
  readonly serveNearExpiry?: boolean;
  /**
   * The tenants whose users are served: ids, or a function that decides. Asked before anything of a user is stored, with
   * the tenant that the token is for; not for each answer from the cache. Default: every tenant that the provider does.
   */
  readonly tenants?: AllowedTenants;
}

/**
 * MSAL's `ConfidentialClientApplication`, safe for all users of an application at once: one object serves
 * every request of every user. Results are MSAL's, with {@link TokenResult.metadata}.
 */
export interface ConfidentialClient extends IConfidentialClientApplication {
  acquireTokenByCode(
    request: AuthorizationCodeRequest,
    authCodePayload?: AuthorizationCodePayload,
  ): Promise<TokenResult>;
  acquireTokenSilent(request: SilentRequest): Promise<TokenResult>;
  acquireTokenByRefreshToken(request: RefreshTokenRequest): Promise<TokenResult>;
  acquireTokenByClientCredential(request: ClientCredentialRequest): Promise<TokenResult | null>;
  acquireTokenOnBehalfOf(request: OnBehalfOfRequest): Promise<TokenResult | null>;
  /**
   * MSAL.NET's, for what goes on after the caller's access token has expired: exchanges `oboAssertion`, and keeps the
   * refresh token that comes with it under a key, the given one or a random one. Whoever has the key can act for the
   * user. The key may be in use by the same user already.
   * @throws `ERR_SIGNED_OUT` for an assertion issued before the user signed out everywhere, or while one ends the
   * process; `ERR_PARTITION_MISMATCH` if another user's process goes by the key; retryable store errors, for a process
   * that cannot be kept does not begin; otherwise as {@link acquireTokenOnBehalfOf}
   */
  initiateLongRunningProcessInWebApi(
    request: OnBehalfOfRequest,
    longRunningProcessSessionKey?: string,
  ): Promise<LongRunningProcess>;
  /**
   * A token for a process, for any scopes that the user has consented to, also after the assertion has expired: as
   * {@link acquireTokenSilent} for the account that began it.
   * @throws `ERR_PROCESS_UNKNOWN` if no process goes by the key; otherwise as {@link acquireTokenSilent}
   */
  acquireTokenInLongRunningProcess(request: LongRunningRequest): Promise<TokenResult>;
  /**
   * Ends a process on every node, and renewals of it in flight. What is not there is no error. Later calls of
   * {@link acquireTokenInLongRunningProcess} fail with `ERR_PROCESS_UNKNOWN`; a process may begin anew under the key.
   */
  stopLongRunningProcessInWebApi(longRunningProcessSessionKey: string): Promise<SignOutOutcome>;
  /** @deprecated as in MSAL: use a flow in which the application never sees a password. */
  acquireTokenByUsernamePassword(request: UsernamePasswordRequest): Promise<TokenResult>;
  /**
   * Signs a user out of this application, on every node: tokens and activity are removed, refreshes in flight
   * do not bring them back, a new sign-in does. `pending` if the store is down: then it is done once it answers.
   */
  removeAccount(account: AccountRef): Promise<SignOutOutcome>;
  /**
   * As {@link removeAccount}, and ends what the user's assertions were exchanged for (on-behalf-of), long-running
   * processes too.
   */
  signOutEverywhere(account: AccountRef): Promise<SignOutOutcome>;
  /** The application's id, as in `auth`. */
  readonly clientId: string;
  /** The cache this client was made with. */
  readonly tokenCache: TokenCache;
}

/** MSAL's request; the account may be the {@link AccountRef} from a session, a queue job or `accounts()`. */
export type SilentRequest = Omit<SilentFlowRequest, "account"> & { account: AccountRef };

/**
 * Makes the client of an application that has a secret, a certificate or an assertion of its own.
 * @throws {OptionsError} (a `TypeError`) naming the option; MSAL's and Node's own for a key that is no key.
 */
export function createConfidentialClient(options: ConfidentialClientOptions): ConfidentialClient {
  const resolved = resolveClientOptions(options);
  const { auth, tokenCache } = resolved;
  const { parts } = tokenCache;
  const settings = createConfidentialSettings(resolved, parts.runtime, parts.failures);
  const context: ConfidentialContext = createClientContext(resolved, settings);
  const cache: MsalTokenCache = createTokenCacheFacade(createAccountSource(context));

  return observed<ConfidentialClient>(parts, {
    clientId: auth.clientId,
    tokenCache,
    getAuthCodeUrl: async (request) => authCodeUrl(context, checkedRequest(request)),
    acquireTokenByCode: (request, payload) =>
      parts.run(() => acquireTokenByCode(context, checkedRequest(request, "code"), payload)),
    acquireTokenSilent: (request) => acquireTokenSilent(context, request),
    acquireTokenByRefreshToken: (request) =>
      parts.run(() => acquireTokenByRefreshToken(context, checkedRequest(request, "refreshToken"))),
    acquireTokenByClientCredential: (request) => acquireTokenByClientCredential(context, request),
    acquireTokenOnBehalfOf: (request) =>
      parts.run(() => acquireTokenOnBehalfOf(context, checkedRequest(request, "oboAssertion"))),
    initiateLongRunningProcessInWebApi: (request, key) =>
      parts.run(() => initiateLongRunningProcess(context, checkedRequest(request, "oboAssertion"), key)),
    acquireTokenInLongRunningProcess: (request) => acquireTokenInLongRunningProcess(context, request),
    stopLongRunningProcessInWebApi: (key) => parts.run(() => stopLongRunningProcess(context, key)),
    acquireTokenByUsernamePassword: (request) =>
      parts.run(() => acquireTokenByUsernamePassword(context, checkedRequest(request))),
    removeAccount: (account) => parts.run(() => removeAccount(context, account)),
    signOutEverywhere: (account) => parts.run(() => signOutEverywhere(context, account)),
    getTokenCache: () => cache,
    getLogger: (): Logger => settings.logger(),
    setLogger: (logger: Logger) => settings.setLogger(logger),
    clearCache: () => parts.forgetAll(),
    SetAppTokenProvider: (provider: IAppTokenProvider) => settings.setAppTokenProvider(provider),
  });
}
