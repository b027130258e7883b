import { describe, expect, test } from "vitest";
import {
  expressSignIn,
  type ExpressRequest,
  type ExpressResponse,
  type SessionHandle,
  type SignInSession,
} from "../../src/web/express.ts";
import { createSignIn } from "../../src/web/sign-in.ts";
import { TokenkeepError } from "../../src/errors.ts";
import { chaosStore } from "../support/chaos.ts";
import { ADA, READ, createWorld } from "../support/world.ts";

interface Outcome {
  redirect?: { status: number; url: string };
  passed?: true;
  error?: { statusCode?: number; code?: string };
}

function response(outcome: Outcome): ExpressResponse {
  return {
    headersSent: false,
    redirect: (status, url) => void (outcome.redirect = { status, url }),
  };
}

function next(outcome: Outcome): (error?: unknown) => void {
  return (error) => {
    if (error === undefined) outcome.passed = true;
    else outcome.error = error as NonNullable<Outcome["error"]>;
  };
}

function app() {
  const world = createWorld();
  const link = chaosStore(world.store);
  const node = world.node({ store: link });
  const signIn = createSignIn({
    client: node.client,
    redirectUri: "http://127.0.0.1:3000/back",
    scopes: READ,
  });
  const saved: SignInSession[] = [];
  const session: SignInSession & { save(): void; destroy(): void } = {
    save: () => void saved.push({ ...session }),
    destroy: () => undefined,
  };
  const routes = expressSignIn({ signIn, session: () => session });
  async function run(
    handler: (typeof routes)["begin"],
    request: Partial<ExpressRequest> & { originalUrl: string },
  ): Promise<Outcome & { req: ExpressRequest }> {
    const outcome: Outcome = {};
    const req = { method: "GET", query: {}, headers: { accept: "text/html" }, ...request };
    await handler(req, response(outcome), next(outcome));
    return { ...outcome, req };
  }
  /** What the error handler makes of an error of a page, or of another request. */
  async function fail(error: unknown, request: Partial<ExpressRequest> = {}): Promise<Outcome> {
    const outcome: Outcome = {};
    const req = { method: "GET", query: {}, originalUrl: "/notes", ...request };
    const headers = request.headers ?? { accept: "text/html" };
    await routes.errors(error, { ...req, headers }, response(outcome), next(outcome));
    return outcome;
  }
  async function back(url: string): Promise<string> {
    const { params } = await world.authority.authorize(url, { user: ADA });
    return `/back?${new URLSearchParams(params).toString()}`;
  }
  return { world, link, node, session, saved, routes, run, fail, back };
}

describe("the Express routes", () => {
  test("send the browser away and bring it back to where it was going", async () => {
    const { routes, run, back, session } = app();
    const begun = await run(routes.begin, { originalUrl: "/sign-in", query: { returnTo: "/notes" } });
    expect(begun.redirect?.status).toBe(302);
    expect(session.flows).toHaveLength(1);
    const completed = await run(routes.complete, { originalUrl: await back(begun.redirect!.url) });
    expect(completed.redirect).toEqual({ status: 302, url: "/notes" });
    expect(session.flows).toBeUndefined();
    expect(session.account).toMatchObject({ username: ADA });
  });

  test("save the session before they redirect", async () => {
    const { routes, run, back, saved } = app();
    const begun = await run(routes.begin, { originalUrl: "/sign-in" });
    await run(routes.complete, { originalUrl: await back(begun.redirect!.url) });
    expect(saved.map((each) => [each.flows?.length, each.account?.username])).toEqual([
      [1, undefined],
      [undefined, ADA],
    ]);
  });

  test.each([[["/a", "/b"]], [{ x: 1 }], [undefined], ["//evil.example"]])(
    "go to the front page for a returnTo of %o",
    async (returnTo) => {
      const { routes, run, back } = app();
      const begun = await run(routes.begin, { originalUrl: "/sign-in", query: { returnTo } });
      const completed = await run(routes.complete, { originalUrl: await back(begun.redirect!.url) });
      expect(completed.redirect).toEqual({ status: 302, url: "/" });
    },
  );

  test("answer 400 to a redirect that nobody began", async () => {
    const { routes, run } = app();
    const { error } = await run(routes.complete, { originalUrl: "/back?code=x&state=y" });
    expect(error).toMatchObject({ statusCode: 400, code: "ERR_FLOW_INVALID" });
  });

  test("answer 400 to one that answers another flow, and keep nobody signed in by it", async () => {
    const { routes, run, session } = app();
    await run(routes.begin, { originalUrl: "/sign-in" });
    const { error } = await run(routes.complete, { originalUrl: "/back?code=x&state=y" });
    expect(error).toMatchObject({ statusCode: 400, code: "ERR_STATE_MISMATCH" });
    expect(session.account).toBeUndefined();
  });

  test("answer 503 while the store is down", async () => {
    const { routes, run, back, link } = app();
    const begun = await run(routes.begin, { originalUrl: "/sign-in" });
    const originalUrl = await back(begun.redirect!.url);
    link.fail("all", { times: Infinity });
    expect((await run(routes.complete, { originalUrl })).error).toMatchObject({ statusCode: 503 });
    link.heal();
    expect((await run(routes.complete, { originalUrl })).redirect?.status).toBe(302);
  });

  test("leave errors of others as they are", async () => {
    const { routes, run, back, world } = app();
    const begun = await run(routes.begin, { originalUrl: "/sign-in" });
    const originalUrl = await back(begun.redirect!.url);
    world.authority.rotateSecret("a0000000-0000-4000-8000-00000000000a", "another");
    const { error } = await run(routes.complete, { originalUrl });
    expect(error).toMatchObject({ errorCode: "invalid_client" });
    expect(error).not.toHaveProperty("statusCode");
  });
});

describe("a browser that does it again", () => {
  test("in two tabs at once signs in in both", async () => {
    const { routes, run, back, session } = app();
    const first = await run(routes.begin, { originalUrl: "/sign-in", query: { returnTo: "/a" } });
    await run(routes.begin, { originalUrl: "/sign-in", query: { returnTo: "/b" } });
    const completed = await run(routes.complete, { originalUrl: await back(first.redirect!.url) });
    expect(completed.redirect?.url).toBe("/a");
    expect(session.account).toMatchObject({ username: ADA });
  });

  test("in many tabs keeps its cookie small", async () => {
    const { routes, run, session } = app();
    for (let tab = 0; tab < 10; tab += 1) await run(routes.begin, { originalUrl: "/sign-in" });
    expect(session.flows!.length).toBeGreaterThan(1);
    expect(session.flows!.join("").length).toBeLessThan(2_400);
  });

  test("reloading the redirect goes home, signed in as before", async () => {
    const { routes, run, back, session } = app();
    const begun = await run(routes.begin, { originalUrl: "/sign-in" });
    const originalUrl = await back(begun.redirect!.url);
    await run(routes.complete, { originalUrl });
    const again = await run(routes.complete, { originalUrl });
    expect(again).toMatchObject({ redirect: { status: 302, url: "/" } });
    expect(session.account).toMatchObject({ username: ADA });
  });
});

describe("the error handler", () => {
  test("sends a page visit to sign in, with the claims challenge, when only the user can help", async () => {
    const { fail, session } = app();
    const challenge = { errorCode: "interaction_required", claims: '{"access_token":{"a":null}}' };
    const { redirect, error } = await fail(challenge);
    expect(error).toBeUndefined();
    expect(new URL(redirect!.url).searchParams.get("claims")).toContain('"a"');
    expect(session.flows).toHaveLength(1);
  });

  test("brings a user back whose refresh token was revoked", async () => {
    const { world, node, routes, run, fail, back, session } = app();
    const begun = await run(routes.begin, { originalUrl: "/sign-in" });
    await run(routes.complete, { originalUrl: await back(begun.redirect!.url) });
    world.authority.revokeUser(ADA);
    const request = { account: session.account!, scopes: READ, forceRefresh: true };
    const refused: unknown = await node.client.acquireTokenSilent(request).catch((error: unknown) => error);
    const { redirect } = await fail(refused);
    const completed = await run(routes.complete, { originalUrl: await back(redirect!.url) });
    expect(completed.redirect).toEqual({ status: 302, url: "/notes" });
  });

  test("sends nobody round in a circle: a page that fails again is an error", async () => {
    const { fail } = app();
    const refused = { errorCode: "invalid_grant" };
    expect((await fail(refused)).redirect).toBeDefined();
    expect(await fail(refused)).toEqual({ error: { ...refused, statusCode: 401 } });
  });

  test("sends nobody round in a circle whose session is another object each time it is loaded", async () => {
    const { node } = app();
    const signIn = createSignIn({ client: node.client, redirectUri: "http://127.0.0.1:3000/back" });
    let cookie: SignInSession = {};
    const routes = expressSignIn({
      signIn,
      session() {
        const loaded: SessionHandle = {
          ...cookie,
          save: () => void (cookie = { ...loaded }),
          destroy: () => undefined,
        };
        return loaded;
      },
    });
    const visit = async (): Promise<Outcome> => {
      const outcome: Outcome = {};
      const req = { method: "GET", query: {}, originalUrl: "/notes", headers: { accept: "text/html" } };
      await routes.errors({ errorCode: "invalid_grant" }, req, response(outcome), next(outcome));
      return outcome;
    };
    expect((await visit()).redirect?.status).toBe(302);
    expect((await visit()).error).toMatchObject({ statusCode: 401 });
  });

  test("asks at the sign-in for the scopes and the user that a token was wanted for", async () => {
    const { world, node, routes, run, fail, back, session } = app();
    const begun = await run(routes.begin, { originalUrl: "/sign-in" });
    await run(routes.complete, { originalUrl: await back(begun.redirect!.url) });
    world.authority.requireConsent(ADA, "api://tasks/read");
    const request = { account: session.account!, scopes: ["api://tasks/read"] };
    const refused: unknown = await node.client.acquireTokenSilent(request).catch((error: unknown) => error);
    const { redirect } = await fail(refused);
    const query = new URL(redirect!.url).searchParams;
    expect(query.get("scope")!.split(" ")).toEqual(expect.arrayContaining([...READ, "api://tasks/read"]));
    expect(query.get("login_hint")).toBe(ADA);
    await run(routes.complete, { originalUrl: await back(redirect!.url) });
    expect((await node.client.acquireTokenSilent(request)).scopes).toEqual(["api://tasks/read"]);
  });

  test("sends a user to sign in each time their sign-in is ended, also from one page", async () => {
    const { fail, run, routes, back, session } = app();
    const refused = { errorCode: "invalid_grant" };
    const page = { originalUrl: "/notes" };
    for (const time of ["first", "second", "third"]) {
      const { redirect } = await fail(refused);
      expect(redirect, time).toBeDefined();
      await run(routes.complete, { originalUrl: await back(redirect!.url) });
      // It works this time, and the next.
      expect((await run(routes.guard, page)).passed).toBe(true);
      expect((await run(routes.guard, page)).passed).toBe(true);
      expect(session.challenged, time).toBeUndefined();
    }
  });

  test.each(["/notes", `/notes?q=${"x".repeat(600)}`])(
    "sends nobody round in a circle who came back through the guard: %.20s",
    async (originalUrl) => {
      const { fail, run, routes, back } = app();
      const refused = { errorCode: "invalid_grant" };
      const { redirect } = await fail(refused, { originalUrl });
      await run(routes.complete, { originalUrl: await back(redirect!.url) });
      expect((await run(routes.guard, { originalUrl })).passed).toBe(true);
      expect(await fail(refused, { originalUrl })).toEqual({ error: { ...refused, statusCode: 401 } });
    },
  );

  test.each([
    [{ errorCode: "invalid_grant" }, 401],
    [{ errorCode: "network_error" }, 503],
    [new TokenkeepError("ERR_STORE_UNAVAILABLE", "down", { retryable: true }), 503],
    [new TokenkeepError("ERR_SIGNED_OUT", "out"), 401],
    [{ errorCode: "invalid_grant", statusCode: 418 }, 418],
  ])("gives %o a status where no page is visited", async (error, statusCode) => {
    const { fail } = app();
    const headers = { accept: "application/json" };
    expect((await fail(error, { headers })).error).toMatchObject({ statusCode });
  });
});

describe("the guard", () => {
  const account = {
    homeAccountId: "h.t",
    environment: "e",
    tenantId: "t",
    localAccountId: "l",
    username: ADA,
  };

  test("lets users pass who have signed in, and names them", async () => {
    const { routes, run, session } = app();
    session.account = account;
    const { passed, req } = await run(routes.guard, { originalUrl: "/notes" });
    expect(passed).toBe(true);
    expect(routes.account(req)).toEqual(account);
  });

  test("sends the visit of a page to sign in, with the way back", async () => {
    const { routes, run } = app();
    const { redirect, passed } = await run(routes.guard, { originalUrl: "/notes?a=1&b=2" });
    expect(redirect).toEqual({ status: 302, url: "/sign-in?returnTo=%2Fnotes%3Fa%3D1%26b%3D2" });
    expect(passed).toBeUndefined();
  });

  test.each([{ method: "POST" }, { headers: { accept: "application/json" } }, { headers: {} }])(
    "answers 401 to what is no visit of a page: %o",
    async (request) => {
      const { routes, run } = app();
      const { error, redirect } = await run(routes.guard, { originalUrl: "/api", ...request });
      expect(error).toMatchObject({ statusCode: 401, code: "ERR_ACCOUNT_MISSING" });
      expect(redirect).toBeUndefined();
    },
  );

  test("a route that is not behind it is told so", () => {
    const { routes } = app();
    const request = { method: "GET", originalUrl: "/", query: {}, headers: {} };
    expect(() => routes.account(request)).toThrow(expect.objectContaining({ code: "ERR_ACCOUNT_MISSING" }));
  });
});
