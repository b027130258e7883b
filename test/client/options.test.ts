import { describe, expect, test } from "vitest";
import { memoryStore } from "../../src/adapters/memory.ts";
import { createConfidentialClient } from "../../src/client/confidential-client.ts";
import { accountRef, appPartition, oboPartition, OptionsError, userPartition } from "../../src/index.ts";
import { createTokenCache } from "../../src/token-cache.ts";
import { collect } from "../support/collect.ts";
import { ADA, createWorld, testKeys } from "../support/world.ts";

const store = memoryStore();
const keys = testKeys();

test.each<[string, object]>([
  ["store", { store: {}, keys }],
  ["keys", { store }],
  ["keys", { store, keys: "secret" }],
  ["namespace", { store, keys, namespace: "a:b" }],
  ["namespace", { store, keys, namespace: "" }],
  ["l1", { store, keys, l1: true }],
  ["l1.maxBytes", { store, keys, l1: { maxBytes: -1 } }],
  ["coherenceBoundMs", { store, keys, coherenceBoundMs: "5s" }],
  ["maxStaleMs", { store, keys, maxStaleMs: Number.NaN }],
  ["maxClockSkewMs", { store, keys, maxClockSkewMs: -1 }],
  ["unsavedMaxBytes", { store, keys, unsavedMaxBytes: 0 }],
  ["retention.userTtlMs", { store, keys, retention: { userTtlMs: 0 } }],
  ["retention.removalMarkerTtlMs", { store, keys, retention: { removalMarkerTtlMs: -1 } }],
  ["activity.onBeforeWrite", { store, keys, activity: { onBeforeWrite: {} } }],
  ["onEvent", { store, keys, onEvent: "log" }],
  ["kees", { store, kees: keys }],
  ["store", { store: null, keys }],
  ["store", { store: "tokens.db", keys }],
  ["store", { store: Promise.resolve(store), keys }],
  ["keys", { store, keys: null }],
  ["l1.maxByte", { l1: { maxByte: 5 } }],
  ["retention", { retention: "90d" }],
  ["retention", { retention: null }],
  ["retention.userTtl", { retention: { userTtl: 5 } }],
  ["activity", { activity: 5 }],
  ["activity.onBeforWrite", { activity: { onBeforWrite: () => undefined } }],
  ["activity.store", { activity: { store: {} } }],
  ["activity.store", { activity: { store: null } }],
  ["failSafe", { failSafe: "no" }],
  ["failSafe", { failSafe: null }],
  ["refreshTokens", { refreshTokens: "onetime" }],
  ["refreshLease", { refreshLease: false }],
  ["spillFolder", { spillFolder: "" }],
  ["runtime", { runtime: {} }],
  ["runtime", { runtime: null }],
])("createTokenCache names a wrong option: %s", (option, options) => {
  const making = (): unknown => createTokenCache(options as never);
  expect(making).toThrow(expect.objectContaining({ code: "ERR_OPTION_INVALID", option }));
  expect(making).toThrow(OptionsError);
  expect(making).toThrow(TypeError);
});

test("undefined means the default, for every option of createTokenCache", async () => {
  const names =
    "store keys namespace l1 coherenceBoundMs failSafe maxStaleMs maxClockSkewMs unsavedMaxBytes spillFolder refreshLease " +
    "refreshTokens retention activity onEvent runtime";
  const nothing = Object.fromEntries(names.split(" ").map((name) => [name, undefined]));
  const nested = { l1: { maxBytes: undefined }, retention: { userTtlMs: undefined }, activity: {} };
  for (const options of [nothing, { ...nothing, ...nested }]) {
    await createTokenCache(options as never).close();
  }
});

test("createTokenCache refuses what is no object", () => {
  expect(() => createTokenCache(null as never)).toThrow(expect.objectContaining({ option: "options" }));
});

test("a cache with a store does not start in clear, unless told so, and says so once", () => {
  const events: string[] = [];
  createTokenCache({ store, keys: "unsealed", onEvent: (event) => events.push(event.type) });
  expect(events).toEqual(["unsealed"]);
});

const auth = createWorld().authority.msalAuth("contoso", "a0000000-0000-4000-8000-00000000000a");
const tokenCache = createTokenCache();
const HOST = "https://login.microsoftonline.com";

test.each<[string, unknown]>([
  ["auth.clientId", { tokenCache }],
  ["auth.clientId", { auth: { clientId: "" }, tokenCache }],
  ["tokenCache", { auth }],
  ["tokenCache", { auth, tokenCache: {} }],
  ["role", { auth, tokenCache, role: "admin" }],
  ["requestTimeoutMs", { auth, tokenCache, requestTimeoutMs: -1 }],
  ["serveNearExpiry", { auth, tokenCache, serveNearExpiry: "no" }],
  ["cache", { auth, tokenCache, cache: {} }],
  ["rol", { auth, tokenCache, rol: "web" }],
  ["auth.authority", { auth: { ...auth, authority: "login" }, tokenCache }],
  ["options", undefined],
  ["auth.authority", { auth: { ...auth, authority: 5 }, tokenCache }],
  ["auth.authority", { auth: { ...auth, authority: undefined }, tokenCache }],
  ["auth.authority", { auth: { ...auth, authority: "" }, tokenCache }],
  ["auth.authority", { auth: { ...auth, authority: "http://login.microsoftonline.com/common" }, tokenCache }],
  ["auth.authority", { auth: { ...auth, authority: `${HOST}/<tenant id>` }, tokenCache }],
  ["auth.authority", { auth: { ...auth, authority: `${HOST}/{tenant}/v2.0` }, tokenCache }],
  ["auth.authority", { auth: { ...auth, authority: `${HOST}/undefined` }, tokenCache }],
  ["tokenCache", { auth, tokenCache: store }],
  ["role", { auth, tokenCache, role: "Worker" }],
  ["requestTimeoutMs", { auth, tokenCache, requestTimeoutMs: "5" }],
  ["requestTimeoutMs", { auth, tokenCache, requestTimeoutMs: Number.POSITIVE_INFINITY }],
  ["requestTimeoutMs", { auth, tokenCache, requestTimeoutMs: 2 ** 31 }],
  ["system", { auth, tokenCache, system: 5 }],
  ["system", { auth, tokenCache, system: null }],
  ["system.networkClient", { auth, tokenCache, system: { networkClient: {} } }],
  ["telemetry", { auth, tokenCache, telemetry: "app" }],
  [
    "azureCloudOptions.azureCloudInstance",
    {
      auth: { clientId: "a", clientSecret: "b", azureCloudOptions: { azureCloudInstance: "public" } },
      tokenCache,
    },
  ],
  ["auth.clientId", { auth: { ...auth, clientId: "<application (client) id>" }, tokenCache }],
  ["auth.clientSecret", { auth: { ...auth, clientSecret: "<client secret>" }, tokenCache }],
  ["auth.autority", { auth: { ...auth, autority: `${HOST}/common` }, tokenCache }],
  ["auth.clientID", { auth: { clientID: "a", clientSecret: "b" }, tokenCache }],
  ["auth.clientCapabilites", { auth: { ...auth, clientCapabilites: ["cp1"] }, tokenCache }],
  ["auth.clientCapabilities", { auth: { ...auth, clientCapabilities: "cp1" }, tokenCache }],
  ["auth.knownAuthorities", { auth: { ...auth, knownAuthorities: "login.example" }, tokenCache }],
  ["system.networkclient", { auth, tokenCache, system: { networkclient: {} } }],
])("createConfidentialClient names a wrong option: %s", (option, options) => {
  expect(() => createConfidentialClient(options as never)).toThrow(
    expect.objectContaining({ code: "ERR_OPTION_INVALID", option }),
  );
});

test("what is no option of MSAL's, and nearly none, is let pass beside them: applications keep more there", () => {
  const more = { tenantId: "t", redirectUri: "https://app.example/", authorityHost: HOST, clientName: "n" };
  createConfidentialClient({ auth: { ...auth, ...more }, system: { proxyUrl: "p" } as object, tokenCache });
});

describe("credentials that cannot be used fail at start, not at the first user's request", () => {
  const { clientSecret, ...bare } = auth;
  const privateKey = "-----BEGIN PRIVATE KEY-----";
  const clientCertificate = { thumbprintSha256: "ab", privateKey };

  test.each<[string, RegExp, object]>([
    ["auth", /clientSecret.*clientCertificate.*clientAssertion/, {}],
    ["auth", /clientSecret is undefined/, { clientSecret: undefined }],
    ["auth", /credential.*clientSecret is empty/, { clientSecret: "", clientAssertion: "" }],
    ["auth", /clientSecret, clientAssertion/, { clientSecret, clientAssertion: "assertion" }],
    ["auth", /clientSecret, clientCertificate/, { clientSecret, clientCertificate }],
    ["auth.clientSecret", /text/, { clientSecret: { value: "hidden" } }],
    ["auth.clientAssertion", /text/, { clientAssertion: {} }],
    ["auth.clientCertificate", /object/, { clientCertificate: privateKey }],
    ["auth.clientCertificate.privateKey", /text/, { clientCertificate: { thumbprint: "ab" } }],
    ["auth.clientCertificate.thumbprintSha256", /text/, { clientCertificate: { privateKey } }],
  ])("%s: %s", (option, message, credentials) => {
    const making = (): unknown =>
      createConfidentialClient({ auth: { ...bare, ...credentials } as typeof auth, tokenCache });
    expect(making).toThrow(expect.objectContaining({ code: "ERR_OPTION_INVALID", option }));
    expect(making).toThrow(message);
    expect(making).not.toThrow(/hidden/);
  });

  test("one credential is enough, whichever it is and whatever is unset beside it", () => {
    const unset = { clientAssertion: undefined, clientCertificate: undefined } as object;
    createConfidentialClient({ auth: { ...auth, ...unset }, tokenCache });
    const assertion = { ...bare, clientAssertion: () => Promise.resolve("assertion"), clientSecret: "" };
    createConfidentialClient({ auth: assertion, tokenCache });
  });
});

test("an app token provider gets the application's tokens beside a credential, as with MSAL", async () => {
  const client = createConfidentialClient({ auth: { ...auth, clientSecret: "unused" }, tokenCache });
  client.SetAppTokenProvider(() =>
    Promise.resolve({ accessToken: "from elsewhere", expiresInSeconds: 3_600 }),
  );
  const result = await client.acquireTokenByClientCredential({ scopes: ["https://api.example/.default"] });
  expect(result?.accessToken).toBe("from elsewhere");
});

describe("a call that is wrong names what is", () => {
  const client = createConfidentialClient({ auth, tokenCache });
  const nothing = undefined as never;
  const ACCOUNT = {
    homeAccountId: "a.b",
    environment: "",
    tenantId: "",
    localAccountId: "",
    username: "",
  };

  test.each<[string, () => Promise<unknown>]>([
    ["request", () => client.acquireTokenSilent(nothing)],
    ["request", () => client.acquireTokenByCode(nothing)],
    ["request", () => client.acquireTokenByRefreshToken(nothing)],
    ["request", () => client.acquireTokenByClientCredential(nothing)],
    ["request", () => client.acquireTokenOnBehalfOf(nothing)],
    ["request", () => client.acquireTokenByUsernamePassword(nothing)],
    ["request", () => client.getAuthCodeUrl(nothing)],
    ["scopes", () => client.acquireTokenSilent({ account: ACCOUNT, scopes: "User.Read" as never })],
    [
      "scopes",
      () => client.getAuthCodeUrl({ scopes: "User.Read" as never, redirectUri: "https://app.example/" }),
    ],
    ["account", () => client.acquireTokenSilent({ scopes: ["User.Read"] } as never)],
    ["code", () => client.acquireTokenByCode({ scopes: [], redirectUri: "https://app.example/" } as never)],
    ["refreshToken", () => client.acquireTokenByRefreshToken({ scopes: [], refreshToken: "" })],
    ["oboAssertion", () => client.acquireTokenOnBehalfOf({ scopes: [] } as never)],
    ["oboAssertion", () => client.acquireTokenOnBehalfOf({ scopes: [], oboAssertion: "\ud800" })],
    ["oboAssertion", () => client.initiateLongRunningProcessInWebApi({ scopes: [] } as never)],
    ["account", () => client.removeAccount(nothing)],
    ["authority", () => client.acquireTokenSilent({ account: ACCOUNT, scopes: [], authority: "contoso" })],
    ["authority", () => client.acquireTokenByClientCredential({ scopes: [], authority: "contoso.com" })],
  ])("%s", async (option, call) => {
    await expect(call()).rejects.toMatchObject({ code: "ERR_OPTION_INVALID", option });
  });

  test.each<[string, () => unknown]>([
    ["partition", () => tokenCache.plugin(nothing)],
    ["partition", () => tokenCache.plugin("x" as never)],
    ["partition", () => tokenCache.plugin({ kind: "user", id: "app:a" } as never)],
    ["owner", () => userPartition(nothing, "a.b")],
    ["homeAccountId", () => userPartition(auth, nothing)],
    ["owner", () => appPartition(nothing)],
    ["owner", () => oboPartition(nothing, "assertion")],
    ["account", () => accountRef(nothing)],
    ["account", () => accountRef(null as never)],
  ])("at once: %s", (option, call) => {
    expect(call).toThrow(expect.objectContaining({ code: "ERR_OPTION_INVALID", option }));
  });

  test("a plugin takes what the named functions make", () => {
    for (const partition of [
      userPartition(auth, "a.b"),
      appPartition(auth),
      oboPartition(auth, "assertion"),
    ]) {
      expect(tokenCache.plugin(partition).beforeCacheAccess).toBeTypeOf("function");
    }
  });
});

describe("a filter", () => {
  test.each<[string, unknown]>([
    ["filter", 5],
    ["filter", null],
    ["accounts.satus", { satus: "ok" }],
    ["accounts.status", { status: "okay" }],
    ["accounts.status", { status: ["ok", "okay"] }],
    ["accounts.status", { status: null }],
    ["accounts.activeSince", { activeSince: new Date(0) }],
    ["accounts.idleSince", { idleSince: "2026-01-01" }],
    ["accounts.activeSince", { activeSince: Number.NaN }],
    ["accounts.tenantId", { tenantId: 5 }],
  ])("that would list everybody, or nobody, is refused at once and by name: %s", (option, filter) => {
    expect(() => tokenCache.accounts(filter as never)).toThrow(
      expect.objectContaining({ code: "ERR_OPTION_INVALID", option }),
    );
  });

  test("that is undefined lets everybody pass", async () => {
    const world = createWorld();
    const node = world.node();
    await node.signIn(ADA);
    const filter = { status: undefined, activeSince: undefined, tenantId: undefined } as object;
    expect(await collect(node.cache.accounts(filter))).toHaveLength(1);
    expect(
      await collect(node.cache.accounts({ status: ["ok", "retry-later"], activeSince: 0 })),
    ).toHaveLength(1);
  });
});
