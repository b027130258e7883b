/** 4f: what a cache hit costs, counted and not timed. How long things take is a matter for benchmarks. */
import crypto, { createHash, generateKeyPairSync } from "node:crypto";
import { syncBuiltinESMExports } from "node:module";
import { ConfidentialClientApplication, type AccountInfo, type Configuration } from "@azure/msal-node";
import { afterEach, describe, expect, test, vi } from "vitest";
import { createLocalAuthority, DEFAULT_RESOURCES } from "../../src/testing/authority/index.ts";
import { ADA, createNode, createWorld, READ, WEB, type Authority } from "../support/world.ts";
import { apis, people, scopeOf } from "./setting.ts";
import { perRequest, seed, vendorSignIn, vendorStore } from "./vendor.ts";
import { memoryStore } from "../../src/adapters/memory.ts";

const HITS = 10;

afterEach(() => {
  vi.restoreAllMocks();
  syncBuiltinESMExports();
});

describe("a client that proves itself with a certificate", () => {
  test("vendor: a client per request signs an assertion for each, also where the cache answers", async () => {
    const { authority, auth } = withCertificate();
    const store = vendorStore();
    const homeAccountId = authority.homeAccountId(ADA);
    const account = await vendorSignIn(perRequest(authority, store, homeAccountId, { auth }), authority, ADA);
    const signatures = vi.spyOn(crypto, "createSign");
    for (let hit = 0; hit < HITS; hit += 1) {
      const client = perRequest(authority, store, homeAccountId, { auth });
      await client.acquireTokenSilent({ account, scopes: READ });
    }
    expect(signatures).toHaveBeenCalledTimes(HITS);
  });

  test("tokenkeep: one assertion serves all requests until it expires, and a hit needs none", async () => {
    const { authority, auth } = withCertificate();
    const signatures = vi.spyOn(crypto, "createSign");
    const node = createNode(authority, { store: memoryStore() }, { auth });
    const account = (await node.signIn(ADA, scopeOf(0))).account!;
    for (let index = 1; index < HITS; index += 1) {
      await node.client.acquireTokenSilent({ account, scopes: scopeOf(index) });
    }
    expect(authority.count({ grant: "refresh_token", outcome: "ok" })).toBe(HITS - 1);
    // The first is MSAL's own, when the certificate is tried at start; the other one is kept.
    expect(signatures.mock.calls.length).toBeLessThanOrEqual(2);
    signatures.mockClear();
    for (let hit = 0; hit < HITS; hit += 1) {
      await node.client.acquireTokenSilent({ account, scopes: scopeOf(hit) });
    }
    expect(signatures).not.toHaveBeenCalled();
  });
});

describe("a hit", () => {
  test("vendor: reads the store and parses the user's whole blob, twice", async () => {
    const authority = createLocalAuthority();
    const store = vendorStore();
    const account = await seed(authority, store, ADA);
    const blob = store.values.get(account.homeAccountId);
    const reads = vi.spyOn(store, "get");
    const parse = vi.spyOn(JSON, "parse");
    await perRequest(authority, store, account.homeAccountId).acquireTokenSilent({ account, scopes: READ });
    expect(reads).toHaveBeenCalledTimes(1);
    expect(parse.mock.calls.filter(([text]) => text === blob)).toHaveLength(2);
  });

  test("tokenkeep: reads nothing, opens nothing and parses nothing", async () => {
    const world = createWorld();
    const node = world.node();
    const account = (await node.signIn(ADA)).account!;
    await node.client.acquireTokenSilent({ account, scopes: READ });
    const [read, open, parse] = [
      vi.spyOn(world.store, "get"),
      vi.spyOn(crypto, "createDecipheriv"),
      vi.spyOn(JSON, "parse"),
    ];
    const others = [
      vi.spyOn(world.store, "put"),
      vi.spyOn(world.store, "touch"),
      vi.spyOn(world.store.activity, "get"),
      vi.spyOn(world.store.activity, "put"),
    ];
    // `import { createDecipheriv }` sees what was put on the module only then.
    syncBuiltinESMExports();
    await node.client.acquireTokenSilent({ account, scopes: READ });
    for (const spy of [read, open, parse, ...others]) expect(spy).not.toHaveBeenCalled();
    await world.node().client.acquireTokenSilent({ account, scopes: READ });
    for (const spy of [read, open, parse]) expect(spy).toHaveBeenCalled();
  });
});

describe("a hit in a client that many users share", () => {
  test("vendor: goes through the entries of all of them", async () => {
    const [few, many] = [await vendorKeysPerHit(10), await vendorKeysPerHit(40)];
    expect(many / few).toBeGreaterThan(3);
  });

  test("tokenkeep: does the same work for forty users as for ten", async () => {
    const [few, many] = [await keysPerHit(10), await keysPerHit(40)];
    expect(many).toBe(few);
  });
});

/** How many keys one silent hit lists with `Object.keys`, which is how MSAL scans its memory. */
async function listedKeys(work: () => Promise<unknown>): Promise<number> {
  const keys = vi.spyOn(Object, "keys");
  let listed = 0;
  try {
    await work();
    for (const { value } of keys.mock.results) listed += (value as string[]).length;
  } finally {
    keys.mockRestore();
  }
  return listed;
}

async function vendorKeysPerHit(users: number): Promise<number> {
  const authority = createLocalAuthority({ users: people(users) });
  // Without a plugin, the vendor's default: with one, a silent call empties the memory first.
  const client = new ConfidentialClientApplication({
    auth: authority.msalAuth("contoso", WEB),
    system: { networkClient: authority.networkClient() },
  });
  let account: AccountInfo | undefined;
  for (const { username } of people(users)) account = await vendorSignIn(client, authority, username);
  return listedKeys(() => client.acquireTokenSilent({ account: account!, scopes: READ }));
}

async function keysPerHit(users: number): Promise<number> {
  const world = createWorld({ users: people(users) });
  const node = world.node();
  let account: AccountInfo | null = null;
  for (const { username } of people(users)) account = (await node.signIn(username)).account;
  return listedKeys(() => node.client.acquireTokenSilent({ account: account!, scopes: READ }));
}

/** An authority that knows the web app by its key, and the settings that go with it. */
function withCertificate(): { authority: Authority; auth: Configuration["auth"] } {
  const { publicKey, privateKey } = generateKeyPairSync("rsa", {
    modulusLength: 2_048,
    publicKeyEncoding: { type: "spki", format: "pem" },
    privateKeyEncoding: { type: "pkcs8", format: "pem" },
  });
  const authority = createLocalAuthority({
    apps: [{ clientId: WEB, publicKeys: [publicKey] }],
    resources: [...apis(HITS), ...DEFAULT_RESOURCES],
  });
  const thumbprintSha256 = createHash("sha256").update(publicKey).digest("hex");
  return {
    authority,
    auth: { ...authority.msalAuth("contoso", WEB), clientCertificate: { thumbprintSha256, privateKey } },
  };
}
