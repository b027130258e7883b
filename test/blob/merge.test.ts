import { describe, expect, test } from "vitest";
import { emptyBlob, type CacheBlob } from "../../src/blob/entities.ts";
import { accountKey, credentialKey } from "../../src/blob/keys.ts";
import { mergeBlobs, type MergeInput } from "../../src/blob/merge.ts";
import { fingerprint, type Provenance } from "../../src/blob/provenance.ts";
import {
  GUEST_TENANT,
  NOW,
  TENANT,
  accessToken,
  account,
  blobOf,
  deepFreeze,
  idToken,
  refreshToken,
  saveAccessToken,
} from "./fixtures.ts";

const origins = (entries: Record<string, readonly [number, number]>): Provenance =>
  Object.fromEntries(
    Object.entries(entries).map(([secret, [grant, generation]]) => [
      fingerprint(secret),
      { grant, generation },
    ]),
  );

function merge(input: Partial<MergeInput> & Pick<MergeInput, "base" | "mine" | "theirs">) {
  return mergeBlobs(deepFreeze({ provenance: { mine: {}, theirs: {} }, ...input }));
}

const secrets = (section: Readonly<Record<string, { readonly secret: string }>>): string[] =>
  Object.values(section)
    .map((token) => token.secret)
    .toSorted((a, b) => (a < b ? -1 : 1));

const grantOf = (secret: string, grant: number): { blob: CacheBlob; known: Provenance } => ({
  blob: blobOf({ refreshTokens: [refreshToken({ secret })] }),
  known: origins({ [secret]: [grant, 0] }),
});

describe("what only one side did", () => {
  test("two refreshes for two resources keep both access tokens, in either order", () => {
    const base = blobOf({ accessTokens: [accessToken({ target: "user.read openid profile" })] });
    const mail = saveAccessToken(base, accessToken({ target: "mail.read openid profile", secret: "mail" }));
    const files = saveAccessToken(
      base,
      accessToken({ target: "files.read openid profile", secret: "files" }),
    );
    const one = merge({ base, mine: mail, theirs: files }).blob;
    const other = merge({ base, mine: files, theirs: mail }).blob;
    expect(secrets(one.AccessToken)).toEqual(["at", "files", "mail"]);
    expect(one).toEqual(other);
  });

  test("what mine lacks is not removed", () => {
    const base = {
      ...blobOf({
        accounts: [account()],
        idTokens: [idToken()],
        accessTokens: [accessToken()],
        refreshTokens: [refreshToken()],
      }),
      x: 1,
    };
    expect(merge({ base, mine: emptyBlob(), theirs: base }).blob).toEqual(base);
  });

  test("what theirs removed and mine did not touch stays removed", () => {
    const base = blobOf({ accessTokens: [accessToken({ x_custom: "a" })], refreshTokens: [refreshToken()] });
    const mine = blobOf({
      accessTokens: [accessToken({ x_custom: "b" })],
      refreshTokens: [refreshToken({ y: 1 })],
    });
    expect(merge({ base, mine, theirs: emptyBlob() }).blob).toEqual(emptyBlob());
  });

  test("an access token of mine displaces the older ones that MSAL displaced, under whichever key", () => {
    const base = blobOf({
      accessTokens: [
        accessToken({ target: "user.read mail.read" }),
        accessToken({ target: "files.read", secret: "files" }),
      ],
    });
    const mine = saveAccessToken(
      base,
      accessToken({ target: "User.Read", secret: "new", expires_on: String(NOW + 1) }),
    );
    expect(secrets(merge({ base, mine, theirs: base }).blob.AccessToken)).toEqual(["files", "new"]);
  });

  test("an access token for OpenID Connect alone displaces an older mixed one, but not one saved meanwhile", () => {
    const mixed = accessToken({ target: "user.read openid" });
    const base = blobOf({ accessTokens: [mixed] });
    const mine = saveAccessToken(base, accessToken({ target: "openid profile", secret: "oidc" }));
    expect(secrets(merge({ base, mine, theirs: base }).blob.AccessToken)).toEqual(["oidc"]);
    const theirs = saveAccessToken(base, { ...mixed, secret: "again" });
    expect(secrets(merge({ base, mine, theirs }).blob.AccessToken)).toEqual(["again", "oidc"]);
    expect(secrets(merge({ base, mine: theirs, theirs: mine }).blob.AccessToken)).toEqual(["again", "oidc"]);
  });

  test("what mine kept beside its new access tokens, they do not displace", () => {
    const base = blobOf({ accessTokens: [accessToken({ target: "user.read openid" })] });
    const oidc = accessToken({ target: "openid profile", secret: "oidc" });
    const mine = { ...base, AccessToken: { ...base.AccessToken, [credentialKey(oidc)]: oidc } };
    expect(secrets(merge({ base, mine, theirs: base }).blob.AccessToken)).toEqual(["at", "oidc"]);
  });

  test("key-bound access tokens of two schemes live side by side", () => {
    const bound = (token_type: string) =>
      accessToken({ credential_type: "AccessToken_With_AuthScheme", token_type, secret: token_type });
    const theirs = blobOf({ accessTokens: [bound("pop")] });
    const mine = blobOf({ accessTokens: [bound("ssh-cert")] });
    expect(secrets(merge({ base: theirs, mine, theirs }).blob.AccessToken)).toEqual(["pop", "ssh-cert"]);
  });

  test.each([
    ["account", { home_account_id: `other.${TENANT}` }],
    ["tenant", { realm: GUEST_TENANT }],
    ["client", { client_id: "c" }],
    ["environment", { environment: "login.microsoftonline.us" }],
    ["scheme", { credential_type: "AccessToken_With_AuthScheme", token_type: "pop" }],
    ["key components", { additionalCacheKeyComponents: { fmi_path: "a" } }],
  ])("an access token of another %s is never displaced", (_what, fields) => {
    const other = accessToken({ ...fields, secret: "other" });
    const theirs = { ...emptyBlob(), AccessToken: { otherkey: other } };
    const mine = blobOf({ accessTokens: [accessToken()] });
    expect(secrets(merge({ base: emptyBlob(), mine, theirs }).blob.AccessToken)).toEqual(["at", "other"]);
    expect(secrets(merge({ base: theirs, mine, theirs }).blob.AccessToken)).toEqual(["at", "other"]);
  });

  test("another spelling of the same cloud is the same owner", () => {
    const base = blobOf({ accessTokens: [accessToken({ environment: "sts.windows.net" })] });
    const mine = blobOf({ accessTokens: [accessToken({ secret: "new" })] });
    expect(secrets(merge({ base, mine, theirs: base }).blob.AccessToken)).toEqual(["new"]);
  });
});

describe("declared removals", () => {
  const base = blobOf({ accounts: [account()], refreshTokens: [refreshToken()] });
  const removed = { section: "RefreshToken", key: credentialKey(refreshToken()) } as const;

  test("remove the entry, also one that theirs has renewed", () => {
    const theirs = blobOf({ accounts: [account()], refreshTokens: [refreshToken({ secret: "renewed" })] });
    for (const stored of [base, theirs]) {
      const { blob } = merge({ base, mine: base, theirs: stored, removals: [removed] });
      expect(blob).toEqual(blobOf({ accounts: [account()] }));
    }
  });

  test("with a fingerprint spare what another node has put in its place", () => {
    const theirs = blobOf({ refreshTokens: [refreshToken({ secret: "renewed" })] });
    const removals = [{ ...removed, ifFingerprint: fingerprint("rt") }];
    expect(secrets(merge({ base, mine: emptyBlob(), theirs, removals }).blob.RefreshToken)).toEqual([
      "renewed",
    ]);
    expect(merge({ base, mine: emptyBlob(), theirs: base, removals }).blob.RefreshToken).toEqual({});
  });

  test("do not keep what the same operation saved anew", () => {
    const mine = blobOf({ refreshTokens: [refreshToken({ secret: "new" })] });
    expect(secrets(merge({ base, mine, theirs: base, removals: [removed] }).blob.RefreshToken)).toEqual([
      "new",
    ]);
  });
});

describe("a refresh token that both sides replaced", () => {
  const base = blobOf({ refreshTokens: [refreshToken({ secret: "old" })] });
  const decide = (
    mine: readonly [number, number] | undefined,
    theirs: readonly [number, number] | undefined,
  ) => {
    const result = merge({
      base,
      mine: blobOf({ refreshTokens: [refreshToken({ secret: "mine" })] }),
      theirs: blobOf({ refreshTokens: [refreshToken({ secret: "theirs" })] }),
      provenance: { mine: mine ? origins({ mine }) : {}, theirs: theirs ? origins({ theirs }) : {} },
    });
    const [winner] = secrets(result.blob.RefreshToken);
    expect(result.provenance).toEqual(
      winner === "mine" ? (mine ? origins({ mine }) : {}) : theirs ? origins({ theirs }) : {},
    );
    return winner;
  };

  test("is decided by grant, then by generation, and a tie keeps theirs", () => {
    expect(decide([2, 0], [1, 9])).toBe("mine");
    expect(decide([1, 9], [2, 0])).toBe("theirs");
    expect(decide([1, 2], [1, 1])).toBe("mine");
    expect(decide([1, 1], [1, 2])).toBe("theirs");
    expect(decide([1, 1], [1, 1])).toBe("theirs");
    expect(decide(undefined, undefined)).toBe("theirs");
    expect(decide([1, 0], undefined)).toBe("mine");
  });

  test("is mine if theirs only changed a field that is not MSAL's, and that field survives", () => {
    const mine = blobOf({ refreshTokens: [refreshToken({ secret: "mine" })] });
    const theirs = blobOf({ refreshTokens: [refreshToken({ secret: "old", x_custom: "theirs" })] });
    const { blob } = merge({ base, mine, theirs });
    expect(Object.values(blob.RefreshToken)).toEqual([refreshToken({ secret: "mine", x_custom: "theirs" })]);
  });
});

describe("access tokens that both sides saved and MSAL would not keep both", () => {
  const base = blobOf({ accessTokens: [accessToken({ secret: "old" })] });
  const later = accessToken({
    target: "user.read mail.read",
    secret: "later",
    expires_on: String(NOW + 9000),
  });
  const sooner = accessToken({ target: "User.Read files.read", secret: "sooner" });

  function decide(
    mine: typeof later,
    theirs: typeof later,
    extra: { grants?: [number, number]; strengthens?: boolean } = {},
  ) {
    const [mineRt, theirRt] = [
      grantOf("rt-mine", extra.grants?.[0] ?? 1),
      grantOf("rt-theirs", extra.grants?.[1] ?? 1),
    ];
    const { blob } = merge({
      base,
      mine: { ...saveAccessToken(base, mine), RefreshToken: mineRt.blob.RefreshToken },
      theirs: { ...saveAccessToken(base, theirs), RefreshToken: theirRt.blob.RefreshToken },
      provenance: { mine: mineRt.known, theirs: theirRt.known },
      strengthens: extra.strengthens ?? false,
    });
    return secrets(blob.AccessToken);
  }

  test("are decided by the later expiry, and a tie is mine", () => {
    expect(decide(later, sooner)).toEqual(["later"]);
    expect(decide(sooner, later)).toEqual(["later"]);
    expect(decide({ ...later, expires_on: sooner.expires_on }, sooner)).toEqual(["later"]);
    expect(decide(sooner, { ...later, expires_on: sooner.expires_on })).toEqual(["sooner"]);
  });

  test("are mine if mine strengthens, whatever the expiry", () => {
    expect(decide(sooner, later, { strengthens: true })).toEqual(["sooner"]);
  });

  test("are those of the younger sign-in before all else", () => {
    expect(decide(later, sooner, { grants: [1, 2], strengthens: true })).toEqual(["sooner"]);
    expect(decide(sooner, later, { grants: [2, 1] })).toEqual(["sooner"]);
  });

  test("also under one key", () => {
    expect(decide({ ...sooner, secret: "mine" }, { ...sooner, secret: "theirs" })).toEqual(["mine"]);
  });

  test("a loser does not take others down with it", () => {
    const middle = accessToken({
      target: "user.read mail.read",
      secret: "middle",
      expires_on: String(NOW + 2000),
    });
    const mine = blobOf({
      accessTokens: [
        accessToken({ target: "user.read", secret: "first", expires_on: String(NOW + 1000) }),
        accessToken({ target: "mail.read", secret: "last", expires_on: String(NOW + 3000) }),
      ],
    });
    const { blob } = merge({ base: emptyBlob(), mine, theirs: blobOf({ accessTokens: [middle] }) });
    expect(secrets(blob.AccessToken)).toEqual(["first", "last"]);
  });
});

test("collisions that one side brings along end with the later expiry", () => {
  const theirs = blobOf({
    accessTokens: [
      accessToken({ target: "user.read mail.read", secret: "sooner" }),
      accessToken({ secret: "later", expires_on: String(NOW + 9000) }),
    ],
  });
  expect(secrets(merge({ base: theirs, mine: theirs, theirs }).blob.AccessToken)).toEqual(["later"]);
});

describe("id tokens", () => {
  test("that both sides changed are those of the younger sign-in, else mine", () => {
    const decide = (mineGrant: number, theirGrant: number) => {
      const [mineRt, theirRt] = [grantOf("rt-mine", mineGrant), grantOf("rt-theirs", theirGrant)];
      const { blob } = merge({
        base: blobOf({ idTokens: [idToken()] }),
        mine: {
          ...blobOf({ idTokens: [idToken({ secret: "mine" })] }),
          RefreshToken: mineRt.blob.RefreshToken,
        },
        theirs: {
          ...blobOf({ idTokens: [idToken({ secret: "theirs" })] }),
          RefreshToken: theirRt.blob.RefreshToken,
        },
        provenance: { mine: mineRt.known, theirs: theirRt.known },
      });
      return secrets(blob.IdToken);
    };
    expect(decide(1, 1)).toEqual(["mine"]);
    expect(decide(1, 2)).toEqual(["theirs"]);
    expect(decide(2, 1)).toEqual(["mine"]);
  });

  test("an old one of mine with a new unknown field does not undo theirs", () => {
    const { blob } = merge({
      base: blobOf({ idTokens: [idToken()] }),
      mine: blobOf({ idTokens: [idToken({ x_custom: "mine" })] }),
      theirs: blobOf({ idTokens: [idToken({ secret: "theirs" })] }),
    });
    expect(Object.values(blob.IdToken)).toEqual([idToken({ secret: "theirs", x_custom: "mine" })]);
  });

  test("a grant of theirs that mine's replacement lacks does not decide once and then no more", () => {
    const old = grantOf("old", 1);
    const input = {
      base: old.blob,
      mine: {
        ...blobOf({ idTokens: [idToken({ secret: "mine" })] }),
        RefreshToken: grantOf("new", 0).blob.RefreshToken,
      },
      theirs: { ...old.blob, IdToken: blobOf({ idTokens: [idToken({ secret: "theirs" })] }).IdToken },
      provenance: { mine: {}, theirs: old.known },
    };
    const once = merge(input);
    const again = merge({ ...input, theirs: once.blob, provenance: { mine: {}, theirs: once.provenance } });
    expect(again).toEqual(once);
  });

  test("a grant counts only as long as its side holds the refresh token", () => {
    const { blob } = merge({
      base: emptyBlob(),
      mine: blobOf({ idTokens: [idToken({ secret: "mine" })] }),
      theirs: blobOf({ idTokens: [idToken({ secret: "theirs" })] }),
      provenance: { mine: {}, theirs: origins({ gone: [7, 0] }) },
    });
    expect(secrets(blob.IdToken)).toEqual(["mine"]);
  });
});

describe("accounts and what MSAL does not know", () => {
  const profile = (tenantId: string, name: string) =>
    JSON.stringify({ tenantId, localAccountId: "uid", name });
  const key = accountKey(account());

  test("an account's fields are united, and its tenant profiles by tenant", () => {
    const base = blobOf({ accounts: [account({ name: "Ada", tenantProfiles: [profile(TENANT, "old")] })] });
    const mine = blobOf({
      accounts: [
        account({
          name: "Ada",
          username: "new",
          tenantProfiles: [profile(TENANT, "mine"), profile("m", "mine")],
        }),
      ],
    });
    const theirs = blobOf({
      accounts: [
        account({
          name: "Ada L.",
          x: 1,
          tenantProfiles: [profile("t", "theirs"), profile(TENANT, "theirs")],
        }),
      ],
    });
    expect(merge({ base, mine, theirs }).blob.Account[key]).toEqual(
      account({
        name: "Ada L.",
        username: "new",
        x: 1,
        tenantProfiles: [profile("t", "theirs"), profile(TENANT, "mine"), profile("m", "mine")],
      }),
    );
  });

  test("a profile that theirs lacks is kept with an account that mine changed", () => {
    const tenantProfiles = [profile(TENANT, "old")];
    const base = blobOf({ accounts: [account({ tenantProfiles })] });
    const mine = blobOf({ accounts: [account({ tenantProfiles, username: "new" })] });
    const theirs = blobOf({ accounts: [account({ tenantProfiles: [] })] });
    expect(merge({ base, mine, theirs }).blob.Account[key]).toEqual(
      account({ tenantProfiles, username: "new" }),
    );
  });

  test("a profile that mine did not touch does not undo theirs", () => {
    const tenantProfiles = [profile(TENANT, "old")];
    const base = blobOf({ accounts: [account({ tenantProfiles })] });
    const mine = blobOf({ accounts: [account({ tenantProfiles, username: "new" })] });
    const theirs = blobOf({ accounts: [account({ tenantProfiles: [profile(TENANT, "theirs")] })] });
    expect(merge({ base, mine, theirs }).blob.Account[key]?.tenantProfiles).toEqual([
      profile(TENANT, "theirs"),
    ]);
  });

  test("unknown sections and fields survive from both sides, mine over theirs where both changed", () => {
    const base = { ...emptyBlob(), both: { a: 0, b: 0 }, kept: 1 };
    const mine = { ...emptyBlob(), both: { a: 1, b: 0 }, mine: [1] };
    const theirs = { ...emptyBlob(), both: { a: 2, b: 2, c: 2 }, kept: 1, theirs: { deep: true } };
    expect(merge({ base, mine, theirs }).blob).toEqual({
      ...emptyBlob(),
      both: { a: 1, b: 2, c: 2 },
      kept: 1,
      mine: [1],
      theirs: { deep: true },
    });
  });

  test("a known field of a replaced token does not survive with the unknown ones", () => {
    const base = blobOf({ accessTokens: [accessToken({ refresh_on: "5", x_custom: "kept" })] });
    const mine = blobOf({ accessTokens: [accessToken({ secret: "new" })] });
    expect(Object.values(merge({ base, mine, theirs: base }).blob.AccessToken)).toEqual([
      accessToken({ secret: "new", x_custom: "kept" }),
    ]);
  });

  test("app metadata is united field by field", () => {
    const app = (fields: object) => ({
      ...emptyBlob(),
      AppMetadata: { a: { client_id: "c", environment: "e", ...fields } },
    });
    const { blob } = merge({ base: app({}), mine: app({ family_id: "1" }), theirs: app({ x: 1 }) });
    expect(blob).toEqual(app({ family_id: "1", x: 1 }));
  });

  test("keys that are names of Object's own are keys like any other", () => {
    const mine = { ...emptyBlob(), Account: { constructor: account() }, toString: 1 };
    expect(merge({ base: emptyBlob(), mine, theirs: emptyBlob() }).blob).toEqual(mine);
  });
});
