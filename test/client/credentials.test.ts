import { generateKeyPairSync } from "node:crypto";
import { describe, expect, test } from "vitest";
import {
  createConfidentialClient,
  type ConfidentialClient,
  type ConfidentialClientOptions,
} from "../../src/client/confidential-client.ts";
import { createSigningKey, decodeJwt, signJwt } from "../../src/testing/authority/jwt.ts";
import { DEFAULT_CLIENT_IDS, guidFrom } from "../../src/testing/authority/options.ts";
import { passTime, steerDates } from "../support/dates.ts";
import { tapNetwork } from "../support/network.ts";
import { createTokenCache } from "../../src/token-cache.ts";
import { ADA, BEN, READ, createWorld, testKeys, type Node } from "../support/world.ts";

steerDates();

const MINUTE_MS = 60_000;

function withCertificate(): { readonly node: Node; readonly assertions: () => (string | null)[] } {
  const { privateKey, publicKey } = generateKeyPairSync("rsa", { modulusLength: 2048 });
  const pem = (key: typeof privateKey, type: "pkcs8" | "spki"): string =>
    key.export({ format: "pem", type }).toString();
  const world = createWorld({
    apps: [{ clientId: DEFAULT_CLIENT_IDS.web, publicKeys: [pem(publicKey, "spki")] }],
  });
  const network = tapNetwork(world.authority.networkClient());
  const node = world.node(
    {},
    {
      auth: {
        ...world.authority.msalAuth("contoso", DEFAULT_CLIENT_IDS.web),
        clientCertificate: { thumbprintSha256: "ab".repeat(32), privateKey: pem(privateKey, "pkcs8") },
      },
      system: { networkClient: network },
    },
  );
  return { node, assertions: () => network.posts.map((post) => post.form.get("client_assertion")) };
}

const appToken = (node: Node): Promise<unknown> =>
  node.client.acquireTokenByClientCredential({ scopes: ["api://notes/.default"], skipCache: true });

test("a certificate's assertion is signed once for all operations of a client", async () => {
  const { node, assertions } = withCertificate();
  await node.signIn(ADA);
  const { account } = await node.signIn(BEN);
  await node.client.acquireTokenSilent({ account: account!, scopes: READ, forceRefresh: true });
  await appToken(node);
  expect(assertions()).toHaveLength(4);
  expect(assertions()[0]).toEqual(expect.any(String));
  expect(new Set(assertions()).size).toBe(1);
});

test("a certificate's assertion is signed anew shortly before it ends, and if the clock was turned back", async () => {
  const { node, assertions } = withCertificate();
  for (const ms of [0, 8 * MINUTE_MS, MINUTE_MS + 1, -3 * MINUTE_MS]) {
    passTime(ms);
    await appToken(node);
  }
  const [first, second, third, fourth] = assertions();
  expect(second).toBe(first);
  expect(new Set([first, third, fourth]).size).toBe(3);
});

test("a federated credential's assertion is asked for at each call that is made, and at no hit", async () => {
  const issuer = createSigningKey();
  const credential = {
    issuer: "https://cluster.example",
    subject: "system:serviceaccount:shop:worker",
    publicKeys: [issuer.publicKey.export({ format: "pem", type: "spki" }).toString()],
  };
  const world = createWorld({
    apps: [{ clientId: DEFAULT_CLIENT_IDS.web, federatedCredentials: [credential] }],
  });
  const network = tapNetwork(world.authority.networkClient());
  let asked = 0;
  const clientAssertion = (): Promise<string> => {
    const claims = { iss: credential.issuer, sub: credential.subject, aud: "api://AzureADTokenExchange" };
    const jwt = signJwt(issuer, { ...claims, exp: Date.now() / 1000 + 60, jti: `${(asked += 1)}` });
    return Promise.resolve(jwt);
  };
  const auth = { ...world.authority.msalAuth("contoso", DEFAULT_CLIENT_IDS.web), clientAssertion };
  const node = world.node({}, { auth, system: { networkClient: network } });
  const scopes = ["api://notes/.default"];
  for (const skipCache of [false, false, true]) {
    await node.client.acquireTokenByClientCredential({ scopes, skipCache });
  }
  const { account } = await node.signIn(ADA);
  await node.client.acquireTokenSilent({ account: account!, scopes: READ });
  await node.client.acquireTokenSilent({ account: account!, scopes: READ, forceRefresh: true });
  const sent = network.posts.map((post) => post.form.get("client_assertion"));
  expect(sent.map((jwt) => decodeJwt(jwt ?? "")?.claims["jti"])).toEqual(["1", "2", "3", "4"]);
  expect(network.posts.map((post) => post.form.get("client_secret"))).toEqual([null, null, null, null]);
});

test.each(["common", "organizations", "consumers"])("there is no application token of %s", async (tenant) => {
  const world = createWorld();
  const node = world.node({}, { auth: world.authority.msalAuth("contoso", DEFAULT_CLIENT_IDS.web) });
  const authority = `https://${world.authority.authorityHost}/${tenant}`;
  const request = { authority, scopes: ["api://notes/.default"] };
  await expect(node.client.acquireTokenByClientCredential(request)).rejects.toMatchObject({
    code: "ERR_CONFIGURATION",
    errorCode: "missing_tenant_id_error",
    retryable: false,
    message: expect.stringContaining("tenant") as string,
  });
  expect(world.authority.calls).toEqual([]);
});

test("discovery documents are fetched once for all operations of a client", async () => {
  const world = createWorld();
  const network = tapNetwork(world.authority.networkClient());
  const { authorityMetadata: _metadata, ...auth } = world.authority.msalAuth(
    "contoso",
    DEFAULT_CLIENT_IDS.web,
  );
  const node = world.node({}, { auth, system: { networkClient: network } });
  const { account } = await node.signIn(ADA);
  const once = network.gets.length;
  expect(once).toBeGreaterThan(0);
  await node.signIn(BEN);
  await node.client.acquireTokenSilent({ account: account!, scopes: READ, forceRefresh: true });
  expect(network.gets).toHaveLength(once);
});

test("discovery documents of 500 tenants are fetched once each, in however many rounds", async () => {
  const ids = Array.from({ length: 500 }, (_, at) => guidFrom(`tenant-${at}`));
  const tenants = Object.fromEntries(ids.map((id, at) => [`tenant-${at}`, id]));
  const world = createWorld({ tenants, users: [] });
  const network = tapNetwork(world.authority.networkClient());
  const { authorityMetadata: _metadata, ...auth } = world.authority.msalAuth(ids[0]!, DEFAULT_CLIENT_IDS.web);
  const { client } = world.node({}, { auth, system: { networkClient: network } });
  for (let round = 0; round < 2; round += 1) {
    for (const id of ids) {
      await client.acquireTokenByClientCredential({
        authority: `https://${world.authority.authorityHost}/${id}`,
        scopes: ["api://notes/.default"],
        skipCache: true,
      });
    }
  }
  expect(network.gets).toHaveLength(500);
});

test("a discovery document that could not be fetched is asked for again", async () => {
  const world = createWorld();
  const network = tapNetwork(world.authority.networkClient());
  const get = network.sendGetRequestAsync;
  network.sendGetRequestAsync = () => Promise.reject(new Error("unreachable"));
  const { authorityMetadata: _metadata, ...auth } = world.authority.msalAuth(
    "contoso",
    DEFAULT_CLIENT_IDS.web,
  );
  const node = world.node({}, { auth, system: { networkClient: network } });
  await expect(node.signIn(ADA)).rejects.toMatchObject({ name: expect.stringContaining("Error") as string });
  network.sendGetRequestAsync = get;
  await node.signIn(ADA);
});

/** An application with a federated credential, and functions that make assertions: one that is taken, one that is not. */
function federated() {
  const issuer = { issuer: "https://cluster.example", subject: "worker" };
  const key = createSigningKey();
  const publicKeys = [key.publicKey.export({ format: "pem", type: "spki" }).toString()];
  const world = createWorld({
    apps: [{ clientId: DEFAULT_CLIENT_IDS.web, federatedCredentials: [{ ...issuer, publicKeys }] }],
  });
  const claims = { iss: issuer.issuer, sub: issuer.subject, aud: "api://AzureADTokenExchange" };
  return {
    world,
    good: () => Promise.resolve(signJwt(key, { ...claims, exp: Date.now() / 1000 + 60 })),
    refused: () => Promise.resolve(signJwt(createSigningKey(), { ...claims, exp: 0 })),
  };
}

test("a request with an assertion of its own shares an answer only with those that have the same one", async () => {
  const { world, good, refused } = federated();
  const auth = world.authority.msalAuth("contoso", DEFAULT_CLIENT_IDS.web);
  const { client } = world.node({}, { auth: { ...auth, clientAssertion: refused } });
  const outcomes = await Promise.allSettled(
    [refused, good, good].map((clientAssertion) =>
      client.acquireTokenByClientCredential({ scopes: ["api://notes/.default"], clientAssertion }),
    ),
  );
  expect(outcomes.map(({ status }) => status)).toEqual(["rejected", "fulfilled", "fulfilled"]);
  expect(world.authority.count({ grant: "client_credentials" })).toBe(2);
});

describe("a client whose settings are others than those of another client of the cache", () => {
  const { msalAuth } = createWorld().authority;
  const auth = msalAuth("contoso", DEFAULT_CLIENT_IDS.web);

  test("asks with its own assertion, and shares what comes of it with the clients that have the same one", async () => {
    const { world, good, refused } = federated();
    const { clientSecret: _secret, ...rest } = auth;
    const tokenCache = createTokenCache({ store: world.store, keys: testKeys() });
    const system = { networkClient: world.authority.networkClient() };
    const outcomes = await Promise.allSettled(
      [refused, good, good].map((clientAssertion) =>
        createConfidentialClient({
          auth: { ...rest, clientAssertion },
          system,
          tokenCache,
        }).acquireTokenByClientCredential({ scopes: ["api://notes/.default"], skipCache: true }),
      ),
    );
    expect(outcomes.map(({ status }) => status)).toEqual(["rejected", "fulfilled", "fulfilled"]);
    expect(world.authority.count({ grant: "client_credentials" })).toBe(2);
  });

  test.each<[string, Partial<ConfidentialClientOptions>]>([
    ["a secret that was replaced", { auth: { ...auth, clientSecret: "the one before" } }],
    ["no tenant that it serves", { tenants: [] }],
    ["a function that serves no tenant", { tenants: () => false }],
  ])("does not fail with it, also at the same moment: %s", async (_what, others) => {
    const world = createWorld();
    const node = world.node();
    const { account } = await node.signIn(ADA);
    const clientWith = (more: Partial<ConfidentialClientOptions>): ConfidentialClient =>
      createConfidentialClient({
        auth,
        system: { networkClient: world.authority.networkClient() },
        tokenCache: node.cache,
        ...more,
      });
    const clients = [clientWith(others), clientWith({})];
    const asked = { account: account!, scopes: ["api://tasks/read"] };
    const [, outcome] = await Promise.allSettled(clients.map((client) => client.acquireTokenSilent(asked)));
    expect(outcome).toMatchObject({ value: { metadata: { tokenSource: "identity-provider" } } });
  });
});
