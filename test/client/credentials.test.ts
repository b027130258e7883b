import { generateKeyPairSync } from "node:crypto";
import { expect, test } from "vitest";
import { DEFAULT_CLIENT_IDS } from "../../src/testing/authority/options.ts";
import { tapNetwork } from "../support/network.ts";
import { ADA, BEN, READ, createWorld } from "../support/world.ts";

test("a certificate's assertion is signed once for all operations of a client", async () => {
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
  await node.signIn(ADA);
  const { account } = await node.signIn(BEN);
  await node.client.acquireTokenSilent({ account: account!, scopes: READ, forceRefresh: true });
  const assertions = network.posts.map((post) => post.form.get("client_assertion"));
  expect(assertions).toHaveLength(3);
  expect(assertions[0]).toEqual(expect.any(String));
  expect(new Set(assertions).size).toBe(1);
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
