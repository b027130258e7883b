import { ProtocolMode } from "@azure/msal-node";
import { expect, test } from "vitest";
import type { ConfidentialClientOptions } from "../../src/client/confidential-client.ts";
import { DEFAULT_TENANTS } from "../../src/testing/authority/options.ts";
import { claimsOf } from "../support/network.ts";
import { ADA, BEN, createWorld, READ, WEB, type Node, type World } from "../support/world.ts";

const CONTOSO = DEFAULT_TENANTS["contoso"]!;

/** A client whose authority has that path; the local authority answers as contoso whatever it is. */
function at(world: World, path: string, system: ConfidentialClientOptions["system"] = {}): Node {
  const auth = world.authority.msalAuth("contoso", WEB);
  return world.node(
    {},
    {
      auth: {
        ...auth,
        authority: `https://${world.authority.authorityHost}/${path}`,
        authorityMetadata: auth.authorityMetadata.replaceAll("{tenant}", CONTOSO),
      },
      system: { networkClient: world.authority.networkClient(), ...system },
    },
  );
}

async function keysOf(world: World): Promise<readonly string[]> {
  return (await world.store.admin.keys({ prefix: "tokenkeep:user", limit: 10 })).keys;
}

const PAIRS: [string, string, string, ConfidentialClientOptions["system"]][] = [
  ["two policies of B2C", `${CONTOSO}/b2c_1_sign_in`, `${CONTOSO}/b2c_1_edit_profile`, {}],
  ["two policies of B2C under tfp", `tfp/${CONTOSO}/b2c_1_sign_in`, `tfp/${CONTOSO}/b2c_1_edit_profile`, {}],
  ["two realms on one host", "realms/one", "realms/two", { protocolMode: ProtocolMode.OIDC }],
  ["two realms that differ in case", "realms/one", "realms/One", { protocolMode: ProtocolMode.OIDC }],
];

test.each(PAIRS)(
  "R35: %s are two issuers: a user of both has two records, and each answers for its own",
  async (_, one, two, system) => {
    const world = createWorld();
    const nodes = [at(world, one, system), at(world, two, system)];
    const signedIn = [await nodes[0]!.signIn(ADA), await nodes[1]!.signIn(ADA)];
    expect(signedIn[0]!.account?.homeAccountId).toBe(signedIn[1]!.account?.homeAccountId);
    expect(new Set(await keysOf(world)).size).toBe(2);
    for (const [index, node] of nodes.entries()) {
      const result = await node.client.acquireTokenSilent({
        account: signedIn[index]!.account!,
        scopes: READ,
      });
      expect(result.metadata.tokenSource).toBe("cache");
      expect(result.accessToken).toBe(signedIn[index]!.accessToken);
    }
    expect(world.authority.count({ grant: "authorization_code" })).toBe(2);
    expect(world.authority.count({ grant: "refresh_token" })).toBe(0);
  },
);

test("R35: ADFS, which has no client_info, knows its users by their local account ids, in every process", async () => {
  const world = createWorld({ clientInfo: "never" });
  const [a, b] = [at(world, "adfs"), at(world, "adfs")];
  const [ada, ben] = [await a.signIn(ADA), await a.signIn(BEN)];
  expect(await keysOf(world)).toHaveLength(2);
  for (const node of [a, b]) {
    for (const { account, accessToken } of [ada, ben]) {
      const again = await node.client.acquireTokenSilent({ account: account!, scopes: READ });
      expect(again.accessToken).toBe(accessToken);
    }
  }
  expect(claimsOf(ada.accessToken)["preferred_username"]).toBe(ADA);
  await a.client.removeAccount(ada.account!);
  const gone = b.client.acquireTokenSilent({ account: ada.account!, scopes: READ });
  await expect(gone).rejects.toMatchObject({ code: "ERR_INTERACTION_REQUIRED" });
  const kept = await b.client.acquireTokenSilent({ account: ben.account!, scopes: READ });
  expect(kept.metadata.tokenSource).toBe("cache");
  expect(world.authority.count({ grant: "authorization_code" })).toBe(2);
});

test("R35: a user of two sovereign clouds has a record in each", async () => {
  const hosts = ["login.microsoftonline.us", "login.partner.microsoftonline.cn"];
  const worlds = hosts.map((authorityHost) => createWorld({ authorityHost }));
  const nodes = worlds.map((world) =>
    worlds[0]!.node(
      {},
      {
        auth: world.authority.msalAuth("contoso", WEB),
        system: { networkClient: world.authority.networkClient() },
      },
    ),
  );
  const tokens: string[] = [];
  for (const [index, node] of nodes.entries()) {
    const url = await node.client.getAuthCodeUrl({ scopes: READ, redirectUri: "http://127.0.0.1/redirect" });
    const { params } = await worlds[index]!.authority.authorize(url, { user: ADA });
    const request = { code: params["code"]!, scopes: READ, redirectUri: "http://127.0.0.1/redirect" };
    tokens.push((await node.client.acquireTokenByCode(request)).accessToken);
  }
  expect(new Set(tokens).size).toBe(2);
  expect(new Set(await keysOf(worlds[0]!)).size).toBe(2);
});

test.each(["https://contoso.ciamlogin.com", "https://contoso.ciamlogin.com/contoso.onmicrosoft.com/"])(
  "R35: an external tenant, %s, is the one that its host names: hits say so as MSAL does",
  async (authority) => {
    const world = createWorld({ authorityHost: "contoso.ciamlogin.com" });
    const auth = world.authority.msalAuth("contoso", WEB);
    const authorityMetadata = auth.authorityMetadata.replaceAll("{tenant}", CONTOSO);
    const node = world.node({}, { auth: { ...auth, authority, authorityMetadata } });
    const { account } = await node.signIn(ADA);
    const scopes = ["api://notes/.default"];
    const asks = [
      () => node.client.acquireTokenSilent({ account: account!, scopes: READ, forceRefresh: true }),
      () => node.client.acquireTokenSilent({ account: account!, scopes: READ }),
      () => node.client.acquireTokenByClientCredential({ scopes }),
      () => node.client.acquireTokenByClientCredential({ scopes }),
    ];
    for (const [index, ask] of asks.entries()) {
      expect(await ask()).toMatchObject({
        authority: "https://contoso.ciamlogin.com/contoso.onmicrosoft.com/",
        fromCache: index % 2 === 1,
      });
    }
    const { keys } = await world.store.admin.keys({ prefix: "tokenkeep:app", limit: 10 });
    expect(keys).toEqual([`tokenkeep:app:${WEB}:contoso.ciamlogin.com:contoso.onmicrosoft.com`]);
  },
);
