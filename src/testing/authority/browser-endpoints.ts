/** The other endpoints a browser visits: device code entry and sign-out. */
import { param, type AuthorityAnswer, type AuthorityContext, type AuthorityRequest } from "./context.ts";
import { deviceCodePage, messagePage } from "./pages.ts";
import { allowsRedirect } from "./redirect.ts";
import { readScopes } from "./scopes.ts";
import { sessionCookie, sessionIdFrom } from "./sessions.ts";

const queryOf = (request: AuthorityRequest): URLSearchParams => {
  const mark = request.url.indexOf("?");
  return new URLSearchParams(mark < 0 ? "" : request.url.slice(mark + 1));
};

/** GET and POST /{tenant}/oauth2/v2.0/deviceauth: where a user types a device's code in. */
export function deviceCodeEntryEndpoint(
  context: AuthorityContext,
  request: AuthorityRequest,
): AuthorityAnswer {
  const accounts = context.directory.people;
  if (request.method !== "POST") {
    return deviceCodePage({ accounts, userCode: param(queryOf(request), "user_code") ?? "" });
  }
  const form = new URLSearchParams(request.body);
  const userCode = param(form, "user_code") ?? "";
  const declined = param(form, "action") === "cancel";
  const done = decideDeviceCode(context, userCode, declined ? undefined : (param(form, "account") ?? ""));
  if (!done) {
    return deviceCodePage({ accounts, userCode, problem: "No device is waiting for this code and account." });
  }
  return declined
    ? messagePage(200, "Declined", "The device was not signed in. You can close this page.")
    : messagePage(200, "Done", "The device is being signed in. You can close this page.");
}

/** Approves (`username`) or declines (undefined); approving on the page is consent. */
export function decideDeviceCode(
  context: AuthorityContext,
  userCode: string,
  username: string | undefined,
): boolean {
  const code = context.deviceCodes.byUserCode(userCode);
  if (username === undefined) return context.deviceCodes.decide(userCode, undefined);
  const person = context.directory.person(username);
  if (code === undefined || person === undefined) return false;
  if (!context.deviceCodes.decide(userCode, person.username)) return false;
  context.policy.consent(person, readScopes(context.directory, code.scopes).api);
  context.policy.unmetClaims(person, code.claims, true);
  return true;
}

/** GET /{tenant}/oauth2/v2.0/logout (OpenID Connect RP-Initiated Logout 1.0). */
export function logoutEndpoint(
  context: AuthorityContext,
  segment: string,
  request: AuthorityRequest,
): AuthorityAnswer {
  const query = queryOf(request);
  const sessionId = sessionIdFrom(request.headers["cookie"]);
  const hint = param(query, "logout_hint");
  const person = hint === undefined ? undefined : context.directory.person(hint);
  context.sessions.signOut(sessionId, person?.username);
  context.log.add({
    at: context.runtime.now(),
    grant: "logout",
    tenant: context.directory.tenant(segment)?.tenantId ?? segment,
    scopes: [],
    outcome: "ok",
    delivered: true,
    ...(person === undefined ? {} : { user: person.username }),
  });
  const target = param(query, "post_logout_redirect_uri");
  const ended = context.sessions.users(sessionId).length === 0;
  const cookie: Readonly<Record<string, string>> = ended ? { "set-cookie": sessionCookie("") } : {};
  if (target === undefined || !context.directory.apps().some((app) => allowsRedirect(app, target))) {
    const page = messagePage(200, "Signed out", "You are signed out. You can close this page.");
    return { ...page, headers: { ...page.headers, ...cookie } };
  }
  const url = new URL(target);
  const state = param(query, "state");
  if (state !== undefined) url.searchParams.set("state", state);
  return { status: 303, headers: { location: url.href, "cache-control": "no-store", ...cookie }, body: "" };
}
