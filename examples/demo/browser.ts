/** A browser without a window: cookies, redirects, links and forms, enough to play a person. */

export interface Page {
  readonly url: string;
  readonly status: number;
  readonly html: string;
}

export interface Browser {
  open(url: string): Promise<Page>;
  /** Follows the first link whose address begins so. */
  follow(page: Page, hrefStart: string): Promise<Page>;
  /** Presses the button with this name and value; without both, the only button of the form `action`. */
  press(
    page: Page,
    target: { readonly action: string } | { readonly name: string; readonly value: string },
  ): Promise<Page>;
  /** Another browser with a copy of the cookies, as a thief or a restored backup would have it. */
  copy(): Browser;
  /** All cookie values. */
  cookies(): readonly string[];
}

const MAX_REDIRECTS = 10;
const REQUEST_TIMEOUT_MS = 30_000;

/** A browser with no cookies. Cookies are kept by host name and sent to every port of it, as browsers do. */
export function createBrowser(jar: ReadonlyMap<string, string> = new Map()): Browser {
  const cookies = new Map(jar);

  async function request(start: string, form?: URLSearchParams, origin?: string): Promise<Page> {
    let url = start;
    let body = form;
    for (let hop = 0; hop <= MAX_REDIRECTS; hop++) {
      const response = await fetch(url, {
        method: body ? "POST" : "GET",
        redirect: "manual",
        signal: AbortSignal.timeout(REQUEST_TIMEOUT_MS),
        headers: {
          accept: "text/html",
          cookie: cookieHeader(cookies, url),
          ...(body && origin ? { origin } : {}),
        },
        ...(body ? { body } : {}),
      });
      keepCookies(cookies, url, response.headers.getSetCookie());
      const location = response.headers.get("location");
      if (location === null) return { url, status: response.status, html: await response.text() };
      await response.body?.cancel();
      url = new URL(location, url).href;
      body = undefined;
    }
    throw new Error(`more than ${MAX_REDIRECTS} redirects from ${new URL(start).pathname}`);
  }

  return {
    open: (url) => request(url),
    follow(page, hrefStart) {
      const href = attributes(page.html, "href").find((found) => found.startsWith(hrefStart));
      if (href === undefined) throw new Error(`no link to ${hrefStart} on ${new URL(page.url).pathname}`);
      return request(new URL(href, page.url).href);
    },
    press(page, target) {
      const { action, fields } = findForm(page, target);
      return request(new URL(action, page.url).href, fields, new URL(page.url).origin);
    },
    copy: () => createBrowser(cookies),
    cookies: () => [...cookies.values()],
  };
}

/** The text of a page, without its markup. */
export function textOf({ html }: Page): string {
  return unescapeHtml(html.replaceAll(/<(style|title)>[^]*?<\/\1>|<[^>]*>/g, " "))
    .replaceAll(/\s+/g, " ")
    .trim();
}

function findForm(
  page: Page,
  target: { readonly action: string } | { readonly name: string; readonly value: string },
): { readonly action: string; readonly fields: URLSearchParams } {
  const fields = new URLSearchParams();
  for (const [form] of page.html.matchAll(/<form [^]*?<\/form>/g)) {
    const [action = ""] = attributes(form, "action");
    if ("action" in target && action === target.action) return { action, fields };
    if ("name" in target && hasButton(form, target.name, target.value)) {
      fields.set(target.name, target.value);
      return { action, fields };
    }
  }
  const wanted = "action" in target ? `form to ${target.action}` : `button ${target.value}`;
  throw new Error(`no ${wanted} on ${new URL(page.url).pathname}`);
}

function hasButton(form: string, name: string, value: string): boolean {
  return [...form.matchAll(/<button [^>]*>/g)].some(
    ([button]) => attributes(button, "name")[0] === name && attributes(button, "value")[0] === value,
  );
}

function attributes(html: string, name: string): string[] {
  return [...html.matchAll(new RegExp(`\\s${name}="([^"]*)"`, "g"))].map(([, value = ""]) =>
    unescapeHtml(value),
  );
}

const unescapeHtml = (text: string): string =>
  text.replaceAll(/&#(\d+);/g, (_, code: string) => String.fromCharCode(Number(code)));

function cookieHeader(cookies: ReadonlyMap<string, string>, url: string): string {
  const host = `${new URL(url).hostname} `;
  return [...cookies]
    .filter(([key]) => key.startsWith(host))
    .map(([key, value]) => `${key.slice(host.length)}=${value}`)
    .join("; ");
}

function keepCookies(cookies: Map<string, string>, url: string, setCookies: readonly string[]): void {
  for (const line of setCookies) {
    const [pair = "", ...rules] = line.split(";");
    const name = pair.slice(0, pair.indexOf("="));
    const key = `${new URL(url).hostname} ${name}`;
    if (rules.some((rule) => /^\s*max-age=(0|-\d+)\s*$/i.test(rule))) cookies.delete(key);
    else cookies.set(key, pair.slice(name.length + 1));
  }
}
