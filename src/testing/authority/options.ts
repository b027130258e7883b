/**
 * What a local authority knows when it starts: tenants, people, applications and APIs.
 */
import { createHash } from "node:crypto";
import { OptionsError } from "../../errors.ts";
import type { Runtime } from "../../runtime.ts";

/** A person who can sign in. There are no passwords: whoever opens the page picks an account. */
export interface AuthorityUser {
  /** The sign-in name, e.g. `ada@contoso.example`. Unique. */
  readonly username: string;
  /** The display name. */
  readonly name: string;
  /** Home tenant: its name or GUID. */
  readonly tenant: string;
  /** Object id in the home tenant. Default: a GUID derived from `username`, the same in every run. */
  readonly oid?: string;
  /** Tenants (name or GUID) that have invited this person. There the object id is another, as in Entra ID. */
  readonly guestOf?: readonly string[];
}

/** Whose assertions an application may send for its own: another issuer's, as in Entra ID's workload identity federation. */
export interface FederatedCredential {
  /** Their `iss`, compared exactly. */
  readonly issuer: string;
  /** Their `sub`, compared exactly, e.g. `system:serviceaccount:shop:worker`. */
  readonly subject: string;
  /** Their `aud`. Default `api://AzureADTokenExchange`. */
  readonly audience?: string;
  /** PEM public keys or certificates of the issuer. */
  readonly publicKeys: readonly string[];
}

/** An application registration. Every registration exists in every tenant. */
export interface AuthorityApp {
  /** The application's id, a GUID or any text. */
  readonly clientId: string;
  /** Shown on the sign-in page. Default: the client id. */
  readonly name?: string;
  /** A confidential client's secret. Without a secret and without keys the client is a public one. */
  readonly clientSecret?: string;
  /** PEM public keys or certificates that may sign client assertions (`clientCertificate` in MSAL). */
  readonly publicKeys?: readonly string[];
  /** Other issuers whose assertions it may send instead (`clientAssertion` in MSAL). Default: none. */
  readonly federatedCredentials?: readonly FederatedCredential[];
  /**
   * Where codes may go; compared exactly, but for the port of a loopback address (RFC 8252 section 7.3).
   * Default: any `http` URL on a loopback address.
   */
  readonly redirectUris?: readonly string[];
  /** Application roles found in its client credentials tokens. Default: none. */
  readonly roles?: readonly string[];
}

/** An API that tokens can be asked for. */
export interface AuthorityResource {
  /** The `aud` of its access tokens, and the part of a scope before the last slash. */
  readonly audience: string;
  /** Delegated scopes, bare, e.g. `read`. */
  readonly scopes: readonly string[];
  /** The registration that is this API; it may exchange the API's tokens on behalf of their users. */
  readonly clientId?: string;
}

/**
 * What the authority does with the refresh token that was just redeemed.
 * - `reusable`: every answer has a new one and the old one stays valid (Entra ID, web and desktop clients);
 * - `rolling`: the old one stays valid for a grace period after its first use;
 * - `one-time`: a second use is refused and revokes everything that came from the same sign-in (RFC 9700
 *   section 4.14.2).
 */
export type RefreshTokenMode = "reusable" | "rolling" | "one-time";

/** Lifetimes in seconds, as the protocol has them. */
export interface AuthorityLifetimes {
  /** Default 3600. MSAL refreshes a token that has less than 300 seconds left. */
  readonly accessTokenSeconds: number;
  /** Default 7,776,000 (90 days). */
  readonly refreshTokenSeconds: number;
  /** Default 3600. */
  readonly idTokenSeconds: number;
  /** When given, answers carry `refresh_in`. Default: they do not. */
  readonly refreshInSeconds?: number;
  /** How long an authorization code may wait. Default 600. */
  readonly codeSeconds: number;
  /** How long a device code may wait. Default 900. */
  readonly deviceCodeSeconds: number;
  /** How often a device may poll. Default 5. */
  readonly deviceCodeIntervalSeconds: number;
}

/** Options of `createLocalAuthority`. All have defaults. */
export interface LocalAuthorityOptions {
  /** Name to GUID. Default: {@link DEFAULT_TENANTS}. */
  readonly tenants?: Readonly<Record<string, string>>;
  /** Default: {@link DEFAULT_USERS}. */
  readonly users?: readonly AuthorityUser[];
  /** Default: {@link DEFAULT_APPS}. */
  readonly apps?: readonly AuthorityApp[];
  /** Default: {@link DEFAULT_RESOURCES}. Microsoft Graph is added when missing, as bare scopes belong to it. */
  readonly resources?: readonly AuthorityResource[];
  /**
   * The https name that MSAL and the tokens' issuer use; nothing connects to it. Default `login.local.test`.
   * With `login.microsoftonline.com` the cache keys have the environment `login.windows.net`, as in production.
   */
  readonly authorityHost?: string;
  /** Default `reusable`. */
  readonly refreshTokens?: RefreshTokenMode;
  /** In `rolling` mode, how long a redeemed refresh token stays valid, milliseconds. Default 60,000. */
  readonly rollingGraceMs?: number;
  /** Overrides of single lifetimes. */
  readonly lifetimes?: Partial<AuthorityLifetimes>;
  /** Signs this person in without showing the page, unless `prompt` asks for one. Default: nobody. */
  readonly autoSignIn?: string;
  /** `never` leaves `client_info` out of every answer, as a plain OpenID provider does. Default `always`. */
  readonly clientInfo?: "always" | "never";
  /** PEM of an RSA private key, to keep tokens valid over restarts. Default: generated at start. */
  readonly signingKeyPem?: string;
  /** How many entries the call log and the set of issued secrets keep, oldest dropped first. Default 50,000. */
  readonly historyLimit?: number;
  /** Default: the running process. A simulation gives its own. */
  readonly runtime?: Runtime;
}

/** The tenants of an authority that was told of none. */
export const DEFAULT_TENANTS: Readonly<Record<string, string>> = Object.freeze({
  contoso: "c0470500-0000-4000-8000-000000000001",
  fabrikam: "fab41ca0-0000-4000-8000-000000000002",
});

/** The people of an authority that was told of none; Ada is a guest of fabrikam. */
export const DEFAULT_USERS: readonly AuthorityUser[] = Object.freeze([
  Object.freeze({
    username: "ada@contoso.example",
    name: "Ada Palmer",
    tenant: "contoso",
    guestOf: Object.freeze(["fabrikam"]),
  }),
  Object.freeze({ username: "ben@contoso.example", name: "Ben Okafor", tenant: "contoso" }),
  Object.freeze({ username: "cleo@fabrikam.example", name: "Cleo Marsh", tenant: "fabrikam" }),
]);

/** The client ids of {@link DEFAULT_APPS}. */
export const DEFAULT_CLIENT_IDS = Object.freeze({
  /** A web application: confidential, any loopback redirect URI. */
  web: "a0000000-0000-4000-8000-00000000000a",
  /** The API behind `api://notes`: confidential, may act on behalf of its callers. */
  notes: "a0000000-0000-4000-8000-00000000000b",
  /** A desktop or command line application: public. */
  desktop: "a0000000-0000-4000-8000-00000000000c",
});

/** The registrations of an authority that was told of none. */
export const DEFAULT_APPS: readonly AuthorityApp[] = Object.freeze([
  Object.freeze({
    clientId: DEFAULT_CLIENT_IDS.web,
    name: "Local web app",
    clientSecret: "local-web-app-secret",
    roles: Object.freeze(["Notes.Read.All"]),
  }),
  Object.freeze({
    clientId: DEFAULT_CLIENT_IDS.notes,
    name: "Notes API",
    clientSecret: "local-notes-api-secret",
  }),
  Object.freeze({ clientId: DEFAULT_CLIENT_IDS.desktop, name: "Local desktop app" }),
]);

/** The API that scopes without a prefix belong to. */
export const GRAPH_AUDIENCE = "https://graph.microsoft.com";

const GRAPH: AuthorityResource = Object.freeze({
  audience: GRAPH_AUDIENCE,
  scopes: Object.freeze(["User.Read", "Mail.Read", "Calendars.Read", "Files.Read"]),
});

/** The APIs of an authority that was told of none. */
export const DEFAULT_RESOURCES: readonly AuthorityResource[] = Object.freeze([
  Object.freeze({
    audience: "api://notes",
    scopes: Object.freeze(["read", "write"]),
    clientId: DEFAULT_CLIENT_IDS.notes,
  }),
  Object.freeze({ audience: "api://tasks", scopes: Object.freeze(["read", "write"]) }),
  GRAPH,
]);

const DEFAULT_LIFETIMES: AuthorityLifetimes = Object.freeze({
  accessTokenSeconds: 3600,
  refreshTokenSeconds: 90 * 24 * 3600,
  idTokenSeconds: 3600,
  codeSeconds: 600,
  deviceCodeSeconds: 900,
  deviceCodeIntervalSeconds: 5,
});

/** A GUID that is a function of `seed` (RFC 9562 version 8: custom). */
export function guidFrom(seed: string): string {
  const hex = createHash("sha256").update(seed).digest("hex");
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-8${hex.slice(13, 16)}-a${hex.slice(17, 20)}-${hex.slice(20, 32)}`;
}

/** `base` with the given fields replaced; refuses a lifetime that is not a whole number of seconds. */
export function mergeLifetimes(
  base: AuthorityLifetimes,
  overrides: Partial<AuthorityLifetimes>,
): AuthorityLifetimes {
  for (const [name, value] of Object.entries(overrides)) {
    if (value !== undefined && (!Number.isInteger(value) || value < 0)) {
      throw new OptionsError(`lifetimes.${name}`, "must be a whole number of seconds, 0 or more");
    }
  }
  return { ...base, ...overrides };
}

/** The lifetimes of an authority that was given `overrides`. */
export function resolveLifetimes(overrides: Partial<AuthorityLifetimes> = {}): AuthorityLifetimes {
  return mergeLifetimes(DEFAULT_LIFETIMES, overrides);
}

/** `resources`, with Microsoft Graph. */
export function resolveResources(
  resources: readonly AuthorityResource[] = DEFAULT_RESOURCES,
): readonly AuthorityResource[] {
  return resources.some((resource) => resource.audience === GRAPH_AUDIENCE)
    ? resources
    : [...resources, GRAPH];
}
