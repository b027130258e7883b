/** The authorize endpoint: the page, single sign-on, prompts, and the code (RFC 6749 section 4.1.1). */
import {
  isShared,
  param,
  tenantOf,
  type AuthorityAnswer,
  type AuthorityContext,
  type AuthorityRequest,
} from "./context.ts";
import { randomId } from "../../runtime.ts";
import type { Person, Registration, Tenant } from "./directory.ts";
import { OAuthError } from "./oauth-error.ts";
import { messagePage, pickerPage } from "./pages.ts";
import { allowsRedirect, readResponseMode, redirectAnswer, type ResponseMode } from "./redirect.ts";
import { expandScope, readScopes, splitScopes, type AskedScopes } from "./scopes.ts";
import { sessionCookie, sessionIdFrom } from "./sessions.ts";

/** A request that may be answered by redirect. */
interface AuthorizeRequest {
  readonly params: URLSearchParams;
  readonly app: Registration;
  readonly redirectUri: string;
  readonly mode: ResponseMode;
  /** Undefined for `common` and `organizations`. */
  readonly tenant: Tenant | undefined;
  readonly sessionId: string | undefined;
}

/** GET and POST /{tenant}/oauth2/v2.0/authorize. The page posts the chosen account back to its address. */
export function authorizeEndpoint(
  context: AuthorityContext,
  segment: string,
  request: AuthorityRequest,
): AuthorityAnswer {
  const params = readParams(request);
  const opened = openRequest(context, segment, params, sessionIdFrom(request.headers["cookie"]));
  if ("status" in opened) return opened;
  try {
    return decide(context, opened);
  } catch (error) {
    if (!(error instanceof OAuthError)) throw error;
    logCall(context, opened, error, undefined);
    return answer(opened, { error: error.error, error_description: error.message });
  }
}

function readParams(request: AuthorityRequest): URLSearchParams {
  const mark = request.url.indexOf("?");
  const params = new URLSearchParams(mark < 0 ? "" : request.url.slice(mark + 1));
  if (request.method === "POST") {
    for (const [name, value] of new URLSearchParams(request.body)) params.set(name, value);
  }
  return params;
}

// Until client and redirect URI are known to be good nobody is redirected anywhere.
function openRequest(
  context: AuthorityContext,
  segment: string,
  params: URLSearchParams,
  sessionId: string | undefined,
): AuthorizeRequest | AuthorityAnswer {
  const app = context.directory.app(param(params, "client_id") ?? "");
  const redirectUri = param(params, "redirect_uri");
  const title = "This sign-in cannot continue";
  if (app === undefined) return messagePage(400, title, "AADSTS700016: The application was not found.");
  if (!allowsRedirect(app, redirectUri)) {
    return messagePage(400, title, "AADSTS50011: The redirect URI is not registered for the application.");
  }
  if (!isShared(segment) && context.directory.tenant(segment) === undefined) {
    return messagePage(400, title, "AADSTS90002: The tenant was not found.");
  }
  const mode = readResponseMode(param(params, "response_mode")) ?? "query";
  return { params, app, redirectUri, mode, tenant: tenantOf(context, segment), sessionId };
}

function decide(context: AuthorityContext, request: AuthorizeRequest): AuthorityAnswer {
  const asked = checkRequest(context, request);
  const { params } = request;
  if (param(params, "action") === "cancel") {
    throw new OAuthError("access_denied", 65004, "The user declined to sign in.");
  }
  const prompt = param(params, "prompt");
  const picked = param(params, "account") ?? (prompt === "none" ? undefined : param(params, "auto"));
  if (picked !== undefined) return complete(context, request, asked, findPerson(context, picked), true);
  if (prompt === undefined || prompt === "none") {
    const silent = trySession(context, request, asked, prompt === "none");
    if (silent !== undefined) return silent;
    if (context.autoSignIn !== undefined && prompt === undefined) {
      return complete(context, request, asked, findPerson(context, context.autoSignIn), true);
    }
  }
  return showPicker(context, request, asked);
}

function checkRequest(context: AuthorityContext, { params, app }: AuthorizeRequest): AskedScopes {
  if (readResponseMode(param(params, "response_mode")) === undefined) {
    throw new OAuthError("invalid_request", 900231, "The response_mode is not supported.");
  }
  if (param(params, "response_type") !== "code") {
    throw new OAuthError("unsupported_response_type", 700054, "Only response_type code is supported.");
  }
  const challenge = param(params, "code_challenge");
  if (challenge !== undefined && param(params, "code_challenge_method") !== "S256") {
    throw new OAuthError("invalid_request", 501491, "Only code_challenge_method S256 is supported.");
  }
  if (challenge === undefined && app.isPublic) {
    throw new OAuthError("invalid_request", 9002325, "A public client needs a code_challenge.");
  }
  if (!["", "none", "login", "select_account", "consent"].includes(params.get("prompt") ?? "")) {
    throw new OAuthError("invalid_request", 90023, "The prompt is not supported.");
  }
  return readScopes(context.directory, splitScopes(param(params, "scope")));
}

function findPerson(context: AuthorityContext, username: string): Person {
  const person = context.directory.person(username);
  if (person === undefined) throw new OAuthError("access_denied", 50034, "The user does not exist.");
  return person;
}

/** Single sign-on: one fitting user is signed in already and nothing needs the person. */
function trySession(
  context: AuthorityContext,
  request: AuthorizeRequest,
  asked: AskedScopes,
  mustNotAsk: boolean,
): AuthorityAnswer | undefined {
  const hint = param(request.params, "login_hint")?.toLowerCase();
  const signedIn = context.sessions
    .users(request.sessionId)
    .flatMap((username) => context.directory.person(username) ?? [])
    .filter((person) => hint === undefined || person.username.toLowerCase() === hint)
    .filter((person) => isMember(person, request.tenant));
  const [person, other] = signedIn;
  if (person !== undefined && other === undefined) {
    const obstacle = obstacleFor(context, request, asked, person);
    if (obstacle === undefined) return complete(context, request, asked, person, false);
    if (mustNotAsk) throw obstacle;
    return undefined;
  }
  if (!mustNotAsk) return undefined;
  throw person === undefined
    ? new OAuthError("login_required", 50058, "The user is not signed in.")
    : new OAuthError("interaction_required", 16000, "Several users are signed in.");
}

function obstacleFor(
  context: AuthorityContext,
  request: AuthorizeRequest,
  asked: AskedScopes,
  person: Person,
): OAuthError | undefined {
  if (asked.api.flatMap(expandScope).some((scope) => context.policy.lacksConsent(person, scope))) {
    return new OAuthError("consent_required", 65001, "The user has not consented to use the application.");
  }
  return context.policy.unmetClaims(person, param(request.params, "claims"), false) === undefined
    ? undefined
    : new OAuthError("interaction_required", 50076, "The user must complete an additional step.");
}

const isMember = (person: Person, tenant: Tenant | undefined): boolean =>
  tenant === undefined || person.oids.has(tenant.tenantId);

function showPicker(
  context: AuthorityContext,
  request: AuthorizeRequest,
  asked: AskedScopes,
): AuthorityAnswer {
  const members = context.directory.people.filter((person) => isMember(person, request.tenant));
  const hint = param(request.params, "login_hint")?.toLowerCase();
  const hinted = members.find((person) => person.username.toLowerCase() === hint);
  return pickerPage({
    appName: request.app.name,
    accounts: hinted === undefined ? members : [hinted, ...members.filter((person) => person !== hinted)],
    hinted: hinted?.username,
    scopes: asked.api.map((scope) => scope.asked),
    query: request.params.toString(),
  });
}

/** Issues the code. `present`: the person has seen the page, which is also consent. */
function complete(
  context: AuthorityContext,
  request: AuthorizeRequest,
  asked: AskedScopes,
  person: Person,
  present: boolean,
): AuthorityAnswer {
  const { params, app, redirectUri, sessionId } = request;
  const tenant = request.tenant ?? person.home;
  if (!isMember(person, tenant)) {
    throw new OAuthError("access_denied", 50020, "The user does not exist in the tenant.");
  }
  const claims = param(params, "claims");
  if (present) {
    context.policy.consent(person, asked.api);
    context.policy.unmetClaims(person, claims, true);
  }
  const scopes = splitScopes(param(params, "scope"));
  const grant = context.grants.open({ clientId: app.clientId, person, tenant, scopes });
  const code = context.grants.issueCode({
    grant,
    redirectUri,
    challenge: param(params, "code_challenge"),
    nonce: param(params, "nonce"),
    claims,
  });
  context.issued.add(code);
  const session = context.sessions.signIn(sessionId, person.username);
  logCall(context, request, undefined, { user: person.username, grantId: grant.id });
  const done = answer(request, { code, session_state: randomId(context.runtime) });
  return { ...done, headers: { ...done.headers, "set-cookie": sessionCookie(session) } };
}

function answer(request: AuthorizeRequest, fields: Readonly<Record<string, string>>): AuthorityAnswer {
  const state = param(request.params, "state");
  return redirectAnswer(
    request.redirectUri,
    request.mode,
    state === undefined ? fields : { ...fields, state },
  );
}

function logCall(
  context: AuthorityContext,
  request: AuthorizeRequest,
  failure: OAuthError | undefined,
  who: { readonly user: string; readonly grantId: string } | undefined,
): void {
  context.log.add({
    at: context.runtime.now(),
    grant: "authorize",
    tenant: request.tenant?.tenantId ?? "common",
    clientId: request.app.clientId,
    scopes: splitScopes(param(request.params, "scope")),
    outcome: failure?.error ?? "ok",
    delivered: true,
    ...(failure === undefined ? {} : { errorNumber: failure.number }),
    ...who,
  });
}
