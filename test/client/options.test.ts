import { expect, test } from "vitest";
import { memoryStore } from "../../src/adapters/memory.ts";
import { createConfidentialClient } from "../../src/client/confidential-client.ts";
import { OptionsError } from "../../src/errors.ts";
import { createTokenCache } from "../../src/token-cache.ts";
import { createWorld, testKeys } from "../support/world.ts";

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
  ["unsavedMaxBytes", { store, keys, unsavedMaxBytes: 0 }],
  ["retention.userTtlMs", { store, keys, retention: { userTtlMs: 0 } }],
  ["retention.removalMarkerTtlMs", { store, keys, retention: { removalMarkerTtlMs: -1 } }],
  ["activity.onBeforeWrite", { store, keys, activity: { onBeforeWrite: {} } }],
  ["onEvent", { store, keys, onEvent: "log" }],
  ["kees", { store, kees: keys }],
])("createTokenCache names a wrong option: %s", (option, options) => {
  expect(() => createTokenCache(options)).toThrow(
    expect.objectContaining({ code: "ERR_OPTION_INVALID", option }),
  );
  expect(() => createTokenCache(options)).toThrow(OptionsError);
  expect(() => createTokenCache(options)).toThrow(TypeError);
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

test.each<[string, object]>([
  ["auth.clientId", { tokenCache }],
  ["auth.clientId", { auth: { clientId: "" }, tokenCache }],
  ["tokenCache", { auth }],
  ["tokenCache", { auth, tokenCache: {} }],
  ["role", { auth, tokenCache, role: "admin" }],
  ["requestTimeoutMs", { auth, tokenCache, requestTimeoutMs: -1 }],
  ["cache", { auth, tokenCache, cache: {} }],
  ["rol", { auth, tokenCache, rol: "web" }],
  ["auth.authority", { auth: { ...auth, authority: "login" }, tokenCache }],
])("createConfidentialClient names a wrong option: %s", (option, options) => {
  expect(() => createConfidentialClient(options as never)).toThrow(
    expect.objectContaining({ code: "ERR_OPTION_INVALID", option }),
  );
});

test("credentials that MSAL cannot use fail at start, not at the first user's request", () => {
  const wrong = { ...auth, clientSecret: "", clientAssertion: "" };
  expect(() => createConfidentialClient({ auth: wrong, tokenCache })).toThrow(/credential/i);
});

test("a misspelt filter would list everybody, so it is refused by name", () => {
  expect(() => tokenCache.accounts({ satus: "ok" } as never)).toThrow(
    expect.objectContaining({ option: "accounts.satus" }),
  );
});
