import type { AccountRef } from "../activity/account-ref.ts";
import { createPublicSettings } from "../msal/client-settings.ts";
import { createTokenCacheFacade } from "../msal/token-cache-facade.ts";
import type {
  AccountInfo,
  AuthorizationCodePayload,
  AuthorizationCodeRequest,
  AuthorizationUrlRequest,
  Configuration,
  DeviceCodeRequest,
  InteractiveRequest,
  IPublicClientApplication,
  Logger,
  MsalTokenCache,
  RefreshTokenRequest,
  SignOutRequest,
  UsernamePasswordRequest,
} from "../msal/types.ts";
import type { SignOutOutcome } from "../partitions/sign-out.ts";
import type { TokenCache } from "../token-cache.ts";
import { createAccountSource } from "./accounts.ts";
import { authCodeUrl, createClientContext } from "./client-context.ts";
import { checkedRequest, resolvePublicOptions } from "./client-options.ts";
import type { SilentRequest } from "./confidential-client.ts";
import {
  acquireTokenByCode,
  acquireTokenByRefreshToken,
  acquireTokenByUsernamePassword,
} from "./creation.ts";
import { observed } from "./observed.ts";
import type { TokenResult } from "./result.ts";
import { removeAccount } from "./sign-out.ts";
import { acquireTokenSilent } from "./silent.ts";
import type { AllowedTenants } from "./tenants.ts";
import { acquireTokenByDeviceCode, acquireTokenInteractive } from "./with-person.ts";

/** What {@link createPublicClient} is made from: MSAL's configuration, and `tokenCache` for its `cache`. */
export interface PublicClientOptions {
  /** MSAL's own: client id and authority. No secret: a public client cannot keep one. */
  readonly auth: Configuration["auth"];
  /** MSAL's own: logger, network client, protocol mode. */
  readonly system?: Configuration["system"];
  /** MSAL's own: the application's name and version. */
  readonly telemetry?: Configuration["telemetry"];
  /** Where tokens are kept. Several clients may share one. */
  readonly tokenCache: TokenCache;
  /** How long the identity provider may take for one answer, ms. Default 30,000. */
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
 * MSAL's `PublicClientApplication` over the shared cache: for command-line tools and programs on a user's own
 * machine. Later runs, and other tools with the same client id, store, keys and namespace, are signed in too.
 * Results are MSAL's, with {@link TokenResult.metadata}.
 *
 * A native broker is not used: it keeps tokens itself. What a flow's request means is said by MSAL.
 */
export interface PublicClient extends IPublicClientApplication {
  getAuthCodeUrl(request: AuthorizationUrlRequest): Promise<string>;
  acquireTokenByCode(
    request: AuthorizationCodeRequest,
    authCodePayload?: AuthorizationCodePayload,
  ): Promise<TokenResult>;
  /**
   * A token for a user who has signed in: from memory, from the store, or renewed. Throws MSAL's
   * `InteractionRequiredAuthError` where only the user can help.
   */
  acquireTokenSilent(request: SilentRequest): Promise<TokenResult>;
  /**
   * Shows the user a code (`deviceCodeCallback`) and polls until they have signed in with it elsewhere (RFC
   * 8628). `request.timeout` is in seconds; set `request.cancel = true` on the same object to stop polling.
   */
  acquireTokenByDeviceCode(request: DeviceCodeRequest): Promise<TokenResult>;
  /** Opens the browser that `openBrowser` starts, and waits on a loopback port for what the user did there. */
  acquireTokenInteractive(request: InteractiveRequest): Promise<TokenResult>;
  /** Imports a refresh token from elsewhere, e.g. from an older tool's own file; it is stored like a sign-in. */
  acquireTokenByRefreshToken(request: RefreshTokenRequest): Promise<TokenResult>;
  /** @deprecated as in MSAL: use a flow in which the application never sees a password. */
  acquireTokenByUsernamePassword(request: UsernamePasswordRequest): Promise<TokenResult>;
  /** Who has signed in with this client id, from the activity index; beyond 1,000 it fails with `ERR_TOO_MANY_ACCOUNTS`. */
  getAllAccounts(): Promise<AccountInfo[]>;
  /**
   * MSAL's sign-out. @throws `ERR_STORE_UNAVAILABLE`, retryable, where it took effect in this process only and
   * waits for the store; {@link removeAccount} returns that instead.
   */
  signOut(request: SignOutRequest): Promise<void>;
  /** Removes a user's tokens and activity, on every process that shares the store. `pending` if the store is down. */
  removeAccount(account: AccountRef): Promise<SignOutOutcome>;
  /** The application's id, as in `auth`. */
  readonly clientId: string;
  /** The cache this client was made with. */
  readonly tokenCache: TokenCache;
}

/**
 * Makes the client of an application without a credential of its own.
 * @throws {OptionsError} (a `TypeError`) naming the option
 */
export function createPublicClient(options: PublicClientOptions): PublicClient {
  const resolved = resolvePublicOptions(options);
  const { auth, tokenCache } = resolved;
  const { parts } = tokenCache;
  const settings = createPublicSettings(resolved, parts.runtime, parts.failures);
  const context = createClientContext(resolved, settings);
  const cache: MsalTokenCache = createTokenCacheFacade(createAccountSource(context));

  return observed<PublicClient>(parts, {
    clientId: auth.clientId,
    tokenCache,
    getAuthCodeUrl: async (request) => authCodeUrl(context, checkedRequest(request)),
    acquireTokenByCode: (request, payload) =>
      parts.run(() => acquireTokenByCode(context, checkedRequest(request, "code"), payload)),
    acquireTokenSilent: (request) => acquireTokenSilent(context, request),
    acquireTokenByDeviceCode: async (request) => acquireTokenByDeviceCode(context, request),
    acquireTokenInteractive: async (request) => acquireTokenInteractive(context, checkedRequest(request)),
    acquireTokenByRefreshToken: (request) =>
      parts.run(() => acquireTokenByRefreshToken(context, checkedRequest(request, "refreshToken"))),
    acquireTokenByUsernamePassword: (request) =>
      parts.run(() => acquireTokenByUsernamePassword(context, checkedRequest(request))),
    getAllAccounts: () => parts.run(() => cache.getAllAccounts()),
    signOut: (request) => parts.run(() => cache.removeAccount(checkedRequest(request).account)),
    removeAccount: (account) => parts.run(() => removeAccount(context, account)),
    getTokenCache: () => cache,
    getLogger: (): Logger => settings.logger(),
    setLogger: (logger: Logger) => settings.setLogger(logger),
    clearCache: () => parts.forgetAll(),
  });
}
