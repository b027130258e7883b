import type { ConfidentialClientApplication } from "@azure/msal-node";

/** What MSAL's confidential and its public client have in common (its `ClientApplication`, not exported in 7.2.1). */
export type MsalClient = Pick<
  ConfidentialClientApplication,
  | "acquireTokenByCode"
  | "acquireTokenByRefreshToken"
  | "acquireTokenByUsernamePassword"
  | "acquireTokenSilent"
  | "getAuthCodeUrl"
  | "getLogger"
  | "setLogger"
>;

/** The types of MSAL Node that tokenkeep's own signatures speak in. Only this folder imports MSAL. */
export type {
  AccountInfo,
  AuthenticationResult,
  AuthorizationCodePayload,
  AuthorizationCodeRequest,
  AuthorizationUrlRequest,
  ClientCredentialRequest,
  ConfidentialClientApplication,
  Configuration,
  DeviceCodeRequest,
  IAppTokenProvider,
  ICacheClient,
  ICachePlugin,
  Logger,
  TokenCache as MsalTokenCache,
  IConfidentialClientApplication,
  InteractiveRequest,
  IPublicClientApplication,
  OnBehalfOfRequest,
  PublicClientApplication,
  RefreshTokenRequest,
  SignOutRequest,
  SilentFlowRequest,
  TokenCacheContext,
  UsernamePasswordRequest,
} from "@azure/msal-node";
