/** The sign-in for Express: two routes and a guard around a session of the application's choice. */
import { TokenkeepError } from "../errors.ts";
import type { AccountRef } from "../activity/account-ref.ts";
import type { BeginSignIn, SignIn } from "./sign-in.ts";

/** What tokenkeep keeps in a session: under 2.5 KB while signing in, about 250 bytes after it. */
export interface SignInSession {
  /** Set between the two halves of a sign-in. */
  flow?: string;
  /** Set once signed in. */
  account?: AccountRef;
}

/** A loaded session. iron-session's fits as it is; for others write these two methods. */
export interface SessionHandle extends SignInSession {
  save(): Promise<void> | void;
  destroy(): Promise<void> | void;
}

/** The parts of Express's request and response that are used (Express 5; 4 with its error forwarding). */
export interface ExpressRequest {
  readonly method: string;
  readonly originalUrl: string;
  readonly query: unknown;
  readonly headers: { readonly accept?: string | undefined };
}
export interface ExpressResponse {
  redirect(status: number, url: string): void;
}
export type ExpressNext = (error?: unknown) => void;

export interface ExpressSignInOptions<Req extends ExpressRequest, Res extends ExpressResponse> {
  readonly signIn: SignIn;
  /** Loads the session of a request. */
  readonly session: (req: Req, res: Res) => Promise<SessionHandle> | SessionHandle;
  /** More for a sign-in than where to return to: `prompt`, `claims` of a challenge, a hint. */
  readonly request?: (req: Req) => BeginSignIn;
  /** The path that {@link ExpressSignIn.begin} is mounted at, for the guard. Default `/sign-in`. */
  readonly signInPath?: string;
}

type Handler<Req, Res> = (req: Req, res: Res, next: ExpressNext) => Promise<void>;

export interface ExpressSignIn<Req, Res> {
  /** `GET` on the sign-in path: sends the browser to the identity provider. `?returnTo=/path` is honoured. */
  readonly begin: Handler<Req, Res>;
  /** `GET` on the redirect URI: completes the sign-in and goes where the user was going. */
  readonly complete: Handler<Req, Res>;
  /**
   * Lets signed-in users pass. A page visit is sent to sign in and comes back; anything else fails with
   * `ERR_ACCOUNT_MISSING` and `statusCode` 401.
   */
  readonly guard: Handler<Req, Res>;
  /** The account of a request that the guard let pass. */
  account(req: Req): AccountRef;
}

/** Errors reach `next` with a `statusCode`: 400 for a bad or stale sign-in, 401 without one, 503 to try again. */
export function expressSignIn<Req extends ExpressRequest, Res extends ExpressResponse>(
  options: ExpressSignInOptions<Req, Res>,
): ExpressSignIn<Req, Res> {
  const { signIn, session, signInPath = "/sign-in" } = options;
  const accounts = new WeakMap<object, AccountRef>();

  const handler =
    (work: Handler<Req, Res>): Handler<Req, Res> =>
    (req, res, next) =>
      work(req, res, next).catch((error: unknown) => next(withStatus(error)));

  return {
    begin: handler(async (req, res) => {
      const { returnTo } = req.query as { returnTo?: unknown };
      const begun = await signIn.beginSignIn({
        ...(typeof returnTo === "string" && { returnTo }),
        ...options.request?.(req),
      });
      const current = await session(req, res);
      current.flow = begun.flow;
      await current.save();
      res.redirect(302, begun.url);
    }),
    complete: handler(async (req, res) => {
      const current = await session(req, res);
      const completed = await signIn.completeSignIn({ flow: current.flow ?? "", url: req.originalUrl });
      delete current.flow;
      current.account = completed.account;
      await current.save();
      res.redirect(302, completed.returnTo);
    }),
    guard: handler(async (req, res, next) => {
      const { account } = await session(req, res);
      if (account) {
        accounts.set(req, account);
        next();
      } else if (req.method === "GET" && req.headers.accept?.includes("text/html")) {
        res.redirect(302, `${signInPath}?returnTo=${encodeURIComponent(req.originalUrl)}`);
      } else {
        throw new TokenkeepError("ERR_ACCOUNT_MISSING", "nobody is signed in");
      }
    }),
    account(req) {
      const account = accounts.get(req);
      if (!account) throw new TokenkeepError("ERR_ACCOUNT_MISSING", "this route is not behind the guard");
      return account;
    },
  };
}

const CLIENT_FAULTS = new Set([
  "ERR_FLOW_INVALID",
  "ERR_FLOW_EXPIRED",
  "ERR_FLOW_REPLAYED",
  "ERR_STATE_MISMATCH",
  "ERR_AUTHORIZATION_FAILED",
]);

function withStatus(error: unknown): unknown {
  if (!(error instanceof TokenkeepError)) return error;
  const statusCode = error.retryable
    ? 503
    : error.code === "ERR_ACCOUNT_MISSING"
      ? 401
      : CLIENT_FAULTS.has(error.code)
        ? 400
        : 500;
  return Object.assign(error, { statusCode });
}
