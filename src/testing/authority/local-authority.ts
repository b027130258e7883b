/** The composition root of the local authority: reads like a table of contents. */
import { OptionsError } from "../../errors.ts";
import { systemRuntime } from "../../runtime.ts";
import { followAuthorize, type AuthorizeAnswer } from "./authorize-in-process.ts";
import { createCallLog, createIssuedSecrets, type AuthorityCall, type CallFilter } from "./call-log.ts";
import { issuerOf, type AuthorityAnswer, type AuthorityContext, type AuthorityRequest } from "./context.ts";
import { createControls, type AuthorityControls } from "./controls.ts";
import { createDeviceCodes } from "./device-codes.ts";
import { createDirectory, type Person, type Tenant } from "./directory.ts";
import { createFaults } from "./faults.ts";
import { createGrants } from "./grants.ts";
import { listenHttp, type HttpListener, type ListenOptions } from "./http-server.ts";
import { createSigningKey, type Jwks } from "./jwt.ts";
import {
  createNetworkClient,
  msalAuthSettings,
  type InProcessNetworkClient,
  type MsalAuthSettings,
} from "./msal-settings.ts";
import { resolveLifetimes, type LocalAuthorityOptions } from "./options.ts";
import { createPolicy } from "./policy.ts";
import { jwksOf, route } from "./router.ts";
import { createSessions } from "./sessions.ts";

/**
 * A small identity provider that speaks the v2.0 endpoints of Entra ID well enough for the real MSAL. For
 * tests and demonstrations only: it has no passwords and keeps everything in memory.
 */
export interface LocalAuthority extends AuthorityControls {
  /** Host of all its URLs, without a scheme. */
  readonly authorityHost: string;
  /** Every tenant there is. */
  readonly tenants: readonly Tenant[];
  /** Everybody who can sign in. */
  readonly users: readonly Person[];
  /** Calls so far, oldest first; the log never holds a token. */
  readonly calls: readonly AuthorityCall[];
  /**
   * Every access, refresh and ID token, code, device code and client secret so far, for tests that look for
   * leaks in stores and logs. Keep it out of anything else.
   */
  readonly issued: ReadonlySet<string>;
  /** How many calls match; `user` is a sign-in name or object id, `tenant` a name or GUID. */
  count(filter?: CallFilter): number;
  /** Answers one request without a socket; `undefined` stands for a broken connection. */
  handle(request: AuthorityRequest): Promise<AuthorityAnswer | undefined>;
  /** Starts listening on loopback. One listener at a time. */
  listen(options?: ListenOptions): Promise<HttpListener>;
  /** Opens an authorize URL as a person who picks `user` at once; gives what reaches the redirect URI. */
  authorize(url: string, options: { readonly user: string }): Promise<AuthorizeAnswer>;
  /**
   * The `auth` part of an MSAL configuration, for a tenant (name, GUID, `common`, `organizations`). Endpoints
   * are those of the listener; before `listen()` only {@link LocalAuthority.networkClient} reaches them.
   */
  msalAuth(tenant: string, clientId: string): MsalAuthSettings;
  /** For MSAL's `system.networkClient`: everything stays in this process. */
  networkClient(): InProcessNetworkClient;
  /** The public keys, as published. */
  jwks(): Jwks;
  /** The issuer of a tenant's tokens. */
  issuer(tenant: string): string;
  /** `uid.utid` of a user, as MSAL has it. */
  homeAccountId(user: string): string;
}

const HISTORY_LIMIT = 50_000;
const ROLLING_GRACE_MS = 60_000;

/** Creates an authority; it opens no socket and starts no timer until told to. */
export function createLocalAuthority(options: LocalAuthorityOptions = {}): LocalAuthority {
  const listener: { current: HttpListener | undefined } = { current: undefined };
  const context = createContext(options, () => listener.current?.origin);
  const handle = (request: AuthorityRequest): Promise<AuthorityAnswer | undefined> => route(context, request);
  return {
    ...createControls(context),
    authorityHost: context.authorityHost,
    tenants: context.directory.tenants,
    users: context.directory.people,
    calls: context.log.calls,
    issued: context.issued.all,
    count: (filter = {}) => context.log.count(resolveFilter(context, filter)),
    handle,
    listen: async (listenOptions = {}) => {
      if (listener.current !== undefined) throw new OptionsError("listen", "is in use already");
      const http = await listenHttp(handle, listenOptions);
      listener.current = http;
      const close = async (): Promise<void> => {
        if (listener.current === http) listener.current = undefined;
        await http.close();
      };
      return { origin: http.origin, close };
    },
    authorize: (url, { user }) => followAuthorize(handle, url, user),
    msalAuth: (tenant, clientId) => msalAuthSettings(context, tenant, clientId),
    networkClient: () => createNetworkClient(context, handle),
    jwks: () => jwksOf(context),
    issuer: (tenant) => issuerOf(context, context.directory.tenant(tenant)?.tenantId ?? tenant),
    homeAccountId(user) {
      const person = context.directory.person(user);
      if (person === undefined) throw new OptionsError("user", "is not known to this authority");
      return `${person.oid}.${person.home.tenantId}`;
    },
  };
}

function createContext(options: LocalAuthorityOptions, origin: () => string | undefined): AuthorityContext {
  const runtime = options.runtime ?? systemRuntime;
  const historyLimit = options.historyLimit ?? HISTORY_LIMIT;
  const authorityHost = options.authorityHost ?? "login.local.test";
  const directory = createDirectory(options);
  const policy = createPolicy(
    resolveLifetimes(options.lifetimes),
    options.refreshTokens ?? "reusable",
    options.rollingGraceMs ?? ROLLING_GRACE_MS,
  );
  const issued = createIssuedSecrets(historyLimit);
  for (const secret of directory.secrets()) issued.add(secret);
  return {
    runtime,
    directory,
    policy,
    grants: createGrants(runtime, policy),
    deviceCodes: createDeviceCodes(runtime, policy),
    sessions: createSessions(runtime),
    faults: createFaults(),
    log: createCallLog(historyLimit),
    issued,
    authorityHost,
    autoSignIn: options.autoSignIn,
    sendsClientInfo: options.clientInfo !== "never",
    signingKeys: [createSigningKey(options.signingKeyPem)],
    baseUrl: () => origin() ?? `https://${authorityHost}`,
  };
}

function resolveFilter(context: AuthorityContext, filter: CallFilter): CallFilter {
  const { user, tenant } = filter;
  return {
    ...filter,
    ...(user === undefined ? {} : { user: context.directory.person(user)?.username ?? user }),
    ...(tenant === undefined ? {} : { tenant: context.directory.tenant(tenant)?.tenantId ?? tenant }),
  };
}
