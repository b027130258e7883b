import { ConfidentialClientApplication, CryptoProvider } from "@azure/msal-node";
import { describe, expect, test } from "vitest";
import {
  ADA,
  authorityWith,
  authorizeUrl,
  BEN,
  claimsOf,
  CLEO,
  inProcessClient,
  listening,
  manualRuntime,
  NOTES_READ,
  postToken,
  REDIRECT,
  signIn,
  tokensFor,
  WEB,
} from "./support.ts";

describe("MSAL over plain HTTP on loopback", () => {
  test("signs a user in with PKCE through MSAL's own HTTP client, without any discovery request", async () => {
    await listening({}, async (authority, origin) => {
      const client = new ConfidentialClientApplication({ auth: authority.msalAuth("contoso", WEB) });
      const url = await client.getAuthCodeUrl({ scopes: [NOTES_READ], redirectUri: REDIRECT });
      expect(url.startsWith(`${origin}/${authority.tenants[0]?.tenantId}/oauth2/v2.0/authorize?`)).toBe(true);
      const result = await signIn(authority, client);
      expect(result.account?.homeAccountId).toBe(authority.homeAccountId(ADA));
      expect(result.account?.username).toBe(ADA);
      expect(result.account?.environment).toBe("login.local.test");
      expect(result.scopes).toEqual([NOTES_READ]);
      expect(authority.calls.map((call) => call.grant)).toEqual(["authorize", "authorization_code"]);
    });
  });

  test("answers the second silent call from MSAL's cache", async () => {
    await listening({}, async (authority) => {
      const client = new ConfidentialClientApplication({ auth: authority.msalAuth("contoso", WEB) });
      const { account } = await signIn(authority, client);
      const again = await client.acquireTokenSilent({ account: account!, scopes: [NOTES_READ] });
      expect(again.fromCache).toBe(true);
      expect(authority.count({ grant: "refresh_token" })).toBe(0);
    });
  });

  test("serves another tenant per request from one client: a guest keeps the home account id", async () => {
    await listening({}, async (authority) => {
      const client = new ConfidentialClientApplication({ auth: authority.msalAuth("contoso", WEB) });
      const { account } = await signIn(authority, client);
      const fabrikam = authority.tenants[1]!;
      const guest = await client.acquireTokenSilent({
        account: { ...account!, tenantId: fabrikam.tenantId },
        scopes: [NOTES_READ],
        authority: `https://${authority.authorityHost}/${fabrikam.tenantId}`,
      });
      expect(guest.tenantId).toBe(fabrikam.tenantId);
      expect(guest.account?.homeAccountId).toBe(authority.homeAccountId(ADA));
      expect(claimsOf(guest.accessToken)["oid"]).not.toBe(claimsOf(guest.idToken)["sub"]);
      expect(guest.uniqueId).not.toBe(account!.localAccountId);
      expect(authority.count({ grant: "refresh_token", tenant: "fabrikam", user: ADA })).toBe(1);
    });
  });

  test("a client of one tenant can send single requests to `common`", async () => {
    const authority = authorityWith();
    const url = await inProcessClient(authority).getAuthCodeUrl({
      scopes: [NOTES_READ],
      redirectUri: REDIRECT,
      authority: `https://${authority.authorityHost}/common`,
    });
    expect(new URL(url).pathname).toBe("/common/oauth2/v2.0/authorize");
  });

  test("`common` signs everybody in to their home tenant", async () => {
    const authority = authorityWith();
    const client = inProcessClient(authority, WEB, "common");
    const ada = await signIn(authority, client, ADA);
    const cleo = await signIn(authority, client, CLEO);
    expect(ada.tenantId).toBe(authority.tenants[0]?.tenantId);
    expect(cleo.tenantId).toBe(authority.tenants[1]?.tenantId);
  });

  test("the public cloud's name gives the cache environment of production", async () => {
    const authority = authorityWith({ authorityHost: "login.microsoftonline.com" });
    const { account } = await signIn(authority, inProcessClient(authority));
    expect(account?.environment).toBe("login.windows.net");
  });
});

describe("authorization codes", () => {
  test("a code is redeemed once; the second time is AADSTS54005 and costs nothing else", async () => {
    const authority = authorityWith();
    const { params } = await authority.authorize(authorizeUrl("https://login.local.test"), { user: ADA });
    const fields = {
      grant_type: "authorization_code",
      code: params["code"] ?? "",
      redirect_uri: REDIRECT,
    };
    const first = await postToken(authority, fields);
    const second = await postToken(authority, fields);
    expect(first.status).toBe(200);
    expect(second).toMatchObject({ status: 400, body: { error: "invalid_grant", error_codes: [54005] } });
    const refreshed = await postToken(authority, {
      grant_type: "refresh_token",
      refresh_token: String(first.body["refresh_token"]),
    });
    expect(refreshed.status).toBe(200);
  });

  test("an expired code is refused", async () => {
    const runtime = manualRuntime();
    const authority = authorityWith({ runtime });
    const { params } = await authority.authorize(authorizeUrl("https://login.local.test"), { user: ADA });
    runtime.advance(600_000);
    const late = await postToken(authority, {
      grant_type: "authorization_code",
      code: params["code"] ?? "",
      redirect_uri: REDIRECT,
    });
    expect(late.body["error_codes"]).toEqual([70008]);
  });

  test.each([
    ["another verifier", { code_verifier: "x".repeat(43) }],
    ["no verifier", {}],
  ])("a code with a challenge is refused with %s, and is not spent by that", async (_name, wrong) => {
    const authority = authorityWith();
    const { verifier, challenge } = await new CryptoProvider().generatePkceCodes();
    const url = authorizeUrl("https://login.local.test", {
      code_challenge: challenge,
      code_challenge_method: "S256",
    });
    const { params } = await authority.authorize(url, { user: ADA });
    const fields = {
      grant_type: "authorization_code",
      code: params["code"] ?? "",
      redirect_uri: REDIRECT,
    };
    expect((await postToken(authority, { ...fields, ...wrong })).body["error_codes"]).toEqual([501481]);
    expect((await postToken(authority, { ...fields, code_verifier: verifier })).status).toBe(200);
  });

  test("a verifier without a challenge is refused", async () => {
    const authority = authorityWith();
    const { params } = await authority.authorize(authorizeUrl("https://login.local.test"), { user: ADA });
    const answer = await postToken(authority, {
      grant_type: "authorization_code",
      code: params["code"] ?? "",
      redirect_uri: REDIRECT,
      code_verifier: "x".repeat(43),
    });
    expect(answer.body["error_codes"]).toEqual([501481]);
  });

  test("a code is refused at another redirect URI and to another client", async () => {
    const authority = authorityWith();
    const { params } = await authority.authorize(authorizeUrl("https://login.local.test"), { user: ADA });
    const fields = { grant_type: "authorization_code", code: params["code"] ?? "" };
    const elsewhere = await postToken(authority, { ...fields, redirect_uri: "http://localhost:4000/other" });
    expect(elsewhere.body["error_codes"]).toEqual([500112]);
    const other = await postToken(authority, {
      ...fields,
      redirect_uri: REDIRECT,
      client_id: authority.msalAuth("contoso", "a0000000-0000-4000-8000-00000000000b").clientId,
      client_secret: "local-notes-api-secret",
    });
    expect(other.body["error_codes"]).toEqual([70000]);
  });
});

describe("tokens", () => {
  test("an access token is about as large as a real one and has its claims", async () => {
    const authority = authorityWith();
    const { access_token: token = "" } = await tokensFor(authority);
    expect(token.length).toBeGreaterThan(1500);
    expect(token.length).toBeLessThan(2048);
    expect(claimsOf(token)).toMatchObject({
      iss: authority.issuer("contoso"),
      aud: "api://notes",
      scp: "read",
      tid: authority.tenants[0]?.tenantId,
      preferred_username: ADA,
      azp: WEB,
      ver: "2.0",
    });
  });

  test("the id token carries the nonce of its own sign-in, and only there", async () => {
    const authority = authorityWith();
    const first = await tokensFor(authority, ADA, { nonce: "n-1" });
    expect(claimsOf(first["id_token"] ?? "")["nonce"]).toBe("n-1");
    const { body } = await postToken(authority, {
      grant_type: "refresh_token",
      refresh_token: first["refresh_token"] ?? "",
    });
    expect(claimsOf(String(body["id_token"]))["nonce"]).toBeUndefined();
  });

  test("object ids are the same in every run and differ between people; subjects differ between clients", async () => {
    const one = await tokensFor(authorityWith(), ADA);
    const two = await tokensFor(authorityWith(), ADA);
    const ben = await tokensFor(authorityWith(), BEN);
    const oid = (answer: Record<string, string>): unknown => claimsOf(answer["access_token"] ?? "")["oid"];
    expect(oid(one)).toBe(oid(two));
    expect(oid(one)).not.toBe(oid(ben));
    expect(claimsOf(one["access_token"] ?? "")["sub"]).not.toBe(claimsOf(one["id_token"] ?? "")["sub"]);
  });

  test("without client_info and id token scopes nothing names the account", async () => {
    const authority = authorityWith({ clientInfo: "never" });
    const answer = await tokensFor(authority, ADA, { scope: NOTES_READ });
    expect(answer["client_info"]).toBeUndefined();
    expect(answer["id_token"]).toBeUndefined();
    expect(answer["refresh_token"]).toBeUndefined();
  });
});

describe("scopes", () => {
  test("one refresh token serves every API, one API per token", async () => {
    const authority = authorityWith();
    const client = inProcessClient(authority);
    const { account } = await signIn(authority, client);
    const tasks = await client.acquireTokenSilent({ account: account!, scopes: ["api://tasks/write"] });
    const graph = await client.acquireTokenSilent({ account: account!, scopes: ["User.Read"] });
    expect(claimsOf(tasks.accessToken)).toMatchObject({ aud: "api://tasks", scp: "write" });
    expect(claimsOf(graph.accessToken)["aud"]).toBe("https://graph.microsoft.com");
    await expect(
      client.acquireTokenSilent({ account: account!, scopes: [NOTES_READ, "api://tasks/read"] }),
    ).rejects.toMatchObject({ errorCode: "invalid_scope" });
  });

  test(".default gives all scopes of the API and is found again in MSAL's cache", async () => {
    const authority = authorityWith();
    const client = inProcessClient(authority);
    const { account } = await signIn(authority, client);
    const request = { account: account!, scopes: ["api://tasks/.default"] };
    expect(claimsOf((await client.acquireTokenSilent(request)).accessToken)["scp"]).toBe("read write");
    expect((await client.acquireTokenSilent(request)).fromCache).toBe(true);
  });

  test.each([
    ["api://nowhere/read", "invalid_resource"],
    ["api://notes/unknown", "invalid_scope"],
    ["api://notes/.default api://notes/read", "invalid_scope"],
  ])("%s is %s", async (scope, error) => {
    const authority = authorityWith();
    const { refresh_token } = await tokensFor(authority);
    const { body } = await postToken(authority, {
      grant_type: "refresh_token",
      refresh_token: refresh_token ?? "",
      scope,
    });
    expect(body["error"]).toBe(error);
  });
});
