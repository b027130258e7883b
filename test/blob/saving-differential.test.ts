import fc from "fast-check";
import { expect, test } from "vitest";
import { emptyBlob, parseBlob, type AccessTokenEntity, type CacheBlob } from "../../src/blob/entities.ts";
import { arbitraryAccessToken, saveAccessToken } from "./fixtures.ts";
import { offlineClient, storageOf } from "./msal.ts";

function inMemory(token: AccessTokenEntity): object {
  return {
    homeAccountId: token.home_account_id,
    environment: token.environment,
    credentialType: token.credential_type,
    clientId: token.client_id,
    secret: token.secret,
    realm: token.realm,
    target: token.target,
    cachedAt: token.cached_at,
    expiresOn: token.expires_on,
    tokenType: token.token_type,
  };
}

test("saving access tokens one after another leaves the same ones as in MSAL", async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(arbitraryAccessToken, { maxLength: 6 }), async (tokens) => {
      const client = offlineClient();
      let ours: CacheBlob = emptyBlob();
      for (const token of tokens) {
        await storageOf(client).saveCacheRecord({ accessToken: inMemory(token) }, "", false, 0);
        ours = saveAccessToken(ours, token);
      }
      const theirs = parseBlob(client.getTokenCache().serialize()).AccessToken;
      const secrets = (section: CacheBlob["AccessToken"]) =>
        Object.fromEntries(Object.entries(section).map(([key, token]) => [key, token.secret]));
      expect(secrets(ours.AccessToken)).toEqual(secrets(theirs));
    }),
    { numRuns: 500 },
  );
});
