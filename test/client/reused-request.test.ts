/** An application may use one request object for everybody: MSAL reads it when it is called, and so do we. */
import { expect, test } from "vitest";
import { decodeJwt } from "../../src/testing/authority/jwt.ts";
import { DEFAULT_CLIENT_IDS } from "../../src/testing/authority/options.ts";
import { dateRuntime } from "../support/date-runtime.ts";
import { MINUTE_MS, passTime, steerDates } from "../support/dates.ts";
import { ADA, BEN, READ, REDIRECT_URI, createWorld } from "../support/world.ts";

steerDates();

const claimsOf = (token: string | undefined): Record<string, unknown> => ({
  ...decodeJwt(token ?? "")?.claims,
});

test("on behalf of: each caller gets the token of its own assertion, and nothing else is filed under it", async () => {
  const world = createWorld();
  const web = world.node();
  const api = world.node({}, { auth: world.authority.msalAuth("contoso", DEFAULT_CLIENT_IDS.notes) });
  const [ada, ben] = [await web.signIn(ADA), await web.signIn(BEN)];
  const request = { oboAssertion: "", scopes: ["api://tasks/read"] };
  const ask = (oboAssertion: string): ReturnType<typeof api.client.acquireTokenOnBehalfOf> => {
    request.oboAssertion = oboAssertion;
    return api.client.acquireTokenOnBehalfOf(request);
  };
  const [first, second] = await Promise.all([ask(ada.accessToken), ask(ben.accessToken)]);
  expect(claimsOf(first?.accessToken)["oid"]).toBe(claimsOf(ada.accessToken)["oid"]);
  expect(claimsOf(second?.accessToken)["oid"]).toBe(claimsOf(ben.accessToken)["oid"]);
  const again = await ask(ada.accessToken);
  expect(claimsOf(again?.accessToken)["oid"]).toBe(claimsOf(ada.accessToken)["oid"]);
});

test("the application's own: each tenant's token is its own", async () => {
  const world = createWorld();
  const { client } = world.node();
  const request = { authority: "", scopes: ["api://notes/.default"] };
  const tenants = world.authority.tenants.map(({ tenantId }) => tenantId);
  const ask = (tenant: string): ReturnType<typeof client.acquireTokenByClientCredential> => {
    request.authority = `https://${world.authority.authorityHost}/${tenant}`;
    return client.acquireTokenByClientCredential(request);
  };
  for (const round of [1, 2]) {
    const results = await Promise.all(tenants.map(ask));
    expect(
      results.map((result) => claimsOf(result?.accessToken)["tid"]),
      `round ${round}`,
    ).toEqual(tenants);
  }
});

test("silent: the scopes are those of the call", async () => {
  const world = createWorld();
  const node = world.node();
  const { account } = await node.signIn(ADA);
  const request = { account: account!, scopes: [""] };
  const ask = async (scope: string): Promise<unknown> => {
    request.scopes[0] = scope;
    const { accessToken } = await node.client.acquireTokenSilent(request);
    return claimsOf(accessToken)["aud"];
  };
  const asked = ["api://tasks/read", "https://graph.microsoft.com/User.Read"];
  expect(await Promise.all(asked.map(ask))).toEqual(["api://tasks", "https://graph.microsoft.com"]);
});

test("a code is redeemed by whoever brought it", async () => {
  const world = createWorld();
  const { client } = world.node();
  const request = { code: "", scopes: READ, redirectUri: REDIRECT_URI };
  const url = await client.getAuthCodeUrl({ scopes: READ, redirectUri: REDIRECT_URI });
  const codes = await Promise.all(
    [ADA, BEN].map(async (user) => (await world.authority.authorize(url, { user })).params["code"]),
  );
  const results = await Promise.all(
    codes.map((code) => {
      request.code = code ?? "";
      return client.acquireTokenByCode(request);
    }),
  );
  expect(results.map(({ account }) => account?.username)).toEqual([ADA, BEN]);
});

test("a long-running process is its own user's", async () => {
  const world = createWorld();
  const web = world.node();
  const api = world.node({}, { auth: world.authority.msalAuth("contoso", DEFAULT_CLIENT_IDS.notes) });
  const users = [await web.signIn(ADA), await web.signIn(BEN)];
  const request = { oboAssertion: "", scopes: ["api://tasks/read"] };
  const begun = await Promise.all(
    users.map(({ accessToken }) => {
      request.oboAssertion = accessToken;
      return api.client.initiateLongRunningProcessInWebApi(request);
    }),
  );
  expect(begun.map(({ account }) => account?.username)).toEqual([ADA, BEN]);
});

test("what is renewed ahead of time is what was asked for", async () => {
  const world = createWorld({ lifetimes: { refreshInSeconds: 600 } });
  const runtime = { ...dateRuntime(), jitter: () => 0 };
  const node = world.node({ runtime, coherenceBoundMs: 60 * MINUTE_MS });
  const { account } = await node.signIn(ADA);
  passTime(11 * MINUTE_MS);
  const request = { account: account!, scopes: READ };
  const { metadata } = await node.client.acquireTokenSilent(request);
  expect(metadata.cacheLevel).toBe("L1");
  expect(metadata.cacheRefreshReason).toBe("proactively-refreshed");
  request.scopes = ["api://tasks/read"];
  world.authority.pause();
  await world.authority.whenHeld(1);
  world.authority.resume();
  await node.cache.close();
  expect(world.authority.count({ grant: "refresh_token" })).toBe(1);
  expect(world.authority.calls.at(-1)?.scopes).toContain(READ[0]);
});
