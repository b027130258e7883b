/** What the flows of a client work with, made from its options. */
import { createHash } from "node:crypto";
import { LRUCache } from "lru-cache";
import type { ClientRole } from "../activity/row.ts";
import { acquisitionError } from "../msal/acquisition-error.ts";
import type { ClientSettings } from "../msal/client-settings.ts";
import { runOperation } from "../msal/operation.ts";
import type { AuthorizationUrlRequest, Configuration, MsalClient } from "../msal/types.ts";
import { createLeases, type Leases } from "../partitions/lease.ts";
import type { CacheParts } from "../cache-parts.ts";
import type { TokenCache } from "../token-cache.ts";
import { createAuthorityReader, createUserPartitions, type ClientContext } from "./context.ts";
import { createEarlyRefreshes } from "./early-refresh.ts";
import { functionNumber } from "./function-number.ts";
import { createCacheAnswers } from "./lookup.ts";
import { createSubjects } from "./subjects.ts";
import { createTenantGate, type AllowedTenants } from "./tenants.ts";

const REMEMBERED_OUTAGES = 1_000;

interface ResolvedClient {
  readonly auth: Configuration["auth"];
  readonly system?: Configuration["system"];
  readonly tokenCache: TokenCache;
  readonly role: ClientRole;
  readonly requestTimeoutMs: number;
  readonly serveNearExpiry: boolean;
  readonly tenants?: AllowedTenants;
}

/** @throws {OptionsError} if the authority cannot be read */
export function createClientContext<C extends MsalClient>(
  resolved: ResolvedClient,
  settings: ClientSettings<C>,
): ClientContext<C> {
  const { auth, system, tokenCache, role, requestTimeoutMs } = resolved;
  const { parts } = tokenCache;
  const userPartitions = createUserPartitions(auth.clientId);
  const context: ClientContext<C> = {
    settingsName: settingsName(resolved),
    parts,
    auth,
    authority: createAuthorityReader(auth, system?.protocolMode),
    subjects: createSubjects(userPartitions, parts.partitions.place),
    userPartitions,
    answers: createCacheAnswers(parts.runtime),
    role,
    settings: settings.current,
    leases: createClientLeases(parts, requestTimeoutMs),
    earlyRefreshes: createEarlyRefreshes(parts.runtime, parts.run),
    serveNearExpiry: resolved.serveNearExpiry,
    tenantGate: createTenantGate(resolved.tenants),
    outages: new LRUCache({ max: REMEMBERED_OUTAGES }),
  };
  context.authority({});
  return context;
}

/** Who makes a client for each request has many of one name: with functions among its settings, if they are the same. */
function settingsName({ auth, role, serveNearExpiry, tenants }: ResolvedClient): string {
  const { clientSecret, clientCertificate, clientAssertion, clientCapabilities } = auth;
  const credentials = [clientSecret, clientCertificate, clientAssertion];
  const settings = JSON.stringify(
    [role, serveNearExpiry, tenants, credentials, clientCapabilities],
    (_name, value: unknown) => (typeof value === "function" ? { function: functionNumber(value) } : value),
  );
  return createHash("sha256").update(settings).digest("base64url");
}

function createClientLeases(parts: CacheParts, requestTimeoutMs: number): Leases {
  const { lease, keptLeases: kept, refreshTokens: mode, runtime, emit } = parts;
  return createLeases({
    lease,
    kept,
    mode,
    requestTimeoutMs,
    runtime,
    onFailure: (operation, error) => emit({ type: "store-failed", store: "lease", operation, error }),
  });
}

/** Where the browser goes to sign in. Touches no token. */
export async function authCodeUrl(context: ClientContext, request: AuthorizationUrlRequest): Promise<string> {
  const outcome = await runOperation(context.settings(), undefined, (client) =>
    client.getAuthCodeUrl({ ...request }),
  );
  if (!outcome.ok) throw acquisitionError(outcome.error, outcome.trace, { scopes: request.scopes });
  return outcome.result;
}
