/** What every answer and every request of the app must meet, whatever the route. */
import type { RequestHandler } from "express";
import { errorPage, STYLE_HASH } from "./pages.ts";

/**
 * One host name, so that the cookie of the redirect is the cookie of the sign-in; forms only from our own
 * pages (the session cookie is same-site too); and a policy under which no page can load anything.
 */
export function protect(options: { readonly baseUrl: string; readonly signOutUrl: string }): RequestHandler {
  const { baseUrl } = options;
  const { host } = new URL(baseUrl);
  const policy = [
    "default-src 'none'",
    `style-src '${STYLE_HASH}'`,
    // Signing out redirects a form to the identity provider, which browsers hold against this list.
    `form-action 'self' ${new URL(options.signOutUrl).origin}`,
    "img-src data:",
    "base-uri 'none'",
    "frame-ancestors 'none'",
  ].join("; ");
  return (req, res, next) => {
    res.set({
      "cache-control": "no-store",
      "content-security-policy": policy,
      "referrer-policy": "same-origin",
      "x-content-type-options": "nosniff",
    });
    const isRead = req.method === "GET" || req.method === "HEAD";
    if (isRead && req.headers.host !== host) res.redirect(302, `${baseUrl}${req.originalUrl}`);
    else if (!isRead && req.headers.origin !== baseUrl) res.status(403).send(errorPage("foreign-form"));
    else next();
  };
}
