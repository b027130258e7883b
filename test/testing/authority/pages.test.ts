import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { LocalAuthorityOptions } from "../../../src/testing/authority/index.ts";
import {
  ADA,
  authorityWith,
  authorizeUrl,
  BEN,
  CLEO,
  DESKTOP,
  listening,
  NOTES_READ,
  postToken,
  REDIRECT,
  WEB,
} from "./support.ts";

/** One browser: keeps the session cookie and follows no redirect. */
function browser(): (url: string, form?: Record<string, string>) => Promise<Response> {
  let cookie = "";
  return async (url, form) => {
    const response = await fetch(url, {
      redirect: "manual",
      headers: cookie === "" ? {} : { cookie },
      ...(form === undefined ? {} : { method: "POST", body: new URLSearchParams(form) }),
    });
    const set = response.headers.get("set-cookie");
    if (set !== null) cookie = set.split(";")[0] ?? "";
    return response;
  };
}

const redirectParams = (response: Response): Record<string, string> =>
  Object.fromEntries(new URL(response.headers.get("location") ?? "").searchParams);

const unescape = (text: string): string =>
  text.replaceAll(/&#(\d+);/g, (_match, code: string) => String.fromCharCode(Number(code)));

const accountsOn = (html: string): string[] =>
  [...html.matchAll(/name="account" value="([^"]*)"/g)].map((match) => unescape(match[1] ?? ""));

const signOnPage = async (
  options: LocalAuthorityOptions,
  work: (
    open: (
      fields: Record<string, string>,
      form?: Record<string, string>,
      tenant?: string,
    ) => Promise<Response>,
    authority: ReturnType<typeof authorityWith>,
  ) => Promise<void>,
): Promise<void> =>
  listening(options, async (authority, origin) => {
    const visit = browser();
    await work((fields, form, tenant) => visit(authorizeUrl(origin, fields, tenant), form), authority);
  });

describe("the sign-in page", () => {
  test("has one heading, one button per member of the tenant, the scopes asked for, and its button signs in", () =>
    signOnPage({}, async (open, authority) => {
      const page = await open({ state: "s 1&2" });
      const html = await page.text();
      expect(page.headers.get("content-type")).toContain("text/html");
      expect(html.match(/<h1>/g)).toHaveLength(1);
      expect(html).toContain('<html lang="en">');
      expect(accountsOn(html)).toEqual([ADA, BEN]);
      expect(html).toContain(`<li>${NOTES_READ}</li>`);
      const action = unescape(/action="([^"]*)"/.exec(html)?.[1] ?? "");
      const target = new URL(action, page.url).href;
      const response = await fetch(target, {
        method: "POST",
        redirect: "manual",
        body: new URLSearchParams({ account: BEN }),
      });
      expect(response.status).toBe(303);
      const { code, state } = redirectParams(response);
      expect(state).toBe("s 1&2");
      const answer = await postToken(authority, {
        grant_type: "authorization_code",
        code: code ?? "",
        redirect_uri: REDIRECT,
      });
      expect(answer.status).toBe(200);
      expect(authority.count({ user: BEN, grant: "authorization_code" })).toBe(1);
    }));

  test("shows guests in the tenant they were invited to, and the hinted account first with the focus", () =>
    signOnPage({}, async (open) => {
      expect(accountsOn(await (await open({}, undefined, "fabrikam")).text())).toEqual([ADA, CLEO]);
      expect(accountsOn(await (await open({}, undefined, "common")).text())).toEqual([ADA, BEN, CLEO]);
      const hinted = await (await open({ login_hint: BEN })).text();
      expect(accountsOn(hinted)).toEqual([BEN, ADA]);
      expect(hinted).toContain(`value="${BEN}" autofocus`);
    }));

  test("Cancel is access_denied", () =>
    signOnPage({}, async (open) => {
      expect(redirectParams(await open({ state: "x" }, { action: "cancel" }))).toMatchObject({
        error: "access_denied",
        state: "x",
      });
    }));

  test("form_post answers with a form that submits itself to the application", () =>
    signOnPage({}, async (open) => {
      const page = await open({ response_mode: "form_post", state: '"><script>' }, { account: ADA });
      const html = await page.text();
      expect(page.status).toBe(200);
      expect(html).toContain(`action="${REDIRECT}"`);
      expect(unescape(/name="state" value="([^"]*)"/.exec(html)?.[1] ?? "")).toBe('"><script>');
      expect(/name="code" value="1\.C[\w-]+"/.test(html)).toBe(true);
      expect(html.match(/<script>/g)).toHaveLength(1);
      expect(page.headers.get("content-security-policy")).toMatch(/script-src 'sha256-/);
    }));

  test("fragment answers behind the hash", () =>
    signOnPage({}, async (open) => {
      const response = await open({ response_mode: "fragment" }, { account: ADA });
      const { hash, search } = new URL(response.headers.get("location") ?? "");
      expect(search).toBe("");
      expect(new URLSearchParams(hash.slice(1)).get("code")).toBeTruthy();
    }));

  test("escapes whatever a name, scope or query holds", async () => {
    await fc.assert(
      fc.asyncProperty(fc.string({ minLength: 1 }), fc.string({ minLength: 1 }), async (name, extra) => {
        const authority = authorityWith({
          users: [{ username: `<b>"'&${name}`, name: `<i>"'&${name}`, tenant: "contoso" }],
        });
        const url = authorizeUrl("", { [`"'<u>${extra}`]: `"'<u>${extra}` });
        const answer = await authority.handle({ method: "GET", url, headers: {}, body: "" });
        expect(answer?.body).not.toMatch(/<b>|<i>|<u>/);
        expect(accountsOn(answer?.body ?? "")).toEqual([`<b>"'&${name}`]);
      }),
      { numRuns: 30 },
    );
  });
});

describe("prompts and single sign-on", () => {
  test("a signed-in browser gets its code without a page; select_account, login and consent show it", () =>
    signOnPage({}, async (open) => {
      await open({}, { account: ADA });
      expect(redirectParams(await open({}))["code"]).toBeTruthy();
      for (const prompt of ["select_account", "login", "consent"]) {
        expect((await open({ prompt })).status).toBe(200);
      }
    }));

  test("prompt=none is login_required without a session and with several users needs a hint", () =>
    signOnPage({}, async (open) => {
      expect(redirectParams(await open({ prompt: "none" }))["error"]).toBe("login_required");
      await open({}, { account: ADA });
      expect(redirectParams(await open({ prompt: "none" }))["code"]).toBeTruthy();
      await open({}, { account: BEN });
      expect(redirectParams(await open({ prompt: "none" }))["error"]).toBe("interaction_required");
      expect(redirectParams(await open({ prompt: "none", login_hint: BEN }))["code"]).toBeTruthy();
    }));

  test("prompt=none reports missing consent and claims; without it the page is shown", () =>
    signOnPage({}, async (open, authority) => {
      await open({}, { account: ADA });
      authority.requireConsent(ADA, NOTES_READ);
      expect(redirectParams(await open({ prompt: "none" }))["error"]).toBe("consent_required");
      expect((await open({})).status).toBe(200);
      await open({}, { account: ADA });
      authority.requireClaims(ADA, '{"access_token":{"acrs":{"value":"c1"}}}');
      expect(redirectParams(await open({ prompt: "none" }))["error"]).toBe("interaction_required");
    }));

  test("autoSignIn and ?auto= sign in without the page, except where a prompt asks for it", () =>
    signOnPage({ autoSignIn: ADA }, async (open, authority) => {
      expect(redirectParams(await open({ prompt: "none" }))["error"]).toBe("login_required");
      expect((await open({ prompt: "select_account" })).status).toBe(200);
      expect(redirectParams(await open({}))["code"]).toBeTruthy();
      expect(redirectParams(await open({ auto: BEN, prompt: "login" }))["code"]).toBeTruthy();
      expect(redirectParams(await open({ auto: CLEO }))["error"]).toBe("access_denied");
      expect(authority.count({ grant: "authorize", user: BEN, outcome: "ok" })).toBe(1);
    }));

  test("revoking a user ends the browser's session", () =>
    signOnPage({}, async (open, authority) => {
      await open({}, { account: ADA });
      authority.revokeUser(ADA);
      expect(redirectParams(await open({ prompt: "none" }))["error"]).toBe("login_required");
    }));
});

describe("what the authorize endpoint refuses", () => {
  test.each([
    ["an unknown client", { client_id: "unknown" }],
    ["a redirect URI that is not on loopback", { redirect_uri: "https://evil.example/" }],
    ["a redirect URI with a fragment", { redirect_uri: `${REDIRECT}#x` }],
    ["no redirect URI", { redirect_uri: "" }],
  ])("%s: an error page, no redirect", (_name, fields) =>
    signOnPage({}, async (open) => {
      const response = await open(fields);
      expect(response.status).toBe(400);
      expect(response.headers.get("location")).toBeNull();
    }),
  );

  test("an unknown tenant: an error page", () =>
    signOnPage({}, async (open) => {
      expect((await open({}, undefined, "nowhere")).status).toBe(400);
    }));

  test.each([
    ["response_type=token", { response_type: "token" }, "unsupported_response_type"],
    ["plain PKCE", { code_challenge: "x", code_challenge_method: "plain" }, "invalid_request"],
    ["an unknown response mode", { response_mode: "telepathy" }, "invalid_request"],
    ["an unknown prompt", { prompt: "please" }, "invalid_request"],
    ["an unknown API", { scope: "api://nowhere/read" }, "invalid_resource"],
    ["a public client without PKCE", { client_id: DESKTOP }, "invalid_request"],
  ])("%s: redirected as %s", (_name, fields, error) =>
    signOnPage({}, async (open) => {
      expect(redirectParams(await open({ ...fields, state: "x" }))).toMatchObject({ error, state: "x" });
    }),
  );

  test("registered redirect URIs are exact but for a loopback port", () => {
    const redirectUris = ["http://localhost/auth/redirect", "https://app.example/cb"];
    return signOnPage({ apps: [{ clientId: WEB, redirectUris }] }, async (open) => {
      const status = async (uri: string): Promise<number> =>
        (await open({ redirect_uri: uri, code_challenge: "x", code_challenge_method: "S256" })).status;
      expect(await status("http://localhost:5123/auth/redirect")).toBe(200);
      expect(await status("https://app.example/cb")).toBe(200);
      expect(await status("http://localhost:5123/auth/other")).toBe(400);
      expect(await status("http://127.0.0.1:5123/auth/redirect")).toBe(400);
      expect(await status("https://app.example:444/cb")).toBe(400);
      expect(await status("https://app.example/cb/")).toBe(400);
    });
  });
});

describe("the other pages", () => {
  test("logout ends the session and goes only where an application is registered", () =>
    listening({}, async (_authority, origin) => {
      const visit = browser();
      await visit(authorizeUrl(origin), { account: ADA });
      const logout = `${origin}/contoso/oauth2/v2.0/logout?`;
      const back = await visit(
        `${logout}${new URLSearchParams({ post_logout_redirect_uri: "http://localhost:4000/", state: "q" }).toString()}`,
      );
      expect(back.headers.get("location")).toBe("http://localhost:4000/?state=q");
      expect(redirectParams(await visit(authorizeUrl(origin, { prompt: "none" })))["error"]).toBe(
        "login_required",
      );
      const away = await visit(`${logout}post_logout_redirect_uri=https%3A%2F%2Fevil.example`);
      expect(away.status).toBe(200);
      expect(await away.text()).toContain("Signed out");
    }));

  test("a device code is typed in and approved on its page", () =>
    listening({}, async (_authority, origin) => {
      const started = await fetch(`${origin}/contoso/oauth2/v2.0/devicecode`, {
        method: "POST",
        body: new URLSearchParams({ client_id: DESKTOP, scope: "openid" }),
      });
      const code = (await started.json()) as Record<string, string>;
      const page = code["verification_uri"] ?? "";
      expect(await (await fetch(page)).text()).toContain('name="user_code"');
      const visit = browser();
      expect((await visit(page, { user_code: "NOPE", account: ADA })).status).toBe(400);
      expect((await visit(page, { user_code: code["user_code"] ?? "", account: ADA })).status).toBe(200);
      const token = await fetch(`${origin}/contoso/oauth2/v2.0/token`, {
        method: "POST",
        body: new URLSearchParams({
          grant_type: "urn:ietf:params:oauth:grant-type:device_code",
          client_id: DESKTOP,
          device_code: code["device_code"] ?? "",
        }),
      });
      expect(token.status).toBe(200);
    }));

  test("the OpenID configuration names endpoints that are there", () =>
    listening({}, async (authority, origin) => {
      const url = `${origin}/contoso/v2.0/.well-known/openid-configuration`;
      const metadata = (await (await fetch(url)).json()) as Record<string, string>;
      expect(metadata["issuer"]).toBe(authority.issuer("contoso"));
      expect(await (await fetch(metadata["jwks_uri"] ?? "")).json()).toEqual(authority.jwks());
      for (const [name, method] of [
        ["authorization_endpoint", "GET"],
        ["token_endpoint", "POST"],
        ["end_session_endpoint", "GET"],
        ["device_authorization_endpoint", "POST"],
      ] as const) {
        const { status } = await fetch(metadata[name] ?? "", { method, redirect: "manual" });
        expect([404, 405, 500]).not.toContain(status);
      }
    }));

  test("unknown paths are 404, wrong methods 405, oversized bodies 413, other hosts than loopback refused", () =>
    listening({}, async (authority, origin) => {
      expect((await fetch(`${origin}/`)).status).toBe(404);
      expect((await fetch(`${origin}/contoso/oauth2/v2.0/nothing`)).status).toBe(404);
      expect((await fetch(`${origin}/contoso/oauth2/v2.0/token`)).status).toBe(405);
      const large = { method: "POST", body: "x".repeat(300_000) };
      expect((await fetch(`${origin}/contoso/oauth2/v2.0/token`, large)).status).toBe(413);
      await expect(authority.listen()).rejects.toThrow(TypeError);
      await expect(authorityWith().listen({ host: "0.0.0.0" })).rejects.toThrow(TypeError);
    }));

  test("after close the port is free and the authority can listen again", async () => {
    const authority = authorityWith();
    const first = await authority.listen();
    await first.close();
    await expect(fetch(`${first.origin}/contoso/discovery/v2.0/keys`)).rejects.toThrow();
    const second = await authority.listen({ port: Number(new URL(first.origin).port) });
    expect((await fetch(`${second.origin}/contoso/discovery/v2.0/keys`)).status).toBe(200);
    await second.close();
  });
});
