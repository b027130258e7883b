import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { InteractionRequiredAuthError, type IPublicClientApplication } from "@azure/msal-node";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { createPublicClient, type PublicClient } from "../../src/client/public-client.ts";
import { sqliteStore } from "../../src/adapters/sqlite.ts";
import { OptionsError } from "../../src/errors.ts";
import { DEFAULT_CLIENT_IDS } from "../../src/testing/authority/options.ts";
import { createTokenCache, type TokenCache } from "../../src/token-cache.ts";
import { tapNetwork } from "../support/network.ts";
import { ADA, BEN, createWorld, READ, testKeys, type Authority, type World } from "../support/world.ts";

const OTHER = ["User.Read"];
const NO_WAIT = { lifetimes: { deviceCodeIntervalSeconds: 0 } };

let world: World;
let folder: string;
const caches: TokenCache[] = [];

beforeEach(() => {
  world = createWorld(NO_WAIT);
  folder = mkdtempSync(join(tmpdir(), "tokenkeep-public-"));
});

afterEach(async () => {
  for (const cache of caches.splice(0)) await cache.close();
  rmSync(folder, { recursive: true });
});

/** One run of a command-line tool: a cache over the user's own file, and a client. */
function run(from: World = world): PublicClient {
  const tokenCache = createTokenCache({
    store: sqliteStore({ path: join(folder, "tokens.db") }),
    keys: testKeys(),
  });
  caches.push(tokenCache);
  return clientOf(from.authority, tokenCache);
}

function clientOf(authority: Authority, tokenCache: TokenCache): PublicClient {
  return createPublicClient({
    auth: authority.msalAuth("contoso", DEFAULT_CLIENT_IDS.desktop),
    system: { networkClient: authority.networkClient() },
    tokenCache,
  });
}

function approving(user: string): { deviceCodeCallback: (code: { userCode: string }) => void } {
  return {
    deviceCodeCallback: ({ userCode }) => void world.authority.approveDeviceCode(userCode, user),
  };
}

describe("device code", () => {
  test("signs a user in once; later runs and other tools are served from the file", async () => {
    const first = run();
    const signedIn = await first.acquireTokenByDeviceCode({ scopes: READ, ...approving(ADA) });
    expect(signedIn.metadata).toMatchObject({ tokenSource: "identity-provider", saved: true });
    const later = run();
    const [account] = await later.getAllAccounts();
    const hit = await later.acquireTokenSilent({ account: account!, scopes: READ });
    expect(hit.accessToken).toBe(signedIn.accessToken);
    expect(hit.metadata).toMatchObject({ tokenSource: "cache", cacheLevel: "L2" });
    await later.acquireTokenSilent({ account: account!, scopes: OTHER });
    expect(world.authority.count({ grant: "device_authorization" })).toBe(1);
    expect(world.authority.count({ grant: "refresh_token" })).toBe(1);
  });

  test("keeps two users of one machine apart", async () => {
    const tool = run();
    const [ada, ben] = await Promise.all(
      [ADA, BEN].map((user) => tool.acquireTokenByDeviceCode({ scopes: READ, ...approving(user) })),
    );
    for (const signedIn of [ada!, ben!]) {
      const hit = await run().acquireTokenSilent({ account: signedIn.account!, scopes: READ });
      expect(hit.account?.homeAccountId).toBe(signedIn.account?.homeAccountId);
      expect(hit.accessToken).toBe(signedIn.accessToken);
    }
  });

  test("stops polling once the caller sets `cancel` on its own request, and stores nothing", async () => {
    const tool = run();
    const request = {
      scopes: READ,
      cancel: false,
      deviceCodeCallback: () => {
        request.cancel = true;
      },
    };
    await expect(tool.acquireTokenByDeviceCode(request)).rejects.toMatchObject({
      errorCode: "device_code_polling_cancelled",
    });
    expect(await tool.getAllAccounts()).toEqual([]);
    expect(Object.keys(request)).toEqual(["scopes", "cancel", "deviceCodeCallback"]);
  });

  test("does not keep a cache from closing; what comes after that is refused", async () => {
    const tool = run();
    let shown: (userCode: string) => void;
    const code = new Promise<string>((resolve) => {
      shown = resolve;
    });
    const waiting = tool.acquireTokenByDeviceCode({
      scopes: READ,
      deviceCodeCallback: ({ userCode }) => shown(userCode),
    });
    const refused = expect(waiting).rejects.toMatchObject({ code: "ERR_CLOSED" });
    const userCode = await code;
    await tool.tokenCache.close();
    world.authority.approveDeviceCode(userCode, ADA);
    await refused;
    const late = tool.acquireTokenByDeviceCode({ scopes: READ, ...approving(ADA) });
    await expect(late).rejects.toMatchObject({ code: "ERR_CLOSED" });
    expect(world.authority.count({ grant: "device_authorization" })).toBe(1);
  });
});

test("an interactive sign-in goes through a browser and a loopback port", async () => {
  const listener = await world.authority.listen();
  try {
    const signedIn = await run().acquireTokenInteractive({
      scopes: READ,
      async openBrowser(url) {
        // What a browser does: follow the page, and post the form it leads to.
        const answer = await world.authority.authorize(url, { user: ADA });
        const back = new URL(new URL(url).searchParams.get("redirect_uri")!);
        await fetch(back, { method: "POST", body: new URLSearchParams(answer.params) });
      },
    });
    expect(signedIn.metadata).toMatchObject({ tokenSource: "identity-provider", saved: true });
    const hit = await run().acquireTokenSilent({ account: signedIn.account!, scopes: READ });
    expect(hit.accessToken).toBe(signedIn.accessToken);
  } finally {
    await listener.close();
  }
});

test("a refresh token from elsewhere is stored like a sign-in", async () => {
  const older = clientOf(world.authority, createTokenCache());
  await older.acquireTokenByDeviceCode({ scopes: READ, ...approving(ADA) });
  const refreshToken = [...world.authority.issued].findLast((secret) => secret.startsWith("1.R"))!;
  const imported = await run().acquireTokenByRefreshToken({ scopes: OTHER, refreshToken });
  const hit = await run().acquireTokenSilent({ account: imported.account!, scopes: OTHER });
  expect(hit.accessToken).toBe(imported.accessToken);
});

test("user name and password are exchanged once, and what they bring is stored", async () => {
  const network = tapNetwork(world.authority.networkClient());
  // The authority has no passwords: it answers as it would to a refresh token of that user.
  const older = clientOf(world.authority, createTokenCache());
  await older.acquireTokenByDeviceCode({ scopes: READ, ...approving(ADA) });
  const refreshToken = [...world.authority.issued].findLast((secret) => secret.startsWith("1.R"))!;
  network.rewrite = (form) => {
    form.set("grant_type", "refresh_token");
    form.set("refresh_token", refreshToken);
  };
  const tool = createPublicClient({
    auth: world.authority.msalAuth("contoso", DEFAULT_CLIENT_IDS.desktop),
    system: { networkClient: network },
    tokenCache: run().tokenCache,
  });
  const signedIn = await tool.acquireTokenByUsernamePassword({ scopes: READ, username: ADA, password: "p" });
  expect(network.posts.map(({ form }) => form.get("grant_type"))).toEqual(["password"]);
  const hit = await run().acquireTokenSilent({ account: signedIn.account!, scopes: READ });
  expect(hit.accessToken).toBe(signedIn.accessToken);
});

test("signing out ends it for every run, and MSAL's own error says so", async () => {
  const tool = run();
  const { account } = await tool.acquireTokenByDeviceCode({ scopes: READ, ...approving(ADA) });
  await run().signOut({ account: account! });
  for (const client of [run(), run()]) {
    const silent = client.acquireTokenSilent({ account: account!, scopes: READ });
    await expect(silent).rejects.toBeInstanceOf(InteractionRequiredAuthError);
    expect(await client.getAllAccounts()).toEqual([]);
  }
});

test("it is MSAL's own interface", () => {
  const asInMsal: IPublicClientApplication = run();
  expect(asInMsal.getLogger()).toBeDefined();
  asInMsal.clearCache();
});

describe("createPublicClient names a wrong option", () => {
  const auth = { clientId: "id" };
  test.each<[string, object]>([
    ["auth.clientSecret", { auth: { ...auth, clientSecret: "s" } }],
    ["auth.clientId", { auth: {} }],
    ["broker", { auth, broker: {} }],
    ["cache", { auth, cache: {} }],
    ["role", { auth, role: "worker" }],
    ["requestTimeoutMs", { auth, requestTimeoutMs: 0 }],
    ["tokenCache", { auth, tokenCache: {} }],
  ])("%s", (option, options) => {
    const making = (): unknown => createPublicClient({ tokenCache: createTokenCache(), ...options } as never);
    expect(making).toThrow(expect.objectContaining({ code: "ERR_OPTION_INVALID", option }));
    expect(making).toThrow(OptionsError);
  });
});
