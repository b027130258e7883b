/** Scopes as Entra ID reads them: OpenID scopes aside, all scopes of one token belong to one API. */
import type { Directory } from "./directory.ts";
import { OAuthError } from "./oauth-error.ts";
import { GRAPH_AUDIENCE, type AuthorityResource } from "./options.ts";

const OPENID_SCOPES: ReadonlySet<string> = new Set(["openid", "profile", "email", "offline_access"]);

/** One scope of an API, as asked for. */
export interface AskedScope {
  readonly resource: AuthorityResource;
  /** Bare name, or `.default`. */
  readonly name: string;
  /** As the client wrote it. */
  readonly asked: string;
}

/** What a request asks for. */
export interface AskedScopes {
  readonly openid: readonly string[];
  readonly api: readonly AskedScope[];
}

/** What a token will carry. */
export interface GrantedScopes {
  readonly resource: AuthorityResource;
  /** Bare names, for the `scp` claim. */
  readonly names: readonly string[];
  /** For the answer's `scope`, in the words of the request. */
  readonly answer: readonly string[];
  readonly openid: ReadonlySet<string>;
}

/** The space-separated list, without doubles. */
export const splitScopes = (scope: string | undefined): readonly string[] => [
  ...new Set((scope ?? "").split(" ").filter((item) => item !== "")),
];

/** The name by which consent to a scope is remembered. */
export const consentName = (scope: AskedScope): string => `${scope.resource.audience}/${scope.name}`;

/** Reads scopes of any number of APIs, as the authorize endpoint allows. */
export function readScopes(directory: Directory, scopes: readonly string[]): AskedScopes {
  const openid = scopes.filter((scope) => OPENID_SCOPES.has(scope));
  const api = scopes.filter((scope) => !OPENID_SCOPES.has(scope)).map((scope) => readScope(directory, scope));
  return { openid, api };
}

function readScope(directory: Directory, asked: string): AskedScope {
  const slash = asked.lastIndexOf("/");
  const audience = slash < 0 ? GRAPH_AUDIENCE : asked.slice(0, slash);
  const name = asked.slice(slash + 1);
  const resource = directory.resource(audience);
  if (resource === undefined) {
    throw new OAuthError("invalid_resource", 500011, "The resource was not found in the tenant.");
  }
  const known = resource.scopes.find((scope) => scope.toLowerCase() === name.toLowerCase());
  if (known === undefined && name !== ".default") {
    throw new OAuthError("invalid_scope", 70011, "The scope does not exist on the resource.");
  }
  return { resource, name: known ?? name, asked };
}

/** All scopes of the resource that an `.default` stands for, or the scope itself. */
export function expandScope(scope: AskedScope): readonly AskedScope[] {
  if (scope.name !== ".default") return [scope];
  return scope.resource.scopes.map((name) => ({
    resource: scope.resource,
    name,
    asked: `${scope.asked.slice(0, -".default".length)}${name}`,
  }));
}

/**
 * The scopes of one delegated token. `.default` gives every scope of the API that is consented to, and is
 * itself listed in the answer, so that the same request finds the token in the cache.
 */
export function grantScopes(
  asked: AskedScopes,
  graph: AuthorityResource,
  lacksConsent: (scope: AskedScope) => boolean,
): { readonly granted: GrantedScopes; readonly missing: readonly AskedScope[] } {
  const resource = asked.api[0]?.resource ?? graph;
  if (asked.api.some((scope) => scope.resource !== resource)) {
    throw new OAuthError("invalid_scope", 28000, "The scopes belong to more than one resource.");
  }
  const byDefault = asked.api.find((scope) => scope.name === ".default");
  if (byDefault !== undefined && asked.api.length > 1) {
    throw new OAuthError("invalid_scope", 70011, ".default cannot be combined with other scopes.");
  }
  const wanted = asked.api.flatMap(expandScope);
  const consented = wanted.filter((scope) => !lacksConsent(scope));
  const missing = byDefault !== undefined && consented.length > 0 ? [] : wanted.filter(lacksConsent);
  // Entra ID names the OpenID scopes only for Graph, and offline_access never.
  const openidInAnswer = resource === graph ? asked.openid.filter((scope) => scope !== "offline_access") : [];
  const answer = [...consented.map((scope) => scope.asked), ...openidInAnswer];
  if (byDefault !== undefined) answer.push(byDefault.asked);
  return {
    granted: {
      resource,
      names: asked.api.length === 0 ? openidInAnswer : consented.map((scope) => scope.name),
      answer,
      openid: new Set(asked.openid),
    },
    missing,
  };
}
