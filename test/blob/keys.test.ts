import { expect, test } from "vitest";
import { emptyBlob, parseBlob } from "../../src/blob/entities.ts";
import { accountKey, appMetadataKey, credentialKey } from "../../src/blob/keys.ts";
import {
  CLIENT,
  ENVIRONMENT,
  GUEST_TENANT,
  HOME,
  TENANT,
  accessToken,
  account,
  idToken,
  refreshToken,
} from "./fixtures.ts";
import { fakeTokenResponse, offlineClient, onlineClient } from "./msal.ts";

test("an account's key ends in its home tenant, or its realm where the id names none", () => {
  expect(accountKey(account({ home_account_id: "UID.UTID" }))).toBe(`uid.utid-${ENVIRONMENT}-utid`);
  expect(accountKey(account({ home_account_id: "sub", realm: "R" }))).toBe(`sub-${ENVIRONMENT}-r`);
});

test("a credential's key names kind, client or family, realm, scopes and a scheme that is not Bearer", () => {
  const start = `${HOME}-${ENVIRONMENT}`;
  expect(credentialKey(accessToken({ target: "User.Read openid" }))).toBe(
    `${start}-accesstoken-${CLIENT}-${TENANT}-user.read openid-`,
  );
  expect(
    credentialKey(accessToken({ credential_type: "AccessToken_With_AuthScheme", token_type: "pop" })),
  ).toBe(`${start}-accesstoken_with_authscheme-${CLIENT}-${TENANT}-user.read-pop`);
  expect(credentialKey(idToken({ realm: GUEST_TENANT }))).toBe(
    `${start}-idtoken-${CLIENT}-${GUEST_TENANT}--`,
  );
  expect(credentialKey(refreshToken())).toBe(`${start}-refreshtoken-${CLIENT}---`);
  expect(credentialKey(refreshToken({ family_id: "1" }))).toBe(`${start}-refreshtoken-1---`);
});

test("what MSAL saves in a sign-in lies under the keys we compute", async () => {
  const client = onlineClient(fakeTokenResponse({ foci: "1" }));
  await client.acquireTokenByCode({ code: "c", redirectUri: "https://app/cb", scopes: ["User.Read"] });
  const blob = parseBlob(client.getTokenCache().serialize());
  const pairs = [
    ...Object.entries(blob.Account).map(([key, entity]) => [key, accountKey(entity)]),
    ...[blob.IdToken, blob.AccessToken, blob.RefreshToken].flatMap((section) =>
      Object.entries(section).map(([key, entity]) => [key, credentialKey(entity)]),
    ),
    ...Object.entries(blob.AppMetadata).map(([key, entity]) => [key, appMetadataKey(entity)]),
  ];
  expect(pairs).toHaveLength(5);
  for (const [stored, computed] of pairs) expect(computed).toBe(stored);
});

test("MSAL's own empty cache is an empty blob", () => {
  expect(parseBlob(offlineClient().getTokenCache().serialize())).toEqual(emptyBlob());
});
