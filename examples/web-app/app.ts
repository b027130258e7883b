/** A web app on tokenkeep. Between the two rules is all that tokenkeep needs; the rest is the app's own. */
import express from "express";
import type { Express, Request, Response } from "express";
import { getIronSession } from "iron-session";
import { createConfidentialClient, createTokenCache, keysFromFile } from "../../src/index.ts";
import type { SignOutOutcome } from "../../src/index.ts";
import { createSignIn } from "../../src/web/sign-in.ts";
import { expressSignIn, type SessionHandle, type SignInSession } from "../../src/web/express.ts";
import { fetchProfile } from "../notes-api/client.ts";
import { NOTES_SCOPES, type Settings } from "../settings.ts";
import { openStore } from "../store.ts";
import { answerErrors } from "./errors.ts";
import { errorPage, homePage, profilePage, type SignOutNotice } from "./pages.ts";
import { protect } from "./protect.ts";

export interface WebAppSettings extends Settings {
  /** Where browsers reach the app, e.g. `http://127.0.0.1:3000`. */
  readonly baseUrl: string;
  /** Seals the session cookie; at least 32 characters. */
  readonly sessionPassword: string;
  /** The identity provider's page that ends its own session in this browser. */
  readonly signOutUrl: string;
}

/** What the session's cookie holds: who the user is, and after a sign-out what came of it. No token. */
interface NotesSession extends SignInSession {
  notice?: SignOutNotice;
}

export interface WebApp {
  readonly app: Express;
  readonly close: () => Promise<unknown>;
}

export function createWebApp(settings: WebAppSettings): WebApp {
  const { baseUrl, notesApiUrl } = settings;
  const app = express().disable("x-powered-by");
  app.use(protect(settings));
  const session = (req: Request, res: Response): Promise<NotesSession & SessionHandle> =>
    getIronSession<NotesSession>(req, res, {
      cookieName: "notes_session",
      password: settings.sessionPassword,
      cookieOptions: { httpOnly: true, sameSite: "lax", secure: baseUrl.startsWith("https:") },
    });

  // ------------------------------------------------------------------------------------------------
  const { store, end } = openStore(settings.store);
  const tokenCache = createTokenCache({
    store,
    keys: keysFromFile(settings.keyFile),
  });
  const client = createConfidentialClient({ auth: settings.auth, tokenCache });
  const signIn = createSignIn({ client, redirectUri: `${baseUrl}/redirect`, scopes: NOTES_SCOPES });
  const routes = expressSignIn({ signIn, session });
  app.get("/sign-in", routes.begin);
  app.get("/redirect", routes.complete);

  const tokenFor = (req: Request) => (forceRefresh: boolean) =>
    client.acquireTokenSilent({ account: routes.account(req), scopes: NOTES_SCOPES, forceRefresh });
  // ------------------------------------------------------------------------------------------------

  app.get("/", async (req, res) => {
    const current = await session(req, res);
    const { account, notice } = current;
    if (notice) {
      delete current.notice;
      await current.save();
    }
    res.send(homePage(account?.username, notice));
  });

  app.get("/me", routes.guard, async (req, res) => {
    const acquire = tokenFor(req);
    const { profile, token } = await fetchProfile({ apiUrl: notesApiUrl, caller: "web app", acquire });
    res.send(profilePage(profile, token.metadata));
  });

  // Of this browser alone: the session ends, the tokens stay, and the worker goes on.
  app.post("/sign-out", async (req, res) => {
    const current = await session(req, res);
    const { account } = current;
    await endSession(current, "here");
    res.redirect(303, signedOutAtProvider(settings, account?.username));
  });

  // For good: the tokens go, for every process that shares the cache. The session last, so that one can retry.
  app.post("/sign-out-everywhere", routes.guard, async (req, res) => {
    const account = routes.account(req);
    const outcome = await client.signOutEverywhere(account);
    await endSession(await session(req, res), noticeOf(outcome));
    res.redirect(303, signedOutAtProvider(settings, account.username));
  });

  app.use((_req, res) => void res.status(404).send(errorPage("not-found")));
  app.use(routes.errors);
  app.use(answerErrors);
  async function close(): Promise<void> {
    await tokenCache.close();
    await end();
  }

  return { app, close };
}

/** Nobody is signed in any more, and the next page says what happened. */
async function endSession(session: NotesSession & SessionHandle, notice: SignOutNotice): Promise<void> {
  delete session.account;
  delete session.flows;
  delete session.challenged;
  session.notice = notice;
  await session.save();
}

/** What to tell a user who signed out for good. */
export function noticeOf({ status, durable }: SignOutOutcome): SignOutNotice {
  if (status === "pending") return "pending";
  return durable ? "everywhere" : "not-durable";
}

/** Else the next sign-in would not ask who one is (OpenID Connect RP-Initiated Logout 1.0). */
function signedOutAtProvider({ signOutUrl, baseUrl }: WebAppSettings, username: string | undefined): string {
  if (username === undefined) return "/";
  const url = new URL(signOutUrl);
  url.searchParams.set("post_logout_redirect_uri", `${baseUrl}/`);
  url.searchParams.set("logout_hint", username);
  return url.href;
}
