/** A web app in a process of its own: users sign in over HTTP; the parent process only starts and ends it. */
import { once } from "node:events";
import type { AddressInfo } from "node:net";
import { InteractionRequiredAuthError } from "@azure/msal-node";
import express from "express";
import { getIronSession } from "iron-session";
import { claimsChallenge } from "../../../src/index.ts";
import { expressSignIn, type SessionHandle } from "../../../src/web/express.ts";
import { statusOf } from "../../../src/web/http-status.ts";
import { createSignIn, type SignIn } from "../../../src/web/sign-in.ts";
import { keyCommands, log, serveCommands, served, startChild } from "./child.ts";

const { settings, cache, client } = startChild("web");
const app = express();
const server = app.listen(0, "127.0.0.1");
await once(server, "listening");
const origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;

const session = (req: express.Request, res: express.Response): Promise<SessionHandle> =>
  getIronSession<SessionHandle>(req, res, {
    password: settings.sessionPassword,
    cookieName: "session",
    cookieOptions: { secure: false },
  });
const signIn = createSignIn({ client, redirectUri: `${origin}/redirect`, scopes: settings.scopes });
const routes = expressSignIn<express.Request, express.Response>({
  signIn: prompting(signIn),
  session,
  homePath: "/me",
});

app.get("/sign-in", routes.begin);
app.get("/redirect", routes.complete);
app.get("/me", routes.guard, async (req, res) => {
  const { scopes, force } = req.query as { scopes?: string; force?: string };
  const result = await client.acquireTokenSilent({
    account: routes.account(req),
    scopes: scopes?.split(" ") ?? [...settings.scopes],
    forceRefresh: force === "yes",
  });
  res.json(served(result));
});
// Pages that send to sign in where only the user can help.
app.get("/page", routes.guard, async (req, res) => {
  const { scopes = settings.scopes.join(" ") } = req.query as { scopes?: string };
  const account = routes.account(req);
  res.json(served(await client.acquireTokenSilent({ account, scopes: scopes.split(" ") })));
});
app.get("/profile", routes.guard, async (req, res) => {
  const request = { account: routes.account(req), scopes: [...settings.scopes] };
  let result = await client.acquireTokenSilent(request);
  let response = await callApi(result.accessToken);
  const claims = response.status === 401 && claimsChallenge(response.headers.get("www-authenticate"));
  if (claims) {
    result = await client.acquireTokenSilent({ ...request, claims });
    response = await callApi(result.accessToken);
  }
  if (!response.ok) throw Object.assign(new Error("the API refused"), { statusCode: 502 });
  res.json({ ...served(result), profile: (await response.json()) as unknown });
});
app.use(["/page", "/profile"], routes.errors);
// Step-up: the claims that a failed acquisition, here or in the worker, was answered with.
app.get("/step-up", routes.guard, async (req, res) => {
  const { homeAccountId, username } = routes.account(req);
  let claims: string | undefined;
  for await (const account of cache.accounts({ homeAccountId })) claims = account.failure?.claims;
  const begun = await signIn.beginSignIn({ returnTo: "/me", loginHint: username, ...(claims && { claims }) });
  const current = await session(req, res);
  current.flows = [begun.flow];
  await current.save();
  res.redirect(302, begun.url);
});
app.post("/sign-out", routes.guard, async (req, res) => {
  const outcome = await client.removeAccount(routes.account(req));
  await (await session(req, res)).destroy();
  res.json(outcome);
});

// Express tells an error handler by its four parameters.
app.use((error: unknown, req: express.Request, res: express.Response, _next: express.NextFunction) => {
  log(`${req.method} ${req.path} failed`, error);
  const { code, errorCode, statusCode } = error as { code?: string; errorCode?: string; statusCode?: number };
  const status =
    error instanceof InteractionRequiredAuthError ? 401 : (statusCode ?? statusOf(error as object) ?? 500);
  res.status(status).json({ code: errorCode ?? code ?? "unknown" });
});

serveCommands(
  {
    ...keyCommands(cache),
    // For the tests of the harness itself: what a scenario must notice.
    say: (text) => log("said", text),
    reject: () => void Promise.reject(new Error("nobody handles this")),
  },
  async () => {
    server.close();
    server.closeAllConnections();
    return cache.close();
  },
);
process.send?.({ ready: origin });

function callApi(token: string): Promise<Response> {
  return fetch(`${settings.apiOrigin}/profile`, { headers: { authorization: `Bearer ${token}` } });
}

/** Some providers give refresh tokens only where the user is asked. */
function prompting(inner: SignIn): SignIn {
  const { prompt } = settings;
  if (!prompt) return inner;
  return { ...inner, beginSignIn: (request = {}) => inner.beginSignIn({ ...request, prompt }) };
}
