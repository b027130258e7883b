/** The local authority: an identity provider for tests and demonstrations. Part of `tokenkeep/testing`. */
export { createLocalAuthority } from "./local-authority.ts";
export type { LocalAuthority } from "./local-authority.ts";
export type { AuthorizeAnswer } from "./authorize-in-process.ts";
export type { AuthorityCall, CallFilter, CallKind } from "./call-log.ts";
export type { AuthorityAnswer, AuthorityRequest } from "./context.ts";
export type { AuthorityControls, GrantInfo } from "./controls.ts";
export type { Person, Tenant } from "./directory.ts";
export type { FaultKind, FaultOptions } from "./faults.ts";
export type { HttpListener, ListenOptions } from "./http-server.ts";
export type { Claims, Jwks, PublicJwk } from "./jwt.ts";
export type {
  InProcessNetworkClient,
  InProcessRequestOptions,
  InProcessResponse,
  MsalAuthSettings,
} from "./msal-settings.ts";
export {
  DEFAULT_APPS,
  DEFAULT_CLIENT_IDS,
  DEFAULT_RESOURCES,
  DEFAULT_TENANTS,
  DEFAULT_USERS,
} from "./options.ts";
export type {
  AuthorityApp,
  AuthorityLifetimes,
  AuthorityResource,
  AuthorityUser,
  FederatedCredential,
  LocalAuthorityOptions,
  RefreshTokenMode,
} from "./options.ts";
export { createAccessTokenVerifier } from "./verifier.ts";
export type { AccessTokenVerifier, AccessTokenVerifierOptions } from "./verifier.ts";
