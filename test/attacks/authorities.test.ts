import { expect, test } from "vitest";
import { createConfidentialClient } from "../../src/client/confidential-client.ts";
import { claimsOf } from "../support/network.ts";
import { ADA, createWorld, READ, WEB } from "../support/world.ts";

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
