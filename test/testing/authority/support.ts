/** What the tests of the local authority share. */
import {
  ConfidentialClientApplication,
  CryptoProvider,
  type AuthenticationResult,
  type Configuration,
} from "@azure/msal-node";
import type { Runtime, Timer } from "../../../src/runtime.ts";
import { systemRuntime } from "../../../src/runtime.ts";
import {
  createLocalAuthority,
  DEFAULT_CLIENT_IDS,
  type LocalAuthority,
  type LocalAuthorityOptions,
} from "../../../src/testing/authority/index.ts";
import { createSigningKey } from "../../../src/testing/authority/jwt.ts";

export const ADA = "ada@contoso.example";
export const BEN = "ben@contoso.example";
export const CLEO = "cleo@fabrikam.example";
export const WEB = DEFAULT_CLIENT_IDS.web;
export const NOTES = DEFAULT_CLIENT_IDS.notes;
export const DESKTOP = DEFAULT_CLIENT_IDS.desktop;
export const REDIRECT = "http://localhost:4000/auth/redirect";
export const NOTES_READ = "api://notes/read";

/** MSAL treats a token with less than 300 seconds as expired. */
export const EXPIRED_FOR_MSAL = Object.freeze({ accessTokenSeconds: 200 });

const pem = createSigningKey().privateKey.export({ type: "pkcs8", format: "pem" }).toString();

export const authorityWith = (options: LocalAuthorityOptions = {}): LocalAuthority =>
  createLocalAuthority({ signingKeyPem: pem, ...options });

/** Runs with a listening authority. */
export async function listening<T>(
  options: LocalAuthorityOptions,
  work: (authority: LocalAuthority, origin: string) => Promise<T>,
): Promise<T> {
  const authority = authorityWith(options);
  const { origin, close } = await authority.listen();
  try {
    return await work(authority, origin);
  } finally {
    await close();
  }
}

/** An MSAL client that talks to the authority in this process. */
export function inProcessClient(
  authority: LocalAuthority,
  clientId: string = WEB,
  tenant = "contoso",
  auth: Partial<Configuration["auth"]> = {},
): ConfidentialClientApplication {
  return new ConfidentialClientApplication({
    auth: { ...authority.msalAuth(tenant, clientId), ...auth },
    system: { networkClient: authority.networkClient() },
  });
}

/** Signs a user in through MSAL, with PKCE. */
export async function signIn(
  authority: LocalAuthority,
  client: ConfidentialClientApplication,
  user: string = ADA,
  scopes: string[] = [NOTES_READ],
): Promise<AuthenticationResult> {
  const { verifier, challenge } = await new CryptoProvider().generatePkceCodes();
  const url = await client.getAuthCodeUrl({
    scopes,
    redirectUri: REDIRECT,
    codeChallenge: challenge,
    codeChallengeMethod: "S256",
  });
  const { params } = await authority.authorize(url, { user });
  return await client.acquireTokenByCode({
    code: params["code"] ?? "",
    scopes,
    redirectUri: REDIRECT,
    codeVerifier: verifier,
  });
}

/** A token request as a form, past MSAL. */
export async function postToken(
  authority: LocalAuthority,
  fields: Record<string, string>,
  tenant = "contoso",
): Promise<{ status: number; body: Record<string, unknown> }> {
  const answer = await authority.handle({
    method: "POST",
    url: `/${tenant}/oauth2/v2.0/token`,
    headers: { "content-type": "application/x-www-form-urlencoded" },
    body: new URLSearchParams({
      client_id: WEB,
      client_secret: "local-web-app-secret",
      ...fields,
    }).toString(),
  });
  if (answer === undefined) throw new Error("the connection broke");
  return { status: answer.status, body: JSON.parse(answer.body) as Record<string, unknown> };
}

/** An authorize URL, by hand. */
export function authorizeUrl(base: string, fields: Record<string, string> = {}, tenant = "contoso"): string {
  const query = new URLSearchParams({
    client_id: WEB,
    response_type: "code",
    redirect_uri: REDIRECT,
    scope: `openid profile offline_access ${NOTES_READ}`,
    ...fields,
  });
  return `${base}/${tenant}/oauth2/v2.0/authorize?${query.toString()}`;
}

/** Signs in past MSAL; the token answer. */
export async function tokensFor(
  authority: LocalAuthority,
  user: string = ADA,
  fields: Record<string, string> = {},
): Promise<Record<string, string>> {
  const { params } = await authority.authorize(authorizeUrl(`https://${authority.authorityHost}`, fields), {
    user,
  });
  const { body } = await postToken(authority, {
    grant_type: "authorization_code",
    code: params["code"] ?? "",
    redirect_uri: REDIRECT,
  });
  return body as Record<string, string>;
}

/** The payload of a JWT. */
export function claimsOf(token: string): Record<string, unknown> {
  const payload = Buffer.from(token.split(".")[1] ?? "", "base64url").toString("utf8");
  return JSON.parse(payload) as Record<string, unknown>;
}

/** A clock that stands still until it is moved; timers fire as it passes them. */
export function manualRuntime(startMs = Date.UTC(2031, 0, 1)): Runtime & { advance(ms: number): void } {
  let now = startMs;
  let timers: { at: number; callback: () => void }[] = [];
  return {
    ...systemRuntime,
    now: () => now,
    monotonicNow: () => now,
    setTimer(callback, delayMs): Timer {
      const timer = { at: now + delayMs, callback };
      timers.push(timer);
      return timer;
    },
    clearTimer(timer) {
      timers = timers.filter((other) => other !== timer);
    },
    advance(ms) {
      now += ms;
      const due = timers.filter((timer) => timer.at <= now);
      timers = timers.filter((timer) => timer.at > now);
      for (const timer of due) timer.callback();
    },
  };
}
