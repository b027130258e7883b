import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { emptyBlob } from "../../src/blob/entities.ts";
import { canonicalEnvironment, canonicalizeBlob, environmentAliases } from "../../src/blob/environments.ts";
import { credentialKey } from "../../src/blob/keys.ts";
import {
  accessToken,
  account,
  arbitraryBlob,
  blobOf,
  deepFreeze,
  idToken,
  NOW,
  refreshToken,
} from "./fixtures.ts";
import { msalClouds } from "./msal.ts";

const ALIAS = "login.microsoftonline.com";

test("every cloud has the canonical name and the aliases that MSAL has built in", async () => {
  const clouds = await msalClouds();
  expect(clouds.length).toBeGreaterThan(5);
  for (const { preferred_cache: preferred, aliases } of clouds) {
    for (const alias of aliases) {
      expect(canonicalEnvironment(alias)).toBe(preferred);
      expect([...environmentAliases(alias)].toSorted()).toEqual([...aliases].toSorted());
    }
  }
});

test("an unknown host is its own canonical name, in lower case", () => {
  expect(canonicalEnvironment("ID.Example.com")).toBe("id.example.com");
  expect(environmentAliases("ID.Example.com")).toEqual(["id.example.com"]);
});

describe("canonicalizeBlob", () => {
  test("moves every entry to the canonical environment and key", () => {
    const parts = (environment: string) =>
      blobOf({
        accounts: [account({ environment })],
        idTokens: [idToken({ environment })],
        accessTokens: [accessToken({ environment })],
        refreshTokens: [refreshToken({ environment })],
      });
    const app = (environment: string) => ({
      [`appmetadata-${environment}-c`]: { client_id: "c", environment },
    });
    const before = { ...parts(ALIAS), AppMetadata: app(ALIAS), extra: { ALIAS } };
    const after = { ...parts("login.windows.net"), AppMetadata: app("login.windows.net"), extra: { ALIAS } };
    expect(canonicalizeBlob(deepFreeze(before), NOW)).toEqual(after);
  });

  test("returns the same object if nothing changes, and so on its own result", () => {
    const blob = blobOf({
      accounts: [account()],
      accessTokens: [accessToken()],
      refreshTokens: [refreshToken()],
    });
    expect(canonicalizeBlob(blob, NOW)).toBe(blob);
    fc.assert(
      fc.property(arbitraryBlob, (any) => {
        const once = canonicalizeBlob(deepFreeze(any), NOW);
        expect(canonicalizeBlob(once, NOW)).toBe(once);
      }),
    );
  });

  test("of two access tokens under one key the later cached stays, of refresh tokens the first", () => {
    const old = accessToken({ secret: "old", cached_at: String(NOW - 100), environment: ALIAS });
    const young = accessToken({ secret: "young", cached_at: String(NOW - 10) });
    for (const accessTokens of [
      [old, young],
      [young, old],
    ]) {
      const [kept, ...rest] = Object.values(canonicalizeBlob(blobOf({ accessTokens }), NOW).AccessToken);
      expect([kept?.secret, rest]).toEqual(["young", []]);
    }
    const refreshTokens = [
      refreshToken({ secret: "first", environment: ALIAS }),
      refreshToken({ secret: "second" }),
    ];
    const { RefreshToken } = canonicalizeBlob(blobOf({ refreshTokens }), NOW);
    expect(Object.values(RefreshToken).map((token) => token.secret)).toEqual(["first"]);
  });

  test("keeps one of two access tokens that only meet now", () => {
    const blob = blobOf({
      accessTokens: [
        accessToken({ environment: ALIAS, target: "user.read mail.read", expires_on: String(NOW + 10) }),
        accessToken({ target: "user.read", secret: "longer" }),
      ],
    });
    expect(Object.values(canonicalizeBlob(blob, NOW).AccessToken).map((token) => token.secret)).toEqual([
      "longer",
    ]);
  });

  test("a token cached in the future is taken as cached now", () => {
    const blob = blobOf({ accessTokens: [accessToken({ cached_at: String(NOW + 1) })] });
    expect(Object.values(canonicalizeBlob(deepFreeze(blob), NOW).AccessToken)[0]?.cached_at).toBe(
      String(NOW),
    );
    expect(canonicalizeBlob(blob, NOW + 1)).toBe(blob);
  });

  test("of a key with a components' hash only the beginning is replaced", () => {
    const token = accessToken({ environment: ALIAS, additionalCacheKeyComponents: { fmi_path: "a" } });
    const blob = {
      ...emptyBlob(),
      AccessToken: { [`${credentialKey(token)}-somehash`]: token, opaque: token },
    };
    const moved = { ...token, environment: "login.windows.net" };
    expect(
      Object.keys(
        canonicalizeBlob({ ...blob, AccessToken: { [`${credentialKey(token)}-somehash`]: token } }, NOW)
          .AccessToken,
      ),
    ).toEqual([`${credentialKey(moved)}-somehash`]);
    expect(
      Object.keys(canonicalizeBlob({ ...blob, AccessToken: { opaque: token } }, NOW).AccessToken),
    ).toEqual(["opaque"]);
  });
});
