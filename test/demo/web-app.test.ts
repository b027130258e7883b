import { createServer, request } from "node:http";
import type { AddressInfo } from "node:net";
import { DatabaseSync } from "node:sqlite";
import express from "express";
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import { createBrowser, type Browser, type Page } from "../../examples/demo/browser.ts";
import { temporaryDataFolder } from "../../examples/demo/data-folder.ts";
import { startServices, type Services } from "../../examples/demo/services.ts";
import { createWebApp, noticeOf, type WebApp } from "../../examples/web-app/app.ts";
import { answerErrors } from "../../examples/web-app/errors.ts";
import { homePage } from "../../examples/web-app/pages.ts";
import { TokenkeepError, type ErrorCode } from "../../src/index.ts";

const ADA = "ada@contoso.example";
const data = temporaryDataFolder();
const server = createServer();
let services: Services;
let web: WebApp;
let origin: string;

beforeAll(async () => {
  services = await startServices(3600);
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  web = createWebApp({
    ...services,
    store: data.storePath,
    keyFile: data.keyFile,
    baseUrl: origin,
    sessionPassword: "a password of more than thirty-two characters",
  });
  server.on("request", web.app);
});

afterAll(async () => {
  server.close();
  server.closeAllConnections();
  await web.close();
  await services.close();
  data.remove();
});

const signInAt = (browser: Browser, picker: Page): Promise<Page> =>
  browser.press(picker, { name: "account", value: ADA });

async function signedIn(): Promise<Browser> {
  const browser = createBrowser();
  const page = await signInAt(browser, await browser.open(`${origin}/me`));
  expect(page.html).toContain("Hello, Ada Palmer");
  return browser;
}

const cookieOf = (browser: Browser): string => `notes_session=${browser.cookies().at(-1) ?? ""}`;

describe("the example web app", () => {
  test.each(["/sign-out", "/sign-out-everywhere"])("refuses a form of another site on %s", async (path) => {
    const browser = await signedIn();
    for (const headers of [{ origin: "http://evil.example" }, {}]) {
      const answer = await fetch(origin + path, {
        method: "POST",
        headers: {
          ...headers,
          cookie: browser
            .cookies()
            .map((value) => `notes_session=${value}`)
            .join("; "),
        },
        redirect: "manual",
      });
      expect(answer.status).toBe(403);
      expect(await answer.text()).toContain("That request came from elsewhere");
    }
    expect((await browser.open(`${origin}/me`)).status).toBe(200);
  });

  test("keeps a small, sealed, same-site cookie that no script can read", async () => {
    const browser = createBrowser();
    const begin = await fetch(`${origin}/sign-in`, { redirect: "manual" });
    const [flowCookie = ""] = begin.headers.getSetCookie();
    expect(flowCookie).toMatch(/HttpOnly/);
    expect(flowCookie).toMatch(/SameSite=Lax/);
    expect(flowCookie.length).toBeLessThan(4096);
    await browser.open(`${origin}/`);
    const signed = await signedIn();
    expect(cookieOf(signed).length).toBeLessThan(1500);
  });

  test("sends every page with a policy under which nothing can be loaded or framed", async () => {
    const answer = await fetch(origin);
    const policy = answer.headers.get("content-security-policy") ?? "";
    expect(policy).toContain("default-src 'none'");
    expect(policy).toContain("frame-ancestors 'none'");
    expect(answer.headers.get("cache-control")).toBe("no-store");
    expect(await answer.text()).not.toMatch(/<script|(src|href)="https?:/);
  });

  test("tells a browser without its cookie what may have become of it, with a way to start again", async () => {
    const page = await createBrowser().open(`${origin}/redirect?code=made-up&state=made-up`);
    expect(page.status).toBe(400);
    expect(page.html).toContain('href="/sign-in?returnTo=/me"');
    expect(page.html).toContain("Cookies may be blocked");
    expect(page.html).toContain("localhost and 127.0.0.1 are two sites");
  });

  test("answers a cancelled sign-in with 400, and says that it was", async () => {
    const browser = createBrowser();
    const picker = await browser.open(`${origin}/me`);
    const page = await browser.press(picker, { name: "action", value: "cancel" });
    expect(page.status).toBe(400);
    expect(page.html).toContain("You cancelled");
  });

  test("says so when the answer is another sign-in's", async () => {
    const browser = createBrowser();
    await browser.open(`${origin}/me`);
    const page = await browser.open(`${origin}/redirect?code=made-up&state=made-up`);
    expect(page.status).toBe(400);
    expect(page.html).toContain("That was another sign-in");
  });

  test("brings a user back to the page whose token was revoked", async () => {
    const browser = await signedIn();
    services.authority.setLifetimes({ accessTokenSeconds: 240 });
    try {
      // The token in the cache would go on until it has expired: for one that is soon used up, sign in anew.
      await browser.press(await browser.open(`${origin}/`), { action: "/sign-out-everywhere" });
      const again = await signInAt(browser, await browser.open(`${origin}/me`));
      expect(again.html).toContain("Hello, Ada Palmer");
      services.authority.revokeUser(ADA);
      const picker = await browser.open(`${origin}/me`);
      expect(picker.html).toContain("Pick an account");
      const back = await signInAt(browser, picker);
      expect(back.url).toBe(`${origin}/me`);
      expect(back.html).toContain("Hello, Ada Palmer");
    } finally {
      services.authority.setLifetimes({ accessTokenSeconds: 3600 });
    }
  });

  test("answers an unknown address with 404", async () => {
    expect((await createBrowser().open(`${origin}/nowhere`)).status).toBe(404);
  });

  test("sends a browser that came by another host name to the one of its cookies", async () => {
    const { port } = new URL(origin);
    const location = await new Promise<string | undefined>((resolve, reject) => {
      const options = { port, host: "127.0.0.1", path: "/me", headers: { host: `localhost:${port}` } };
      request(options, (answer) => {
        answer.resume();
        resolve(answer.headers.location);
      })
        .on("error", reject)
        .end();
    });
    expect(location).toBe(`${origin}/me`);
  });

  test("does not need the provider for a page whose token is in the cache", async () => {
    const browser = await signedIn();
    const before = services.authority.calls.length;
    for (let visit = 0; visit < 3; visit++) expect((await browser.open(`${origin}/me`)).status).toBe(200);
    expect(services.authority.calls.slice(before).filter(({ grant }) => grant !== "keys")).toEqual([]);
  });
});

describe("after a sign-out it says what happened,", () => {
  test("once, when it was of this browser", async () => {
    const browser = await signedIn();
    const page = await browser.press(await browser.open(`${origin}/me`), { action: "/sign-out" });
    expect(page.html).toContain("You are signed out of this browser.");
    expect(page.html).toContain("Sign out everywhere");
    expect((await browser.open(`${origin}/`)).html).not.toContain("You are signed out");
    expect((await browser.open(`${origin}/me`)).html).toContain("Pick an account");
  });

  test("when it was for good", async () => {
    const browser = await signedIn();
    const page = await browser.press(await browser.open(`${origin}/me`), { action: "/sign-out-everywhere" });
    expect(page.html).toContain("You are signed out for good.");
  });

  test("when it waits for the store", async () => {
    const browser = await signedIn();
    const profile = await browser.open(`${origin}/me`);
    // Somebody else keeps the file locked for longer than the store waits.
    const other = new DatabaseSync(data.storePath);
    other.exec("BEGIN IMMEDIATE");
    try {
      const page = await browser.press(profile, { action: "/sign-out-everywhere" });
      expect(page.html).toContain("signed out here, but not yet everywhere");
      expect(page.html).not.toContain(ADA);
    } finally {
      other.exec("ROLLBACK");
      other.close();
    }
  }, 60_000);

  test.each([
    [{ status: "done", durable: true }, "signed out for good"],
    [{ status: "done", durable: false }, "could not be noted"],
    [{ status: "pending", durable: false }, "not yet everywhere"],
  ] as const)("whatever that was: %o", (outcome, text) => {
    expect(homePage(undefined, noticeOf(outcome))).toContain(text);
  });
});

describe("its error pages", () => {
  const named = (name: string, fields: object): Error =>
    Object.assign(new Error("secret text"), { name, ...fields });
  const at = (statusCode: number, code: ErrorCode): Error =>
    Object.assign(new TokenkeepError(code, "secret text"), { statusCode });
  const cases: readonly (readonly [Error, number, string])[] = [
    [
      new TokenkeepError("ERR_STORE_UNAVAILABLE", "down", { retryable: true }),
      503,
      "You are still signed in",
    ],
    [named("InteractionRequiredAuthError", { errorCode: "consent_required" }), 401, "Sign in again"],
    [named("ServerError", { errorCode: "invalid_grant" }), 401, "Sign in again"],
    [named("ServerError", { errorCode: "invalid_grant", statusCode: 400 }), 400, "did not work"],
    [at(400, "ERR_AUTHORIZATION_FAILED"), 400, "You cancelled, or the identity provider did not let you in"],
    [at(400, "ERR_FLOW_EXPIRED"), 400, "within ten minutes"],
    [at(400, "ERR_FLOW_INVALID"), 400, "Cookies may be blocked"],
    [at(400, "ERR_FLOW_REPLAYED"), 400, "has been used"],
    [at(400, "ERR_CODE_REDEEMED"), 400, "has been used"],
    [at(400, "ERR_STATE_MISMATCH"), 400, "another window"],
    [named("Error", { statusCode: 502 }), 502, "The notes are not available"],
    [named("Error", {}), 500, "Something went wrong"],
  ];
  test.each(cases)("%s: %i", async (error, status, text) => {
    const logged = vi.spyOn(console, "error").mockReturnValue();
    const app = express().get("/", () => Promise.reject(error));
    const failing = createServer(app.use(answerErrors));
    await new Promise<void>((resolve) => failing.listen(0, "127.0.0.1", resolve));
    try {
      const answer = await fetch(`http://127.0.0.1:${(failing.address() as AddressInfo).port}/`);
      const html = await answer.text();
      expect(answer.status).toBe(status);
      expect(html).toContain(text);
      expect(answer.headers.get("retry-after")).toBe(status === 503 ? "5" : null);
      expect(html + JSON.stringify(logged.mock.calls)).not.toContain("secret text");
    } finally {
      logged.mockRestore();
      failing.close();
      failing.closeAllConnections();
    }
  });
});
