import { describe, expect, test } from "vitest";
import { emptyBlob, type CacheBlob } from "../../src/blob/entities.ts";
import {
  accountsOf,
  findAccessToken,
  findAccount,
  findIdToken,
  findRefreshToken,
  nowSeconds,
  type AccessTokenQuery,
} from "../../src/blob/lookup.ts";
import { credentialKey } from "../../src/blob/keys.ts";
import {
  CLIENT,
  ENVIRONMENT,
  GUEST_TENANT,
  HOME,
  NOW,
  TENANT,
  accessToken,
  account,
  blobOf,
  idToken,
  refreshToken,
} from "./fixtures.ts";

const query = (fields: Partial<AccessTokenQuery> = {}): AccessTokenQuery => ({
  homeAccountId: HOME,
  environments: [ENVIRONMENT, "login.microsoftonline.com"],
  clientId: CLIENT,
  realm: TENANT,
  scopes: ["User.Read"],
  nowSeconds: NOW,
  renewalOffsetSeconds: 300,
  ...fields,
});
const holding = (...accessTokens: Parameters<typeof accessToken>[0][]): CacheBlob =>
  blobOf({ accessTokens: accessTokens.map(accessToken) });
const NONE = { found: false, reason: "none" };

describe("findAccessToken", () => {
  test("finds the one token that covers the scopes, whatever their case", () => {
    const blob = holding({ target: "user.read Mail.Read openid" }, { target: "files.read" });
    const found = findAccessToken(blob, query({ scopes: ["USER.READ", "mail.read", "openid"] }));
    expect(found).toMatchObject({
      found: true,
      pastRefreshOn: false,
      token: { target: "user.read Mail.Read openid" },
    });
    expect(found.found && blob.AccessToken[found.key]).toBe(found.found && found.token);
  });

  test.each<[string, Partial<AccessTokenQuery>]>([
    ["another account", { homeAccountId: `x${HOME}` }],
    ["the same account in another case", { homeAccountId: HOME.toUpperCase() }],
    ["another environment", { environments: ["login.microsoftonline.us"] }],
    ["another client", { clientId: GUEST_TENANT }],
    ["another tenant", { realm: GUEST_TENANT }],
    ["a scope more", { scopes: ["user.read", "mail.read"] }],
    ["nothing but blanks, of an application", { homeAccountId: "", scopes: [" "] }],
    ["another assertion", { userAssertionHash: "h" }],
  ])("misses for %s", (_what, fields) => {
    expect(findAccessToken(holding({}), query(fields))).toEqual(NONE);
  });

  test("the tenant may be spelled in any case, and an empty one accepts each", () => {
    expect(findAccessToken(holding({}), query({ realm: TENANT.toUpperCase() })).found).toBe(true);
    expect(findAccessToken(holding({}), query({ realm: "" })).found).toBe(true);
  });

  test("never finds a token for nobody in particular", () => {
    const { homeAccountId: _left, ...anonymous } = query();
    expect(findAccessToken(holding({}), anonymous)).toEqual(NONE);
  });

  test("never finds one that is bound to a key or kept apart by key components", () => {
    const kinds = [
      { token_type: "pop" },
      { credential_type: "AccessToken_With_AuthScheme", token_type: "pop" },
      { additionalCacheKeyComponents: { fmi_path: "a" } },
    ];
    for (const kind of kinds) expect(findAccessToken(holding(kind), query())).toEqual(NONE);
    expect(findAccessToken(holding({ token_type: "bearer" }), query()).found).toBe(true);
  });

  test("does not find what lies under a key that MSAL would not look at", () => {
    expect(findAccessToken({ ...emptyBlob(), AccessToken: { elsewhere: accessToken() } }, query())).toEqual(
      NONE,
    );
  });

  test("does not find what an entry of a later section hides from MSAL", () => {
    const key = credentialKey(accessToken());
    const blob = { ...holding({}), RefreshToken: { [key]: refreshToken() } };
    expect(findAccessToken(blob, query())).toEqual(NONE);
  });

  test("two candidates are ambiguous", () => {
    const blob = holding({ target: "user.read" }, { target: "user.read mail.read" });
    expect(findAccessToken(blob, query())).toEqual({ found: false, reason: "ambiguous" });
  });

  test("expires the margin before its time, to the second, and then still hands out the token", () => {
    const blob = holding({ expires_on: String(NOW + 300) });
    expect(findAccessToken(blob, query()).found).toBe(true);
    const late = findAccessToken(blob, query({ nowSeconds: NOW + 1 }));
    expect(late).toMatchObject({ reason: "expired", expired: { secret: "at" } });
    expect(findAccessToken(holding({ expires_on: "soon" }), query())).toMatchObject({ reason: "expired" });
  });

  test("a token from the future is expired, and not handed out", () => {
    const blob = holding({ cached_at: String(NOW + 1) });
    expect(findAccessToken(blob, query())).toEqual({ found: false, reason: "expired" });
  });

  test("says when the token is due for early renewal, but as MSAL not for a resource", () => {
    const blob = holding({ refresh_on: String(NOW), resource: "r" });
    expect(findAccessToken(blob, query())).toMatchObject({ found: true, pastRefreshOn: false });
    expect(findAccessToken(blob, query({ nowSeconds: NOW + 1 }))).toMatchObject({ pastRefreshOn: true });
    expect(findAccessToken(blob, query({ nowSeconds: NOW + 1, resource: "r" }))).toMatchObject({
      pastRefreshOn: false,
    });
  });

  test("a named resource must be the token's, even to be handed out late", () => {
    const blob = holding({ resource: "r" });
    expect(findAccessToken(blob, query({ resource: "r" })).found).toBe(true);
    expect(findAccessToken(blob, query({ resource: "s" }))).toEqual({ found: false, reason: "resource" });
    const later = { resource: "s", nowSeconds: NOW + 3600 };
    expect(findAccessToken(blob, query(later))).toEqual({ found: false, reason: "expired" });
  });

  test("an application's tokens are found for the empty account only", () => {
    const blob = holding({ home_account_id: "", target: "api://x/.default" });
    const scopes = ["api://x/.default"];
    expect(findAccessToken(blob, query({ homeAccountId: "", scopes })).found).toBe(true);
    expect(findAccessToken(blob, query({ scopes })).found).toBe(false);
  });

  test("on-behalf-of goes by the assertion, and tokens of two tenants for one are ambiguous", () => {
    const blob = holding({ userAssertionHash: "h" }, { userAssertionHash: "i", target: "user.read openid" });
    const { homeAccountId: _left, ...anonymous } = query({ userAssertionHash: "h" });
    expect(findAccessToken(blob, anonymous)).toMatchObject({
      found: true,
      token: { userAssertionHash: "h" },
    });
    expect(findAccessToken(blob, query({ userAssertionHash: "h", realm: GUEST_TENANT }))).toEqual(NONE);
    const twice = holding({ userAssertionHash: "h" }, { userAssertionHash: "h", realm: GUEST_TENANT });
    expect(findAccessToken(twice, anonymous)).toMatchObject({ reason: "ambiguous" });
  });
});

describe("the other entries", () => {
  const who = { homeAccountId: HOME, environments: [ENVIRONMENT], clientId: CLIENT };

  test("findIdToken finds one per tenant, and none where two compete", () => {
    const blob = blobOf({ idTokens: [idToken(), idToken({ realm: GUEST_TENANT, secret: "guest" })] });
    expect(findIdToken(blob, { ...who, realm: GUEST_TENANT })?.secret).toBe("guest");
    expect(findIdToken(blob, { ...who, realm: "" })).toBeUndefined();
    expect(findIdToken(blob, { ...who, realm: TENANT, clientId: GUEST_TENANT })).toBeUndefined();
  });

  test("findRefreshToken prefers the family's for a member, and else the client's own", () => {
    const own = refreshToken({ secret: "own" });
    const family = refreshToken({ secret: "family", family_id: "1" });
    const blob = blobOf({ refreshTokens: [own, family] });
    const member = {
      ...blob,
      AppMetadata: { a: { client_id: CLIENT, environment: ENVIRONMENT, family_id: "1" } },
    };
    expect(findRefreshToken(blob, who)).toEqual({ key: credentialKey(own), token: own });
    expect(findRefreshToken(member, who)).toEqual({ key: credentialKey(family), token: family });
    expect(
      findRefreshToken({ ...member, RefreshToken: blobOf({ refreshTokens: [own] }).RefreshToken }, who)
        ?.token,
    ).toBe(own);
    expect(findRefreshToken(blob, { ...who, homeAccountId: "x" })).toBeUndefined();
  });

  test("findAccount goes by the exact id and the cloud", () => {
    const blob = blobOf({ accounts: [account()] });
    expect(findAccount(blob, HOME, "sts.windows.net")).toEqual(account());
    expect(findAccount(blob, HOME.toUpperCase(), ENVIRONMENT)).toBeUndefined();
    expect(findAccount(blob, HOME, "login.microsoftonline.us")).toBeUndefined();
    expect(accountsOf(blob)).toEqual([account()]);
  });
});

test("the present is rounded as in MSAL", () => {
  expect([nowSeconds(1499), nowSeconds(1500)]).toEqual([1, 2]);
});
