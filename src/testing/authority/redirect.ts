/** Redirect URIs: which are allowed, and how an answer travels to one. */
import type { AuthorityAnswer } from "./context.ts";
import type { Registration } from "./directory.ts";
import { formPostPage } from "./pages.ts";

const LOOPBACK: ReadonlySet<string> = new Set(["localhost", "127.0.0.1", "[::1]"]);

/** Whether the registration allows `uri`. */
export function allowsRedirect(app: Registration, uri: string | undefined): uri is string {
  const url = uri === undefined ? null : URL.parse(uri);
  if (url === null || url.hash !== "") return false;
  const loopback = url.protocol === "http:" && LOOPBACK.has(url.hostname);
  if (app.redirectUris === undefined) return loopback;
  return app.redirectUris.some(
    (known) => known === uri || (loopback && withoutPort(known) === withoutPort(url.href)),
  );
}

function withoutPort(uri: string): string {
  const url = URL.parse(uri);
  if (url === null) return uri;
  url.port = "";
  return url.href;
}

/** How the answer reaches the application. */
export type ResponseMode = "query" | "fragment" | "form_post";

/** The parameter's value, `query` when left out; undefined when it is none of the three. */
export function readResponseMode(text: string | undefined): ResponseMode | undefined {
  if (text === undefined || text === "query") return "query";
  return text === "fragment" || text === "form_post" ? text : undefined;
}

/** The answer to the browser. 303, so that a POST to our page becomes a GET (RFC 9700 section 4.12). */
export function redirectAnswer(
  uri: string,
  mode: ResponseMode,
  fields: Readonly<Record<string, string>>,
): AuthorityAnswer {
  if (mode === "form_post") return formPostPage(uri, fields);
  const url = new URL(uri);
  if (mode === "fragment") url.hash = new URLSearchParams(fields).toString();
  else for (const [name, value] of Object.entries(fields)) url.searchParams.set(name, value);
  return {
    status: 303,
    headers: { location: url.href, "cache-control": "no-store", "referrer-policy": "no-referrer" },
    body: "",
  };
}
