import { expect, test } from "vitest";
import { createConfidentialClient } from "../../src/client/confidential-client.ts";
import { ProtocolMode } from "@azure/msal-node";
import { parseAuthority } from "../../src/msal/issuer.ts";
import { claimsOf } from "../support/network.ts";
import { ADA, createWorld, READ, WEB, type Node } from "../support/world.ts";

test("two clients of one application with different tenants by default share no answer", async () => {
  const { authority, ...world } = createWorld();
  const a = world.node();
  const b = createConfidentialClient({
    auth: authority.msalAuth("fabrikam", WEB),
    system: { networkClient: authority.networkClient() },
    tokenCache: a.cache,
  });
  const { account } = await a.signIn(ADA);
  // Which tenant, the account does not say: each client means its own.
  const silent = { account: { ...account!, tenantId: "" }, scopes: READ, forceRefresh: true };
  const tenantOf = async (client: typeof b) =>
    claimsOf((await client.acquireTokenSilent(silent)).accessToken)["tid"];

  const alone = [await tenantOf(a.client), await tenantOf(b)];
  expect(alone[0]).not.toBe(alone[1]);
  expect(await Promise.all([tenantOf(a.client), tenantOf(b)])).toEqual(alone);
});

test("a tenant named by azureCloudOptions is the tenant of the token, also of a cached one", async () => {
  const host = "https://login.microsoftonline.com";
  const { authority, ...world } = createWorld({ authorityHost: "login.microsoftonline.com" });
  const { client, signIn } = world.node();
  const { account } = await signIn(ADA);
  const tenant = authority.tenants.find(({ name }) => name === "fabrikam")!.tenantId;
  const silent = {
    account: account!,
    scopes: READ,
    azureCloudOptions: { azureCloudInstance: host as "https://login.microsoftonline.com", tenant },
  };
  for (const source of ["identity-provider", "cache"]) {
    const { accessToken, metadata } = await client.acquireTokenSilent(silent);
    expect(claimsOf(accessToken)["tid"]).toBe(tenant);
    expect(metadata.tokenSource).toBe(source);
  }
});

test.each(["/v2.0", "/v2.0/", "/V2.0"])(
  "an authority with %s at its end has the users, and the tokens, of the same one without",
  async (version) => {
    const { authority, ...world } = createWorld();
    const auth = authority.msalAuth("contoso", WEB);
    const plain = (): Node => world.node();
    const versioned = (): Node =>
      world.node({}, { auth: { ...auth, authority: `${auth.authority}${version}` } });
    for (const [first, second] of [
      [plain, versioned],
      [versioned, plain],
    ] as const) {
      const { account } = await first().signIn(ADA);
      const silent = { account: account!, scopes: READ };
      expect((await second().client.acquireTokenSilent(silent)).fromCache).toBe(true);
      const renewed = await second().client.acquireTokenSilent({ ...silent, forceRefresh: true });
      expect(claimsOf(renewed.accessToken)["tid"]).toBe(account!.tenantId);
      expect((await first().client.acquireTokenSilent(silent)).accessToken).toBe(renewed.accessToken);
      await second().client.removeAccount(account!);
      const signedOut = { code: "ERR_INTERACTION_REQUIRED" };
      await expect(first().client.acquireTokenSilent(silent)).rejects.toMatchObject(signedOut);
    }
  },
);

test.each([ProtocolMode.AAD, ProtocolMode.OIDC])(
  "issuers are one with and without /v2.0 only where MSAL asks the same endpoints: %s",
  (protocolMode) => {
    const issuerOf = (authority: string): string => parseAuthority({ authority, protocolMode }).issuer;
    const isOne = (authority: string): boolean => issuerOf(authority) === issuerOf(`${authority}/v2.0`);
    const isMicrosofts = protocolMode === ProtocolMode.AAD;
    expect(isOne("https://login.microsoftonline.com/contoso.com")).toBe(isMicrosofts);
    expect(isOne("https://contoso.b2clogin.com/tfp/contoso.com/b2c_1_in")).toBe(isMicrosofts);
    expect(isOne("https://adfs.contoso.com/adfs")).toBe(false);
    expect(issuerOf("https://login.microsoftonline.com/contoso.com/other")).toContain("/other");
  },
);
