import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { blobFromObject, emptyBlob, isEmptyBlob, parseBlob, serializeBlob } from "../../src/blob/entities.ts";
import { TokenkeepError } from "../../src/errors.ts";
import { accessToken, account, arbitraryBlob, blobOf, idToken, refreshToken } from "./fixtures.ts";

function refusal(value: unknown): TokenkeepError {
  const json = typeof value === "string" ? value : JSON.stringify(value);
  try {
    parseBlob(json);
  } catch (error) {
    expect(error).toBeInstanceOf(TokenkeepError);
    return error as TokenkeepError;
  }
  throw new Error("the blob was accepted");
}

const without = (entity: object, field: string): object =>
  Object.fromEntries(Object.entries(entity).filter(([name]) => name !== field));

describe("parseBlob", () => {
  test("gives back what serializeBlob wrote, unknown sections and fields included", () => {
    fc.assert(
      fc.property(arbitraryBlob, (blob) => {
        expect(parseBlob(serializeBlob(blob))).toEqual(blob);
      }),
    );
  });

  test("fills in the sections that are missing", () => {
    expect(parseBlob("{}")).toEqual(emptyBlob());
    expect(parseBlob('{"Account":null,"extra":1}')).toEqual({ ...emptyBlob(), extra: 1 });
  });

  test.each([
    ["an empty string", ""],
    ["text that is not JSON", "{secret"],
    ["a number", "42"],
    ["null", "null"],
    ["an array", "[]"],
    ["a section that is a string", { AccessToken: "x" }],
    ["a section that is an array", { Account: [] }],
    ["an entity that is null", { RefreshToken: { k: null } }],
    ["an entity that is a string", { AppMetadata: { k: "x" } }],
    ["an access token without a secret", { AccessToken: { k: without(accessToken(), "secret") } }],
    ["an access token without scopes", { AccessToken: { k: accessToken({ target: "  " }) } }],
    ["an access token without an expiry", { AccessToken: { k: without(accessToken(), "expires_on") } }],
    ["an account without a home id", { Account: { k: without(account(), "home_account_id") } }],
    ["an id token whose realm is a number", { IdToken: { k: { ...idToken(), realm: 1 } } }],
    ["an optional field that is a number", { AccessToken: { k: { ...accessToken(), refresh_on: 5 } } }],
    [
      "key components that are not strings",
      { AccessToken: { k: { ...accessToken(), additionalCacheKeyComponents: { a: 1 } } } },
    ],
    ["a tenant profile that is not JSON", { Account: { k: account({ tenantProfiles: ["{"] }) } }],
    ["a tenant profile that is null", { Account: { k: account({ tenantProfiles: ["null"] }) } }],
    ["a token filed under another kind", { RefreshToken: { k: accessToken() } }],
    ["a root key __proto__", '{"__proto__":{"polluted":true}}'],
    ["an entity key __proto__", `{"Account":{"__proto__":${JSON.stringify(account())}}}`],
    ["a deep key __proto__ in disguise", '{"extra":[{"a":{"\\u005f_proto__":1}}]}'],
    ["a key that hides hasOwnProperty", { AccessToken: { hasOwnProperty: accessToken() } }],
    ["a hostile tenant profile", { Account: { k: account({ tenantProfiles: ['{"__proto__":{}}'] }) } }],
    ["bottomless nesting", `{"extra":${"[".repeat(50_000)}${"]".repeat(50_000)}}`],
  ])("refuses %s", (_what, value) => {
    expect(refusal(value).code).toBe("ERR_BLOB_INVALID");
    expect(({} as Record<string, unknown>)["polluted"]).toBeUndefined();
  });

  test("quotes nothing of what it refuses", () => {
    const inputs = [
      '{"secret-token": x',
      { AccessToken: { "key-secret": { ...accessToken(), secret: 5, target: "scope-secret" } } },
    ];
    for (const input of inputs) {
      const error = refusal(input);
      expect(error.message).not.toContain("secret-token");
      expect(error.message).not.toMatch(/key-secret|scope-secret/);
      expect(error.cause).toBeUndefined();
    }
  });

  test("takes an optional field that is null as missing", () => {
    const blob = parseBlob(
      JSON.stringify({ RefreshToken: { k: { ...refreshToken(), family_id: null, other: null } } }),
    );
    expect(blob.RefreshToken["k"]).toEqual({ ...refreshToken(), other: null });
  });

  test("accepts keys that happen to be names of Object's own", () => {
    const blob = { ...emptyBlob(), RefreshToken: { constructor: refreshToken(), toString: refreshToken() } };
    expect(blobFromObject(blob)).toEqual(blob);
  });
});

describe("isEmptyBlob", () => {
  test("is true without accounts and tokens, whatever else there is", () => {
    expect(isEmptyBlob({ ...emptyBlob(), extra: 1 })).toBe(true);
    expect(isEmptyBlob(blobOf({ accounts: [account()] }))).toBe(false);
    expect(isEmptyBlob(blobOf({ idTokens: [idToken()] }))).toBe(false);
    expect(isEmptyBlob(blobOf({ accessTokens: [accessToken()] }))).toBe(false);
    expect(isEmptyBlob(blobOf({ refreshTokens: [refreshToken()] }))).toBe(false);
  });
});
