/** Checks on what a client is made from and asked for: by name and at once, where MSAL fails late or without one. */
import {
  checkedChoice,
  checkedPositive,
  checkMethods,
  checkSpelling,
  checkObject,
  checkOptionNames,
  checkTexts,
  MAX_TIMER_MS,
} from "../checks.ts";
import type { ClientRole } from "../activity/row.ts";
import { OptionsError } from "../errors.ts";
import { DEFAULT_REQUEST_TIMEOUT_MS } from "../msal/client-settings.ts";
import type { Configuration } from "../msal/types.ts";
import type { ConfidentialClientOptions } from "./confidential-client.ts";
import { checkTenants } from "./tenants.ts";
import type { PublicClientOptions } from "./public-client.ts";

type Auth = Configuration["auth"];

const SHARED_OPTIONS = [
  "auth",
  "system",
  "telemetry",
  "tokenCache",
  "requestTimeoutMs",
  "serveNearExpiry",
  "tenants",
] as const;
const CONFIDENTIAL_OPTIONS = new Set<string>([...SHARED_OPTIONS, "role"]);
const PUBLIC_OPTIONS = new Set<string>(SHARED_OPTIONS);
const CREDENTIALS = ["clientSecret", "clientCertificate", "clientAssertion"] as const;
const NETWORK_METHODS = ["sendGetRequestAsync", "sendPostRequestAsync"];
/** All of MSAL's, by the compiler. */
const AUTH_NAMES = namesOf<Auth>({
  clientId: true,
  authority: true,
  clientSecret: true,
  clientAssertion: true,
  clientCertificate: true,
  knownAuthorities: true,
  cloudDiscoveryMetadata: true,
  authorityMetadata: true,
  clientCapabilities: true,
  azureCloudOptions: true,
  isMcp: true,
});
const SYSTEM_NAMES = namesOf<NonNullable<Configuration["system"]>>({
  loggerOptions: true,
  networkClient: true,
  disableInternalRetries: true,
  protocolMode: true,
});

function namesOf<O>(names: Readonly<Record<keyof O, true>>): ReadonlySet<string> {
  return new Set(Object.keys(names));
}

/** What is left of `<tenant id>`, `{tenant}` or an environment variable that is not set. */
const PLACEHOLDER = /[<>{}]|\/(undefined|null)(\/|$)/;

/** `<client secret>`, as the README's settings have it. */
const UNFILLED = /^<.*>$/;

type WithDefaults<O> = O & { readonly role: ClientRole } & SharedDefaults;

interface SharedDefaults {
  readonly requestTimeoutMs: number;
  readonly serveNearExpiry: boolean;
}

/** The options with their defaults, but for what is MSAL's own. @throws {OptionsError} naming the option */
export function resolveClientOptions(
  options: ConfidentialClientOptions,
): WithDefaults<ConfidentialClientOptions> {
  checkShared(options, CONFIDENTIAL_OPTIONS, "createConfidentialClient");
  checkCredential(options.auth);
  return {
    ...options,
    role: checkedChoice(options.role, "role", ["web", "worker"]),
    ...checkedDefaults(options),
  };
}

/** As {@link resolveClientOptions}. The user of a command-line tool is there: nothing is done in their absence. */
export function resolvePublicOptions(options: PublicClientOptions): WithDefaults<PublicClientOptions> {
  checkObject(options, "options");
  if ("broker" in options) {
    throw new OptionsError(
      "broker",
      "is not used: a broker keeps tokens itself, and this client keeps them in `tokenCache`",
    );
  }
  checkShared(options, PUBLIC_OPTIONS, "createPublicClient");
  const secret = CREDENTIALS.find((name) => options.auth[name]);
  if (secret !== undefined) {
    throw new OptionsError(
      `auth.${secret}`,
      "does not belong into a public client, which cannot keep a secret; use createConfidentialClient",
    );
  }
  return { ...options, role: "web", ...checkedDefaults(options) };
}

type SharedOptions = Pick<ConfidentialClientOptions, (typeof SHARED_OPTIONS)[number]>;

function checkShared(options: SharedOptions, known: ReadonlySet<string>, owner: string): void {
  checkObject(options, "options");
  if ("cache" in options) throw new OptionsError("cache", "is not used: tokens are kept in `tokenCache`");
  checkOptionNames(options, known, owner);
  checkAuth(options.auth);
  checkSystem(options.system);
  if (options.telemetry !== undefined) checkObject(options.telemetry, "telemetry");
  checkTenants(options.tenants);
  if (typeof options.tokenCache?.accounts !== "function") {
    throw new OptionsError("tokenCache", "is missing: pass what createTokenCache(…) returns");
  }
}

function checkedDefaults({ requestTimeoutMs, serveNearExpiry }: SharedOptions): SharedDefaults {
  return {
    requestTimeoutMs: checkedPositive(
      requestTimeoutMs,
      "requestTimeoutMs",
      DEFAULT_REQUEST_TIMEOUT_MS,
      MAX_TIMER_MS,
    ),
    serveNearExpiry: checkedChoice(serveNearExpiry, "serveNearExpiry", [true, false]),
  };
}

function checkAuth(auth: Auth | undefined): asserts auth is Auth {
  if (auth) checkSpelling(auth, AUTH_NAMES, "auth");
  if (typeof auth?.clientId !== "string" || auth.clientId === "") {
    throw new OptionsError("auth.clientId", "is missing");
  }
  if (UNFILLED.test(auth.clientId)) throw new OptionsError("auth.clientId", "is still a placeholder");
  checkTexts(auth.clientCapabilities, "auth.clientCapabilities");
  checkTexts(auth.knownAuthorities, "auth.knownAuthorities");
  // MSAL takes a name that is there for a value, also where it is undefined, and crashes at the first call.
  if ("authority" in auth) checkAuthority(auth.authority);
}

function checkAuthority(authority: unknown): void {
  const problem = problemOf(authority);
  if (problem !== undefined) throw new OptionsError("auth.authority", problem);
}

function problemOf(authority: unknown): string | undefined {
  if (authority === undefined) {
    return "is undefined; set it, or leave it out for https://login.microsoftonline.com/common";
  }
  if (typeof authority !== "string" || !URL.canParse(authority)) {
    return "is not a URL, as https://login.microsoftonline.com/contoso.com is one";
  }
  if (new URL(authority).protocol !== "https:") return "must begin with https://";
  return PLACEHOLDER.test(authority) ? "still has a placeholder where the tenant belongs" : undefined;
}

/** MSAL's own rule (`ConfidentialClientApplication`, 7.2.1), also with an app token provider: exactly one. */
function checkCredential(auth: Auth): void {
  const given = CREDENTIALS.filter((name) => auth[name]);
  if (given.length === 0) {
    throw new OptionsError(
      "auth",
      `has no credential: it needs a clientSecret, a clientCertificate or a clientAssertion${unsetHint(auth)}`,
    );
  }
  if (given.length > 1) {
    throw new OptionsError("auth", `has more than one credential: ${given.join(", ")}; leave one`);
  }
  const { clientSecret, clientCertificate, clientAssertion } = auth;
  if (clientSecret) {
    checkIsText(clientSecret, "auth.clientSecret");
    if (UNFILLED.test(clientSecret)) throw new OptionsError("auth.clientSecret", "is still a placeholder");
  }
  if (clientAssertion && typeof clientAssertion !== "function") {
    checkIsText(clientAssertion, "auth.clientAssertion");
  }
  if (clientCertificate) checkCertificate(clientCertificate);
}

function unsetHint(auth: Auth): string {
  const empty = CREDENTIALS.find((name) => name in auth);
  return empty === undefined ? "" : `; ${empty} is ${auth[empty] === undefined ? "undefined" : "empty"}`;
}

function checkCertificate(certificate: NonNullable<Auth["clientCertificate"]>): void {
  checkObject(certificate, "auth.clientCertificate");
  const { privateKey, thumbprint, thumbprintSha256 } = certificate as Partial<typeof certificate>;
  checkIsText(privateKey, "auth.clientCertificate.privateKey");
  checkIsText(thumbprintSha256 || thumbprint, "auth.clientCertificate.thumbprintSha256");
}

function checkIsText(value: unknown, option: string): void {
  if (typeof value !== "string" || value === "") throw new OptionsError(option, "must be a non-empty text");
  // No form can carry half a surrogate pair (URIError).
  if (!value.isWellFormed()) throw new OptionsError(option, "must be a well-formed text");
}

function checkSystem(system: Configuration["system"]): void {
  if (system === undefined) return;
  checkObject(system, "system");
  checkSpelling(system, SYSTEM_NAMES, "system");
  const { networkClient } = system;
  if (networkClient !== undefined) {
    checkMethods(networkClient, "system.networkClient", NETWORK_METHODS, "an MSAL network client");
  }
}

interface Checked {
  readonly scopes?: unknown;
  readonly claims?: unknown;
  readonly claimsFromClient?: unknown;
}

/**
 * A request is an object, and its scopes a list: MSAL would ask for each letter of a text. Claims that are no JSON are
 * none to MSAL while it has a token in its cache, so that an API that demanded something would get the old one again.
 */
export function checkRequest(request: object): void {
  checkObject(request, "request");
  const { scopes, claims, claimsFromClient } = request as Checked;
  checkTexts(scopes ?? undefined, "scopes");
  if (claims) checkClaims(claims, "claims");
  if (claimsFromClient) checkClaims(claimsFromClient, "claimsFromClient");
}

function checkClaims(claims: unknown, option: string): void {
  if (typeof claims !== "string" || (claims.trim() !== "" && !isJsonObject(claims))) {
    throw new OptionsError(
      option,
      "must be a JSON object as text; claimsChallenge(header) reads it from the answer of an API",
    );
  }
}

function isJsonObject(text: string): boolean {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === "object" && value !== null && !Array.isArray(value);
  } catch {
    return false;
  }
}

/**
 * The same, and as it is now: an application may use one object for everybody, and change it while a call is under
 * way. MSAL reads a request when it is called.
 * @param required what the flow exchanges; without it the provider would be asked for nothing
 */
export function checkedRequest<R extends object>(request: R, required?: keyof R & string): R {
  checkRequest(request);
  if (required !== undefined) checkIsText(request[required], required);
  return ownRequest(request);
}

export function ownRequest<R extends object>(request: R): R {
  const { scopes } = request as { readonly scopes?: readonly string[] };
  return scopes ? { ...request, scopes: [...scopes] } : { ...request };
}
