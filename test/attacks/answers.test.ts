import type { INetworkModule } from "@azure/msal-node";
import { describe, expect, test } from "vitest";
import { collect } from "../support/collect.ts";
import { passTime, steerDates } from "../support/dates.ts";
import { claimsOf, tapNetwork } from "../support/network.ts";
import { ADA, createNode, createWorld, READ, REDIRECT_URI } from "../support/world.ts";
import { apiNode, keyOf, tappedNode } from "./support.ts";

steerDates();

type Body = Record<string, unknown>;

const encoded = (value: object): string => Buffer.from(JSON.stringify(value)).toString("base64url");

/** The answer with another claim in its id token. */
function withClaim(body: Body, claims: object): Body {
  if (typeof body["id_token"] !== "string") return body;
  const [header, , signature] = body["id_token"].split(".");
  const payload = encoded({ ...claimsOf(body["id_token"]), ...claims });
  return { ...body, id_token: `${header}.${payload}.${signature}` };
}

function withUpperCaseUid(body: Body): Body {
  if (typeof body["client_info"] !== "string") return body;
  const { uid, utid } = JSON.parse(Buffer.from(body["client_info"], "base64url").toString()) as Record<
    "uid" | "utid",
    string
  >;
  return { ...body, client_info: encoded({ uid: uid.toUpperCase(), utid: utid.toUpperCase() }) };
}

function anonymous(body: Body): Body {
  const { id_token: _idToken, client_info: _clientInfo, ...rest } = body;
  return rest;
}

describe("an answer of the provider is stored and served again", () => {
  const oddities: Readonly<Record<string, (body: Body) => Body>> = {
    "whose name is a number": (body) => withClaim(body, { name: 42 }),
    "whose user name is a number": (body) => withClaim(body, { preferred_username: 7 }),
    "whose object id is a number": (body) => withClaim(body, { oid: 7 }),
    "whose family of clients is a number": (body) => ({ ...body, foci: 1 }),
    "whose user id is in upper case": withUpperCaseUid,
  };
  for (const [oddity, change] of Object.entries(oddities)) {
    test(oddity, async () => {
      const world = createWorld();
      const node = tappedNode(world);
      node.net.answer = (_request, body) => change(body);
      const { account, metadata, accessToken } = await node.signIn(ADA);
      expect(metadata.saved).toBe(true);
      for (const asked of [node, world.node()]) {
        const served = await asked.client.acquireTokenSilent({ account: account!, scopes: READ });
        expect(served).toMatchObject({ accessToken, metadata: { tokenSource: "cache" } });
      }
      expect(node.events).toEqual([]);
    });
  }

  test("that renews without id_token and client_info, as OpenID Connect Core 12.2 lets it", async () => {
    const world = createWorld({ refreshTokens: "one-time" });
    const node = tappedNode(world, { refreshTokens: "one-time" });
    const { account } = await node.signIn(ADA);
    node.net.answer = (request, body) =>
      request.form.get("grant_type") === "refresh_token" ? anonymous(body) : body;
    const silent = { account: account!, scopes: READ };
    const renewed = [];
    for (let round = 0; round < 3; round += 1) {
      renewed.push(await node.client.acquireTokenSilent({ ...silent, forceRefresh: true }));
    }
    expect(renewed.map((result) => result.metadata.saved)).toEqual([true, true, true]);
    const served = await world.node().client.acquireTokenSilent(silent);
    expect(served.accessToken).toBe(renewed.at(-1)!.accessToken);
  });

  test("of an ADFS whose id token has an oid as well as a sub", async () => {
    const host = "adfs.example.test";
    const world = createWorld();
    const auth = {
      clientId: "app",
      clientSecret: "secret",
      authority: `https://${host}/adfs/`,
      knownAuthorities: [host],
    };
    const node = createNode(
      world.authority,
      { store: world.store },
      { auth, system: { networkClient: adfs(host) } },
    );
    const request = { code: "code", scopes: ["read"], redirectUri: REDIRECT_URI };
    const { account, metadata } = await node.client.acquireTokenByCode(request);
    expect(metadata.saved).toBe(true);
    const served = await node.client.acquireTokenSilent({ account: account!, scopes: ["read"] });
    expect(served).toMatchObject({ accessToken: "AT", metadata: { tokenSource: "cache" } });
  });
});

test("an exchange on behalf of somebody whom the answer does not name is never stored", async () => {
  const world = createWorld();
  const net = tapNetwork(world.authority.networkClient());
  net.answer = (_request, body) => anonymous(body);
  const { accessToken } = await world.node().signIn(ADA);
  const api = apiNode(world, {}, net);
  for (const round of ["first", "second"]) {
    const result = await api.client.acquireTokenOnBehalfOf({
      oboAssertion: accessToken,
      scopes: ["api://tasks/read"],
    });
    expect(result!.metadata, round).toMatchObject({ tokenSource: "identity-provider", saved: false });
  }
  expect(await keyOf(world, "obo")).toBeUndefined();
});

test("a proactive refresh that the provider refuses is no refresh: nothing unsaved, no activity", async () => {
  const { authority, ...world } = createWorld({ lifetimes: { refreshInSeconds: 600 } });
  const node = world.node();
  const { account, accessToken } = await node.signIn(ADA);
  passTime(700_000);
  authority.revokeUser(ADA);
  const asked = authority.count({ grant: "refresh_token" });

  const result = await node.client.acquireTokenSilent({ account: account!, scopes: READ });
  expect(result).toMatchObject({ accessToken, fromCache: true });
  expect(result.metadata).toMatchObject({ tokenSource: "cache", saved: true });
  await expect.poll(() => authority.count({ grant: "refresh_token" }), { timeout: 10_000 }).toBe(asked + 1);
  await node.cache.close();
  const [row] = await collect(world.node().cache.accounts());
  expect(row!.lastRefreshAt).toBeUndefined();
});

/** The answers of an ADFS that says who somebody is in two ways. */
function adfs(host: string): INetworkModule {
  const base = `https://${host}/adfs`;
  const metadata = {
    authorization_endpoint: `${base}/oauth2/authorize`,
    token_endpoint: `${base}/oauth2/token`,
    issuer: base,
    jwks_uri: `${base}/keys`,
  };
  const claims = { sub: "SUB", oid: "OID", upn: "ada@contoso.example" };
  const tokens = {
    token_type: "Bearer",
    scope: "read",
    expires_in: 3600,
    access_token: "AT",
    refresh_token: "RT",
    id_token: `${encoded({ alg: "none" })}.${encoded(claims)}.signature`,
  };
  const answer = <T>(body: unknown) => Promise.resolve({ status: 200, headers: {}, body: body as T });
  return { sendGetRequestAsync: () => answer(metadata), sendPostRequestAsync: () => answer(tokens) };
}
