/** The sign-in for Express: two routes, a guard and an error handler around a session of the application's. */
import type { AccountRef } from "../activity/account-ref.ts";
import { needsSignIn } from "../activity/outcome.ts";
import { checkedChoice, checkOptionNames } from "../checks.ts";
import { OptionsError, TokenkeepError } from "../errors.ts";
import { isAcquisitionError } from "../msal/acquisition-error.ts";
import { statusOf } from "./http-status.ts";
import { accountsOf, addAccount, leaveAccount, switchAccount } from "./session-accounts.ts";
import { addFlow, isRepeat, type SessionHandle, type SignInSession } from "./session.ts";
import type { BeginSignIn, SignIn } from "./sign-in.ts";

export type { SessionHandle, SignInSession } from "./session.ts";

/** The parts of Express's request that are used (Express 5; 4 with its error forwarding). */
export interface ExpressRequest {
  /** `GET`, … */
  readonly method: string;
  /** Path and query, as the browser sent them. */
  readonly originalUrl: string;
  /** The parsed query. */
  readonly query: unknown;
  /** Of these only what a browser accepts is read. */
  readonly headers: { readonly accept?: string | undefined };
}
/** The parts of Express's response that are used. */
export interface ExpressResponse {
  /** Whether an answer has begun. */
  readonly headersSent: boolean;
  /** Sends the browser elsewhere. */
  redirect(status: number, url: string): void;
}
/** Express's `next`. */
export type ExpressNext = (error?: unknown) => void;

/** What {@link expressSignIn} is made from. */
export interface ExpressSignInOptions<Req extends ExpressRequest, Res extends ExpressResponse> {
  /** What `createSignIn` returned. */
  readonly signIn: SignIn;
  /** Loads the session of a request. */
  readonly session: (req: Req, res: Res) => Promise<SessionHandle> | SessionHandle;
  /** More for a sign-in than where to return to: `prompt`, a hint. */
  readonly request?: (req: Req) => BeginSignIn;
  /** The path that {@link ExpressSignIn.begin} is mounted at, for the guard. Default `/sign-in`. */
  readonly signInPath?: string;
  /** Where a signed-in browser goes that repeats a redirect (reload, back button). Default `/`. */
  readonly homePath?: string;
  /**
   * A sign-in adds its account to those in the session and makes it the active one, instead of taking the place of
   * whoever was signed in. At most 5; the one who was active longest ago goes. Default false.
   */
  readonly severalAccounts?: boolean;
}

type Handler<Req, Res> = (req: Req, res: Res, next: ExpressNext) => Promise<void>;

/** Handlers for `app.get` and `app.use`. Errors reach `next` with a `statusCode`. */
export interface ExpressSignIn<Req, Res> {
  /** `GET` on the sign-in path: sends the browser to the identity provider. `?returnTo=/path` is honoured. */
  readonly begin: Handler<Req, Res>;
  /**
   * `GET` on the redirect URI: completes the sign-in and goes where the user was going. With a server-side
   * session give it a new id in `save()`: an id from before the sign-in may be known to somebody else.
   */
  readonly complete: Handler<Req, Res>;
  /**
   * Lets signed-in users pass. A page visit is sent to sign in and comes back; anything else fails with
   * `ERR_ACCOUNT_MISSING` and `statusCode` 401.
   */
  readonly guard: Handler<Req, Res>;
  /**
   * The error handler, after the routes: where only the user can help, a page visit is sent to sign in, once per
   * page, with what was asked for, the provider's claims challenge and the user's name; every other error goes on
   * with a `statusCode`: 400 for a bad or stale sign-in, 401 where somebody must sign in, 503 to try again.
   */
  readonly errors: (error: unknown, req: Req, res: Res, next: ExpressNext) => Promise<void>;
  /** The account of a request that the guard let pass. */
  account(req: Req): AccountRef;
  /** Everybody who is signed in in the session, the active account first: for an account picker. */
  accounts(req: Req, res: Res): Promise<AccountRef[]>;
  /**
   * Makes another account of the session the active one; {@link account} gives it from then on.
   * @throws `ERR_ACCOUNT_MISSING`, with `statusCode` 401, for one that has not signed in in this session
   */
  switchAccount(req: Req, res: Res, homeAccountId: string): Promise<AccountRef>;
  /**
   * Takes the active account out of the session, after it was signed out, say.
   * @returns who is active now; `undefined`: nobody is signed in any more
   */
  leaveAccount(req: Req, res: Res): Promise<AccountRef | undefined>;
}

/**
 * Two routes, a guard and an error handler for Express 5 around {@link SignIn}.
 * @throws {OptionsError} naming the option
 */
export function expressSignIn<Req extends ExpressRequest, Res extends ExpressResponse>(
  options: ExpressSignInOptions<Req, Res>,
): ExpressSignIn<Req, Res> {
  checkOptions(options);
  const { signIn, session, signInPath = "/sign-in", homePath = "/", severalAccounts = false } = options;
  const accounts = new WeakMap<object, AccountRef>();

  const handler =
    (work: Handler<Req, Res>): Handler<Req, Res> =>
    (req, res, next) =>
      work(req, res, next).catch((error: unknown) => next(withStatus(error)));

  async function redirectToProvider(
    req: Req,
    res: Res,
    request: BeginSignIn,
    loaded?: SessionHandle,
  ): Promise<void> {
    const begun = await signIn.beginSignIn({ ...request, ...options.request?.(req) });
    // A session that was changed must be the one that is saved: it may be another object each time it is loaded.
    const current = loaded ?? (await session(req, res));
    addFlow(current, begun.flow);
    await current.save();
    res.redirect(302, begun.url);
  }

  async function complete(req: Req, res: Res): Promise<void> {
    const current = await session(req, res);
    try {
      const { account, returnTo } = await signIn.completeSignIn({
        flow: current.flows ?? [],
        url: req.originalUrl,
      });
      delete current.flows;
      if (severalAccounts) addAccount(current, account);
      else {
        current.account = account;
        delete current.accounts;
      }
      await current.save();
      res.redirect(302, returnTo);
    } catch (error) {
      if (!current.account || !isRepeat(error)) throw error;
      res.redirect(302, homePath);
    }
  }

  async function change<A extends AccountRef | undefined>(
    req: Req,
    res: Res,
    work: (current: SignInSession) => A,
  ): Promise<A> {
    const current = await session(req, res);
    try {
      const active = work(current);
      await current.save();
      if (active) accounts.set(req, active);
      else accounts.delete(req);
      return active;
    } catch (error) {
      throw withStatus(error);
    }
  }

  async function challenge(error: unknown, req: Req, res: Res, next: ExpressNext): Promise<void> {
    const current = await session(req, res);
    // A page that fails again right after the user came back would send them round for ever.
    if (current.challenged === pageOf(req)) {
      delete current.challenged;
      delete current.cameBack;
      await current.save();
      return next(withStatus(error));
    }
    current.challenged = pageOf(req);
    delete current.cameBack;
    await redirectToProvider(req, res, { returnTo: req.originalUrl, ...challengeOf(error) }, current);
  }

  return {
    begin: handler((req, res) => {
      const { returnTo } = req.query as { returnTo?: unknown };
      return redirectToProvider(req, res, typeof returnTo === "string" ? { returnTo } : {});
    }),
    complete: (req, res, next) =>
      complete(req, res).catch((error: unknown) => next(withStatus(error, "in-sign-in"))),
    guard: handler(async (req, res, next) => {
      const current = await session(req, res);
      const { account } = current;
      if (account) {
        if (current.challenged === pageOf(req) && isPageVisit(req)) await noteVisit(current);
        accounts.set(req, account);
        next();
      } else if (isPageVisit(req)) {
        res.redirect(302, `${signInPath}?returnTo=${encodeURIComponent(req.originalUrl)}`);
      } else {
        throw new TokenkeepError("ERR_ACCOUNT_MISSING", "nobody is signed in");
      }
    }),
    async errors(error, req, res, next) {
      if (res.headersSent || !needsSignIn(error) || !isPageVisit(req)) return next(withStatus(error));
      await challenge(error, req, res, next).catch((failure: unknown) => next(withStatus(failure)));
    },
    account(req) {
      const account = accounts.get(req);
      if (!account) throw new TokenkeepError("ERR_ACCOUNT_MISSING", "this route is not behind the guard");
      return account;
    },
    accounts: async (req, res) => accountsOf(await session(req, res)),
    switchAccount: (req, res, homeAccountId) =>
      change(req, res, (current) => switchAccount(current, homeAccountId)),
    leaveAccount: (req, res) => change(req, res, leaveAccount),
  };
}

/** What the next sign-in must ask for, so that what has failed works afterwards. */
function challengeOf(error: unknown): BeginSignIn {
  const { claims } = error as { claims?: unknown };
  const asked = typeof claims === "string" && claims !== "" ? { claims } : {};
  if (!isAcquisitionError(error)) return asked;
  const loginHint = error.account?.username;
  return {
    ...asked,
    ...(error.scopes.length > 0 && { extraScopesToConsent: error.scopes }),
    ...(loginHint && { loginHint }),
  };
}

const MAX_CHALLENGED_LENGTH = 500;

function pageOf(req: ExpressRequest): string {
  return req.originalUrl.slice(0, MAX_CHALLENGED_LENGTH);
}

/** A page that is visited a second time after the user came back has worked the first time. */
async function noteVisit(current: SessionHandle): Promise<void> {
  if (current.cameBack) {
    delete current.challenged;
    delete current.cameBack;
  } else {
    current.cameBack = true;
  }
  await current.save();
}

function isPageVisit(req: ExpressRequest): boolean {
  return (req.method === "GET" || req.method === "HEAD") && (req.headers.accept ?? "").includes("text/html");
}

/** Keeps a `statusCode` that somebody has set already. */
function withStatus(error: unknown, where?: "in-sign-in"): unknown {
  if (typeof error !== "object" || error === null || "statusCode" in error) return error;
  const statusCode = statusOf(error, where);
  return statusCode === undefined ? error : Object.assign(error, { statusCode });
}

const KNOWN_OPTIONS = new Set(["signIn", "session", "request", "signInPath", "homePath", "severalAccounts"]);

function checkOptions(options: Partial<ExpressSignInOptions<never, never>> | undefined): void {
  if (options) checkOptionNames(options, KNOWN_OPTIONS, "expressSignIn");
  if (typeof options?.signIn?.completeSignIn !== "function") {
    throw new OptionsError("signIn", "is missing: pass what createSignIn(…) returns");
  }
  if (typeof options.session !== "function") throw new OptionsError("session", "must be a function");
  checkedChoice(options.severalAccounts, "severalAccounts", [false, true]);
  for (const name of ["signInPath", "homePath"] as const) {
    const path = options[name];
    if (path !== undefined && (typeof path !== "string" || !path.startsWith("/"))) {
      throw new OptionsError(name, "must be a path that begins with /");
    }
  }
}
