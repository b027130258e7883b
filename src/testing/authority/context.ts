/** What the endpoints of one authority share. */
import type { Runtime } from "../../runtime.ts";
import type { CallLog, IssuedSecrets } from "./call-log.ts";
import type { DeviceCodes } from "./device-codes.ts";
import type { Directory, Person, Tenant } from "./directory.ts";
import type { Faults } from "./faults.ts";
import type { Grants } from "./grants.ts";
import type { SigningKey } from "./jwt.ts";
import { OAuthError } from "./oauth-error.ts";
import { GRAPH_AUDIENCE, type AuthorityResource } from "./options.ts";
import type { Policy } from "./policy.ts";
import type { Sessions } from "./sessions.ts";

/** One authority's state. */
export interface AuthorityContext {
  readonly runtime: Runtime;
  readonly directory: Directory;
  readonly policy: Policy;
  readonly grants: Grants;
  readonly deviceCodes: DeviceCodes;
  readonly sessions: Sessions;
  readonly faults: Faults;
  readonly log: CallLog;
  readonly issued: IssuedSecrets;
  readonly authorityHost: string;
  readonly autoSignIn: string | undefined;
  readonly sendsClientInfo: boolean;
  /** Newest first; the first one signs. */
  readonly signingKeys: SigningKey[];
  /** Where the endpoints are: the loopback origin while listening, else the https name. */
  baseUrl(): string;
}

/** A request, from a socket or from this process. */
export interface AuthorityRequest {
  /** HTTP method. */
  readonly method: string;
  /** Path and query. */
  readonly url: string;
  /** Lower-case names. */
  readonly headers: Readonly<Record<string, string | undefined>>;
  /** A form, or empty. */
  readonly body: string;
}

/** An answer; `undefined` in its place means: the connection breaks. */
export interface AuthorityAnswer {
  /** HTTP status. */
  readonly status: number;
  /** Lower-case names. */
  readonly headers: Readonly<Record<string, string>>;
  /** Text; JSON or a page. */
  readonly body: string;
}

/** The issuer of a tenant's tokens, as in the v2.0 endpoint of Entra ID. */
export const issuerOf = (context: AuthorityContext, tenantId: string): string =>
  `https://${context.authorityHost}/${tenantId}/v2.0`;

const SHARED_SEGMENTS: ReadonlySet<string> = new Set(["common", "organizations"]);

/** True for `common` and `organizations`, where the user decides the tenant. */
export const isShared = (segment: string): boolean => SHARED_SEGMENTS.has(segment.toLowerCase());

/** The tenant that a path names; undefined for the shared ones. */
export function tenantOf(context: AuthorityContext, segment: string): Tenant | undefined {
  if (isShared(segment)) return undefined;
  const tenant = context.directory.tenant(segment);
  if (tenant === undefined) throw new OAuthError("invalid_request", 90002, "The tenant was not found.");
  return tenant;
}

/** Refuses a tenant that the person is neither of nor invited to. */
export function refuseStranger(person: Person, tenant: Tenant): void {
  if (!person.oids.has(tenant.tenantId)) {
    throw new OAuthError("invalid_grant", 50020, "The user does not exist in the tenant.");
  }
}

/** The API that bare scopes belong to. */
export function graphOf(context: AuthorityContext): AuthorityResource {
  const graph = context.directory.resource(GRAPH_AUDIENCE);
  if (graph === undefined) throw new OAuthError("invalid_resource", 500011, "The resource was not found.");
  return graph;
}

/** A parameter; an empty one counts as absent (RFC 6749 section 3.1). */
export const param = (params: URLSearchParams, name: string): string | undefined =>
  params.get(name) || undefined;

/** A JSON answer that nobody may keep (RFC 6749 section 5.1). */
export const jsonAnswer = (
  status: number,
  body: unknown,
  headers: Readonly<Record<string, string>> = {},
): AuthorityAnswer => ({
  status,
  headers: { "content-type": "application/json; charset=utf-8", "cache-control": "no-store", ...headers },
  body: JSON.stringify(body),
});
