import { describe, expect, test } from "vitest";
import {
  ADA,
  authorityWith,
  authorizeUrl,
  BEN,
  claimsOf,
  EXPIRED_FOR_MSAL,
  inProcessClient,
  NOTES_READ,
  signIn,
} from "./support.ts";

const STEP_UP = JSON.stringify({ access_token: { acrs: { essential: true, value: "c1" } } });

describe("consent", () => {
  test("a scope that needs consent is consent_required until the user signs in for it", async () => {
    const authority = authorityWith();
    const client = inProcessClient(authority);
    const { account } = await signIn(authority, client);
    authority.requireConsent(ADA, "api://tasks/write");
    const request = { account: account!, scopes: ["api://tasks/write"] };
    await expect(client.acquireTokenSilent(request)).rejects.toMatchObject({
      name: "InteractionRequiredAuthError",
      subError: "consent_required",
    });
    await signIn(authority, client, ADA, ["api://tasks/write"]);
    await expect(client.acquireTokenSilent(request)).resolves.toMatchObject({
      scopes: ["api://tasks/write"],
    });
  });

  test("it touches neither other scopes nor other users", async () => {
    const authority = authorityWith();
    authority.requireConsent(ADA, "api://tasks/write");
    const client = inProcessClient(authority);
    const { account: ada } = await signIn(authority, client, ADA);
    const { account: ben } = await signIn(authority, client, BEN);
    const read = await client.acquireTokenSilent({ account: ada!, scopes: ["api://tasks/read"] });
    const write = await client.acquireTokenSilent({ account: ben!, scopes: ["api://tasks/write"] });
    expect([read.fromCache, write.fromCache]).toEqual([false, false]);
  });

  test(".default gives what is consented to, and fails when that is nothing", async () => {
    const authority = authorityWith();
    const client = inProcessClient(authority);
    const { account } = await signIn(authority, client);
    authority.requireConsent(ADA, "api://tasks/write");
    const request = { account: account!, scopes: ["api://tasks/.default"], forceRefresh: true };
    expect(claimsOf((await client.acquireTokenSilent(request)).accessToken)["scp"]).toBe("read");
    authority.requireConsent(ADA, "api://tasks/.default");
    await expect(client.acquireTokenSilent(request)).rejects.toMatchObject({ subError: "consent_required" });
  });
});

describe("claims challenges", () => {
  test("interaction_required carries the claims until a request carries them back", async () => {
    const authority = authorityWith({ lifetimes: EXPIRED_FOR_MSAL });
    const client = inProcessClient(authority);
    const { account } = await signIn(authority, client);
    authority.requireClaims(ADA, STEP_UP);
    const request = { account: account!, scopes: [NOTES_READ] };
    await expect(client.acquireTokenSilent(request)).rejects.toMatchObject({
      name: "InteractionRequiredAuthError",
      claims: STEP_UP,
    });
    const result = await client.acquireTokenSilent({ ...request, claims: STEP_UP });
    expect(claimsOf(result.accessToken)["acrs"]).toEqual(["c1"]);
    await expect(client.acquireTokenSilent(request)).resolves.toMatchObject({ fromCache: false });
  });

  test("client capabilities alone do not meet the demand, and do not get in its way", async () => {
    const authority = authorityWith({ lifetimes: EXPIRED_FOR_MSAL });
    const client = inProcessClient(authority, undefined, "contoso", { clientCapabilities: ["cp1"] });
    const { account, accessToken } = await signIn(authority, client);
    expect(claimsOf(accessToken)["xms_cc"]).toEqual(["cp1"]);
    authority.requireClaims(ADA, STEP_UP);
    const request = { account: account!, scopes: [NOTES_READ] };
    await expect(client.acquireTokenSilent(request)).rejects.toMatchObject({ claims: STEP_UP });
    await client.acquireTokenSilent({ ...request, claims: STEP_UP });
  });

  test('with until: "sign-in" only a sign-in with the claims will do', async () => {
    const authority = authorityWith();
    const client = inProcessClient(authority);
    const { account } = await signIn(authority, client);
    authority.requireClaims(ADA, STEP_UP, { until: "sign-in" });
    const request = { account: account!, scopes: [NOTES_READ], claims: STEP_UP };
    await expect(client.acquireTokenSilent(request)).rejects.toMatchObject({ claims: STEP_UP });
    await authority.authorize(authorizeUrl("https://login.local.test", { claims: STEP_UP }), { user: ADA });
    await expect(client.acquireTokenSilent(request)).resolves.toMatchObject({ fromCache: false });
  });

  test("a client cannot write identity claims into its own token", async () => {
    const authority = authorityWith();
    const client = inProcessClient(authority);
    const { account } = await signIn(authority, client);
    const claims = JSON.stringify({ access_token: { oid: { value: "someone" }, scp: { value: "all" } } });
    const result = await client.acquireTokenSilent({ account: account!, scopes: [NOTES_READ], claims });
    expect(claimsOf(result.accessToken)).toMatchObject({ oid: account!.localAccountId, scp: "read" });
  });

  test("claims that are not JSON are refused where they are set", () => {
    expect(() => authorityWith().requireClaims(ADA, "{")).toThrow(TypeError);
    expect(() => authorityWith().requireClaims("nobody", STEP_UP)).toThrow(TypeError);
  });
});
