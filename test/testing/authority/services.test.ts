import { generateKeyPairSync } from "node:crypto";
import { ConfidentialClientApplication, PublicClientApplication } from "@azure/msal-node";
import { describe, expect, test } from "vitest";
import { createSigningKey, signJwt } from "../../../src/testing/authority/jwt.ts";
import {
  ADA,
  authorityWith,
  BEN,
  claimsOf,
  DESKTOP,
  inProcessClient,
  listening,
  manualRuntime,
  NOTES,
  NOTES_READ,
  postToken,
  signIn,
  tokensFor,
  WEB,
} from "./support.ts";

const OBO = "urn:ietf:params:oauth:grant-type:jwt-bearer";
const asNotes = { client_id: NOTES, client_secret: "local-notes-api-secret" };

describe("client credentials", () => {
  test("MSAL gets an app token with roles and no user, and caches it", async () => {
    await listening({}, async (authority) => {
      const client = new ConfidentialClientApplication({ auth: authority.msalAuth("contoso", WEB) });
      const request = { scopes: ["api://notes/.default"] };
      const result = await client.acquireTokenByClientCredential(request);
      expect(claimsOf(result!.accessToken)).toMatchObject({
        idtyp: "app",
        roles: ["Notes.Read.All"],
        aud: "api://notes",
      });
      expect(claimsOf(result!.accessToken)["scp"]).toBeUndefined();
      expect((await client.acquireTokenByClientCredential(request))?.fromCache).toBe(true);
      expect(authority.count({ grant: "client_credentials" })).toBe(1);
      expect(authority.calls[0]?.user).toBeUndefined();
    });
  });

  test.each([
    ["a scope that is not .default", { scope: NOTES_READ }, "contoso", "invalid_scope"],
    ["two scopes", { scope: "api://notes/.default api://tasks/.default" }, "contoso", "invalid_scope"],
    ["a shared tenant", { scope: "api://notes/.default" }, "common", "invalid_request"],
    ["a wrong secret", { scope: "api://notes/.default", client_secret: "no" }, "contoso", "invalid_client"],
    ["no secret", { scope: "api://notes/.default", client_secret: "" }, "contoso", "invalid_client"],
    [
      "an unknown client",
      { scope: "api://notes/.default", client_id: "x" },
      "contoso",
      "unauthorized_client",
    ],
    [
      "a public client",
      { scope: "api://notes/.default", client_id: DESKTOP, client_secret: "" },
      "contoso",
      "invalid_client",
    ],
  ])("are refused with %s", async (_name, fields, tenant, error) => {
    const { body } = await postToken(
      authorityWith(),
      { grant_type: "client_credentials", ...fields },
      tenant,
    );
    expect(body["error"]).toBe(error);
  });

  test("an unknown grant type is refused", async () => {
    const { body } = await postToken(authorityWith(), { grant_type: "password" });
    expect(body["error"]).toBe("unsupported_grant_type");
  });

  test("a rotated secret works at once and the old one no longer", async () => {
    const authority = authorityWith();
    const fields = { grant_type: "client_credentials", scope: "api://notes/.default" };
    authority.rotateSecret(WEB, "another secret");
    expect((await postToken(authority, fields)).body["error"]).toBe("invalid_client");
    expect((await postToken(authority, { ...fields, client_secret: "another secret" })).status).toBe(200);
    expect(authority.issued.has("another secret")).toBe(true);
  });

  test("HTTP Basic authentication works", async () => {
    const basic = Buffer.from(`${WEB}:local-web-app-secret`).toString("base64");
    const answer = await authorityWith().handle({
      method: "POST",
      url: "/contoso/oauth2/v2.0/token",
      headers: { authorization: `Basic ${basic}` },
      body: "grant_type=client_credentials&scope=api%3A%2F%2Fnotes%2F.default",
    });
    expect(answer?.status).toBe(200);
  });
});

describe("client assertions", () => {
  const pair = generateKeyPairSync("rsa", { modulusLength: 2048 });
  const publicPem = pair.publicKey.export({ type: "spki", format: "pem" }).toString();
  const privateKey = pair.privateKey.export({ type: "pkcs8", format: "pem" }).toString();
  const apps = [{ clientId: WEB, publicKeys: [publicPem] }];

  test("MSAL's certificate credential is accepted", async () => {
    const authority = authorityWith({ apps });
    const clientCertificate = { privateKey, thumbprintSha256: "ab".repeat(32) };
    const client = inProcessClient(authority, WEB, "contoso", { clientCertificate });
    const result = await client.acquireTokenByClientCredential({ scopes: ["api://notes/.default"] });
    expect(claimsOf(result!.accessToken)["azp"]).toBe(WEB);
  });

  test("an assertion of another key, audience or time is refused", async () => {
    const authority = authorityWith({ apps });
    const key = createSigningKey(privateKey);
    const now = Math.floor(Date.now() / 1000);
    const good = { iss: WEB, sub: WEB, aud: authority.issuer("contoso"), exp: now + 600 };
    const send = async (assertion: string): Promise<unknown> => {
      const { body } = await postToken(authority, {
        grant_type: "client_credentials",
        scope: "api://notes/.default",
        client_secret: "",
        client_assertion_type: "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
        client_assertion: assertion,
      });
      return body["error"] ?? "ok";
    };
    expect(await send(signJwt(key, good))).toBe("ok");
    expect(await send(signJwt(createSigningKey(), good))).toBe("invalid_client");
    expect(await send(signJwt(key, { ...good, aud: "https://elsewhere.test" }))).toBe("invalid_client");
    expect(await send(signJwt(key, { ...good, sub: NOTES }))).toBe("invalid_client");
    expect(await send(signJwt(key, { ...good, exp: now }))).toBe("invalid_client");
  });

  test("an issuer that the registration trusts may speak for it, and no other", async () => {
    const issuer = "https://cluster.example";
    const subject = "system:serviceaccount:shop:worker";
    const federatedCredentials = [{ issuer, subject, publicKeys: [publicPem] }];
    const authority = authorityWith({ apps: [{ clientId: WEB, federatedCredentials }] });
    const key = createSigningKey(privateKey);
    const exp = Math.floor(Date.now() / 1000) + 600;
    const good = { iss: issuer, sub: subject, aud: "api://AzureADTokenExchange", exp };
    const send = async (assertion: string): Promise<unknown> => {
      const client = inProcessClient(authority, WEB, "contoso", { clientAssertion: assertion });
      const asked = client.acquireTokenByClientCredential({ scopes: ["api://notes/.default"] });
      return asked.then(
        (result) => claimsOf(result!.accessToken)["azp"],
        (error: unknown) => (error as { errorCode?: unknown }).errorCode,
      );
    };
    expect(await send(signJwt(key, good))).toBe(WEB);
    expect(await send(signJwt(createSigningKey(), good))).toBe("invalid_client");
    expect(await send(signJwt(key, { ...good, iss: "https://other.example" }))).toBe("invalid_client");
    expect(await send(signJwt(key, { ...good, iss: WEB, sub: WEB }))).toBe("invalid_client");
    expect(await send(signJwt(key, { ...good, sub: `${subject}-2` }))).toBe("invalid_client");
    expect(await send(signJwt(key, { ...good, aud: authority.issuer("contoso") }))).toBe("invalid_client");
    expect(await send(signJwt(key, { ...good, exp: 1 }))).toBe("invalid_client");
  });
});

describe("on behalf of", () => {
  test("MSAL exchanges a user's token for another API's", async () => {
    await listening({}, async (authority) => {
      const web = new ConfidentialClientApplication({ auth: authority.msalAuth("contoso", WEB) });
      const api = new ConfidentialClientApplication({ auth: authority.msalAuth("contoso", NOTES) });
      const { accessToken } = await signIn(authority, web);
      const result = await api.acquireTokenOnBehalfOf({
        oboAssertion: accessToken,
        scopes: ["api://tasks/read"],
      });
      expect(claimsOf(result!.accessToken)).toMatchObject({ aud: "api://tasks", scp: "read", azp: NOTES });
      expect(result!.account?.homeAccountId).toBe(authority.homeAccountId(ADA));
      expect(authority.count({ grant: "on_behalf_of", user: ADA, clientId: NOTES, outcome: "ok" })).toBe(1);
    });
  });

  test("the exchange has a refresh token of its own that ends with the user's sign-ins", async () => {
    const authority = authorityWith();
    const { access_token: assertion = "" } = await tokensFor(authority);
    const { body } = await postToken(authority, {
      ...asNotes,
      grant_type: OBO,
      requested_token_use: "on_behalf_of",
      assertion,
      scope: "api://tasks/read openid offline_access",
    });
    const refresh = { ...asNotes, grant_type: "refresh_token", refresh_token: String(body["refresh_token"]) };
    expect((await postToken(authority, refresh)).status).toBe(200);
    authority.revokeUser(ADA);
    expect((await postToken(authority, refresh)).body["error_codes"]).toEqual([50173]);
  });

  test("an assertion is refused that is tampered with, expired, revoked, another API's or no access token", async () => {
    const runtime = manualRuntime();
    const authority = authorityWith({ runtime });
    const exchange = async (assertion: string, extra: Record<string, string> = {}): Promise<unknown> => {
      const { body } = await postToken(authority, {
        ...asNotes,
        grant_type: OBO,
        requested_token_use: "on_behalf_of",
        scope: "api://tasks/read",
        assertion,
        ...extra,
      });
      return (body["error_codes"] as unknown[] | undefined)?.[0] ?? "ok";
    };
    const { access_token: good = "", id_token: idToken = "" } = await tokensFor(authority);
    const { access_token: tasks = "" } = await tokensFor(authority, ADA, { scope: "api://tasks/read" });
    const { access_token: ben = "" } = await tokensFor(authority, BEN);
    const [header, , signature] = good.split(".");
    expect(await exchange(good)).toBe("ok");
    expect(await exchange(good, { requested_token_use: "" })).toBe(70003);
    expect(await exchange("not a token")).toBe(50013);
    expect(await exchange(`${header}.${ben.split(".")[1]}.${signature}`)).toBe(50013);
    expect(await exchange(signJwt(createSigningKey(), claimsOf(good)))).toBe(50013);
    expect(await exchange(tasks)).toBe(500131);
    expect(await exchange(idToken)).toBe(500131);
    expect(await exchange(idToken, { client_id: WEB, client_secret: "local-web-app-secret" })).toBe(50027);
    authority.revokeUser(BEN);
    expect(await exchange(ben)).toBe(50173);
    runtime.advance(3_600_000);
    expect(await exchange(good)).toBe(500133);
  });
});

describe("device code", () => {
  test("MSAL polls until the user approves", async () => {
    const authority = authorityWith({ lifetimes: { deviceCodeIntervalSeconds: 0 } });
    const client = new PublicClientApplication({
      auth: authority.msalAuth("contoso", DESKTOP),
      system: { networkClient: authority.networkClient() },
    });
    const result = await client.acquireTokenByDeviceCode({
      scopes: [NOTES_READ],
      deviceCodeCallback: ({ userCode, message }) => {
        expect(message).toContain(userCode);
        expect(authority.approveDeviceCode("WRONG", ADA)).toBe(false);
        expect(authority.approveDeviceCode(userCode, ADA)).toBe(true);
      },
    });
    expect(result?.account?.homeAccountId).toBe(authority.homeAccountId(ADA));
    expect(authority.count({ grant: "device_authorization" })).toBe(1);
  });

  test("pending, declined, expired and spent codes are told apart", async () => {
    const runtime = manualRuntime();
    const authority = authorityWith({ runtime });
    const start = async (): Promise<Record<string, string>> => {
      const answer = await authority.handle({
        method: "POST",
        url: "/contoso/oauth2/v2.0/devicecode",
        headers: {},
        body: `client_id=${DESKTOP}&scope=${encodeURIComponent(`openid ${NOTES_READ}`)}`,
      });
      return JSON.parse(answer?.body ?? "{}") as Record<string, string>;
    };
    const poll = async (code: Record<string, string>): Promise<unknown> => {
      const { body } = await postToken(authority, {
        client_id: DESKTOP,
        client_secret: "",
        grant_type: "urn:ietf:params:oauth:grant-type:device_code",
        device_code: code["device_code"] ?? "",
      });
      return body["error"] ?? "ok";
    };
    const [declined, expired, approved] = [await start(), await start(), await start()];
    expect(await poll(declined)).toBe("authorization_pending");
    expect(authority.declineDeviceCode(declined["user_code"] ?? "")).toBe(true);
    expect(await poll(declined)).toBe("authorization_declined");
    expect(authority.approveDeviceCode((approved["user_code"] ?? "").toLowerCase(), ADA)).toBe(true);
    expect(await poll(approved)).toBe("ok");
    expect(await poll(approved)).toBe("bad_verification_code");
    runtime.advance(900_000);
    expect(await poll(expired)).toBe("expired_token");
  });
});
