import { expect, test } from "vitest";
import { expressSignIn, type ExpressRequest, type SessionHandle } from "../../src/web/express.ts";
import { createSignIn } from "../../src/web/sign-in.ts";
import { claimsOf } from "../support/network.ts";
import { ADA, BEN, CLEO, createWorld, READ, WEB } from "../support/world.ts";

/** One browser at an application that lets it have several accounts. */
function browser(severalAccounts = true) {
  const world = createWorld();
  const { client } = world.node({}, { auth: world.authority.msalAuth("organizations", WEB) });
  const signIn = createSignIn({ client, redirectUri: "http://127.0.0.1/back", scopes: READ });
  const saved: string[] = [];
  const session: SessionHandle = {
    save: () => void saved.push(JSON.stringify(session)),
    destroy: () => undefined,
  };
  const web = expressSignIn({ signIn, session: () => session, severalAccounts });
  const res = { headersSent: false, redirect: (_: number, url: string) => void (res.url = url), url: "" };
  const visit = async (handler: typeof web.guard, originalUrl: string): Promise<ExpressRequest> => {
    const req = { method: "GET", query: {}, headers: { accept: "text/html" }, originalUrl };
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    void handler(req, res, (error) => (error ? reject(error as Error) : resolve())).then(resolve);
    await promise;
    return req;
  };
  return {
    world,
    session,
    saved,
    web,
    res,
    visit,
    async signIn(user: string) {
      await visit(web.begin, "/sign-in");
      const { params } = await world.authority.authorize(res.url, { user });
      await visit(web.complete, `/back?${new URLSearchParams(params).toString()}`);
    },
    /** Whose token a page of the active account gets. */
    async page() {
      const req = await visit(web.guard, "/notes");
      const { accessToken } = await client.acquireTokenSilent({ account: web.account(req), scopes: READ });
      return { req, user: claimsOf(accessToken)["preferred_username"] };
    },
  };
}

const NOBODY = { code: "ERR_ACCOUNT_MISSING", statusCode: 401 };

test("R8: a browser with two accounts switches between them, and each page has the token of the active one", async () => {
  const { world, web, res, saved, signIn, page } = browser();
  await signIn(ADA);
  await signIn(BEN);
  const { req, user } = await page();
  expect(user).toBe(BEN);
  const known = await web.accounts(req, res);
  expect(known.map(({ username }) => username)).toEqual([BEN, ADA]);
  for (const at of [1, 0, 1, 0]) {
    const wanted = known[at]!;
    const visited = await page();
    await web.switchAccount(visited.req, res, wanted.homeAccountId);
    expect(web.account(visited.req).username).toBe(wanted.username);
    expect((await page()).user).toBe(wanted.username);
  }
  // An id proves nothing: only who has signed in here can be switched to.
  const cleo = world.authority.homeAccountId(CLEO);
  await expect(web.switchAccount(req, res, cleo)).rejects.toMatchObject(NOBODY);
  expect((await page()).user).toBe(BEN);
  expect(Math.max(...saved.map((text) => text.length))).toBeLessThan(2_700);
  expect(world.authority.count({ grant: "authorization_code" })).toBe(2);
  expect(world.authority.count({ grant: "refresh_token" })).toBe(0);
});

test("R8: who leaves is out of the session, and another one is active; the last one leaves nobody", async () => {
  const { web, res, session, signIn, page } = browser();
  for (const user of [ADA, BEN, CLEO, BEN]) await signIn(user);
  const { req } = await page();
  expect((await web.accounts(req, res)).map(({ username }) => username)).toEqual([BEN, CLEO, ADA]);
  expect((await web.leaveAccount(req, res))?.username).toBe(CLEO);
  expect((await page()).user).toBe(CLEO);
  await web.leaveAccount(req, res);
  expect((await web.leaveAccount(req, res))?.username).toBeUndefined();
  expect(() => web.account(req)).toThrow(expect.objectContaining({ code: "ERR_ACCOUNT_MISSING" }));
  expect([session.account, session.accounts]).toEqual([undefined, undefined]);
});

test("R8: without being asked for, a second sign-in takes the place of the first", async () => {
  const { web, res, signIn, page } = browser(false);
  await signIn(ADA);
  await signIn(BEN);
  const { req, user } = await page();
  expect(user).toBe(BEN);
  expect((await web.accounts(req, res)).map(({ username }) => username)).toEqual([BEN]);
});
