/** A browser without a screen: cookies, redirects, and a person who picks an account at the authority. */

export interface Page {
  readonly url: string;
  readonly status: number;
  readonly body: unknown;
  /** Where the account was picked, if that was on the way. */
  readonly picker?: string;
}

export interface Browser {
  /** As a script in a page asks. */
  get(url: string): Promise<Page>;
  /** As a person goes to a page. */
  visit(url: string): Promise<Page>;
  post(url: string, form?: Readonly<Record<string, string>>): Promise<Page>;
  /** Follows redirects until one leads to where `isThere` says; that address is not visited. */
  goUntil(url: string, isThere: (url: string) => boolean): Promise<string>;
  /** Signs in as `user` and comes back to `/me`, or to wherever `path` leads. */
  signIn(origin: string, user: string, path?: string): Promise<Page>;
  /** As far as the redirect back to the application, whose address is given but not visited. */
  signInUpToRedirect(origin: string, user: string): Promise<string>;
}

/** Where following redirects ended; no response if that was on the way to a page. */
interface End {
  readonly url: string;
  readonly response: Response | undefined;
  readonly picker?: string;
}

const MAX_REDIRECTS = 10;

/** Cookies are kept by name: an application that is restarted comes back on another port. */
export function createBrowser(): Browser {
  const cookies = new Map<string, string>();

  async function send(url: string, init: RequestInit = {}): Promise<Response> {
    const cookie = [...cookies].map(([name, value]) => `${name}=${value}`).join("; ");
    const headers = { ...(init.headers as Record<string, string>), ...(cookie && { cookie }) };
    const response = await fetch(url, { ...init, headers, redirect: "manual" });
    for (const line of response.headers.getSetCookie()) keep(line);
    return response;
  }

  function keep(line: string): void {
    const [pair = "", ...attributes] = line.split(";").map((part) => part.trim());
    const name = pair.slice(0, pair.indexOf("="));
    const value = pair.slice(name.length + 1);
    const gone = value === "" || attributes.some((attribute) => /^max-age=0$/i.test(attribute));
    if (gone) cookies.delete(name);
    else cookies.set(name, value);
  }

  /** Follows redirects until there is a page, or one leads to where `stopAt` says. */
  async function follow(
    url: string,
    init: RequestInit,
    stopAt: (url: string) => boolean = () => false,
  ): Promise<End> {
    let at = url;
    let response = await send(at, init);
    for (let hops = 0; response.status >= 300 && response.status < 400; hops += 1) {
      if (hops === MAX_REDIRECTS) throw new Error(`redirected for ever, at last by ${new URL(at).pathname}`);
      at = new URL(response.headers.get("location") ?? "", at).href;
      await response.arrayBuffer();
      if (stopAt(at)) return { url: at, response: undefined };
      response = await send(at, { headers: init.headers ?? {} });
    }
    return { url: at, response };
  }

  async function get(url: string): Promise<Page> {
    return pageOf(await follow(url, {}));
  }

  const AS_A_PERSON = { headers: { accept: "text/html" } };

  /** Picks `user` on the authority's page, which is not shown to whoever is signed in there. */
  async function pick(
    origin: string,
    path: string,
    user: string,
    stopAt?: (url: string) => boolean,
  ): Promise<End> {
    const picker = await follow(`${origin}${path}`, AS_A_PERSON, stopAt);
    if (picker.url.startsWith(origin)) return picker;
    const page = (await picker.response?.text()) ?? "";
    if (!page.includes(`value="${user.replaceAll("@", "&#64;")}"`) && !page.includes(`value="${user}"`)) {
      throw new Error(`the page at ${new URL(picker.url).pathname} does not offer the account: ${page}`);
    }
    const form = { ...AS_A_PERSON, method: "POST", body: new URLSearchParams({ account: user }) };
    return { ...(await follow(picker.url, form, stopAt)), picker: picker.url };
  }

  return {
    get,
    visit: async (url) => pageOf(await follow(url, AS_A_PERSON)),
    post: async (url, form = {}) =>
      pageOf(await follow(url, { method: "POST", body: new URLSearchParams(form) })),
    goUntil: async (url, isThere) => (await follow(url, {}, isThere)).url,
    signIn: async (origin, user, path = "/sign-in?returnTo=/me") => pageOf(await pick(origin, path, user)),
    async signInUpToRedirect(origin, user) {
      const isBack = (url: string): boolean => url.startsWith(`${origin}/redirect`);
      return (await pick(origin, "/sign-in?returnTo=/me", user, isBack)).url;
    },
  };
}

async function pageOf(end: End): Promise<Page> {
  const { url, response, picker } = end;
  if (!response) throw new Error("there is no page");
  const text = await response.text();
  const isJson = response.headers.get("content-type")?.includes("json") ?? false;
  const body = isJson ? (JSON.parse(text) as unknown) : text;
  return { url, status: response.status, body, ...(picker !== undefined && { picker }) };
}
