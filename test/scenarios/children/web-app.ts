/** A web app in a process of its own: users sign in over HTTP; the parent process only starts and ends it. */
import { once } from "node:events";
import type { AddressInfo } from "node:net";
import { InteractionRequiredAuthError } from "@azure/msal-node";
import express from "express";
import { getIronSession } from "iron-session";
import { expressSignIn, type SessionHandle } from "../../../src/web/express.ts";
import { statusOf } from "../../../src/web/http-status.ts";
import { createSignIn, type SignIn } from "../../../src/web/sign-in.ts";
import { log, serveCommands, served, startChild } from "./child.ts";

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

/** Some providers give refresh tokens only where the user is asked. */
function prompting(inner: SignIn): SignIn {
  const { prompt } = settings;
  if (!prompt) return inner;
  return { ...inner, beginSignIn: (request = {}) => inner.beginSignIn({ ...request, prompt }) };
}
