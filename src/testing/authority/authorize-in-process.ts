/** Walks through the authorize endpoint as a person in a hurry would. */
import type { AuthorityAnswer, AuthorityRequest } from "./context.ts";

/** What reached the application: the code and state, or an error. */
export interface AuthorizeAnswer {
  /** Where the browser was sent, without the query. */
  readonly redirectUri: string;
  /** What came with it: `code`, `state`, or `error`. */
  readonly params: Readonly<Record<string, string>>;
}

/**
 * Opens `url` and picks `user`. A `form_post` request is answered the same way, read out of the redirect.
 * Throws when the authority shows an error page, which is where it must not redirect.
 */
export async function followAuthorize(
  handle: (request: AuthorityRequest) => Promise<AuthorityAnswer | undefined>,
  url: string,
  user: string,
): Promise<AuthorizeAnswer> {
  const target = new URL(url);
  target.searchParams.set("response_mode", "query");
  const body = new URLSearchParams({ account: user }).toString();
  const request = { method: "POST", url: `${target.pathname}${target.search}`, headers: {}, body };
  const answer = await handle(request);
  const location = answer?.headers["location"];
  if (location === undefined) {
    throw new Error(`the authorize endpoint did not redirect (status ${answer?.status ?? "none"})`);
  }
  const redirect = new URL(location);
  const params = Object.fromEntries(redirect.searchParams);
  return { redirectUri: `${redirect.origin}${redirect.pathname}`, params };
}
