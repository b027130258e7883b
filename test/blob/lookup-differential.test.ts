import { createHash } from "node:crypto";
import fc from "fast-check";
import { afterAll, beforeAll, expect, test, vi } from "vitest";
import type { AccountInfo } from "@azure/msal-node";
import { serializeBlob, type AccessTokenEntity, type CacheBlob } from "../../src/blob/entities.ts";
import { environmentAliases } from "../../src/blob/environments.ts";
import { findAccessToken, type AccessTokenQuery } from "../../src/blob/lookup.ts";
import {
  CLIENT,
  ENVIRONMENT,
  GUEST_TENANT,
  HOME,
  NOW,
  TENANT,
  accessToken,
  arbitraryScope,
  arbitraryTarget,
  blobOf,
  idToken,
  refreshToken,
} from "./fixtures.ts";
import { busyClient, fakeIdToken, offlineClient } from "./msal.ts";

beforeAll(() => {
  vi.useFakeTimers({ toFake: ["Date"], now: NOW * 1000 });
});
afterAll(() => {
  vi.useRealTimers();
});

const EDGES = [-1, 0, 299, 300, 301, 3600].map((offset) => String(NOW + offset));
const ASSERTIONS = ["assertion-1", "assertion-2"];
const hashOf = (assertion: string): string => createHash("sha256").update(assertion).digest("base64url");

/** Most often the first: enough oddities for every rule, not so many that nothing ever matches. */
const mostly = <T>(usual: T, ...odd: T[]): fc.Arbitrary<T> =>
  fc.oneof({ weight: 8, arbitrary: fc.constant(usual) }, { weight: 2, arbitrary: fc.constantFrom(...odd) });

const arbitraryToken: fc.Arbitrary<AccessTokenEntity> = fc
  .record({
    home_account_id: mostly(HOME, `other.${TENANT}`, HOME.toUpperCase(), ""),
    environment: mostly(ENVIRONMENT, "sts.windows.net", "login.microsoftonline.us"),
    client_id: mostly(CLIENT, GUEST_TENANT),
    realm: mostly(TENANT, TENANT.toUpperCase(), GUEST_TENANT),
    target: arbitraryTarget,
    secret: fc.integer({ min: 1, max: 1e9 }).map((serial) => `at-${serial}`),
    expires_on: mostly(String(NOW + 3600), ...EDGES, "soon"),
    cached_at: mostly(String(NOW - 60), String(NOW), String(NOW + 1)),
    refresh_on: mostly<string | undefined>(undefined, ...[-1, 0, 60].map((offset) => String(NOW + offset))),
    resource: fc.constantFrom(undefined, "r", "s"),
    token_type: mostly("Bearer", "bearer"),
    credential_type: mostly("AccessToken", "AccessToken_With_AuthScheme", "accesstoken"),
    userAssertionHash: fc.constantFrom(undefined, ...ASSERTIONS.map(hashOf)),
    additionalCacheKeyComponents: mostly<Record<string, string> | undefined>(
      undefined,
      {},
      { fmi_path: "a" },
    ),
  })
  .map(
    (fields) =>
      JSON.parse(JSON.stringify(accessToken(fields as Partial<AccessTokenEntity>))) as AccessTokenEntity,
  );

const arbitraryCache: fc.Arbitrary<CacheBlob> = fc
  .tuple(fc.array(arbitraryToken, { minLength: 1, maxLength: 4 }), fc.constantFrom("", "", "x"))
  .map(([accessTokens, prefix]) => {
    const blob = blobOf({
      accessTokens,
      // Garbage would make MSAL fail after its search; that is not what is compared here.
      idTokens: [idToken({ secret: fakeIdToken() })],
      refreshTokens: [refreshToken()],
    });
    if (prefix === "") return blob;
    // Also keys that do not mention what the entity says.
    const [first, ...rest] = Object.entries(blob.AccessToken);
    return {
      ...blob,
      AccessToken: Object.fromEntries([[`${prefix}-key`, first?.[1]], ...rest]) as CacheBlob["AccessToken"],
    };
  });

const arbitraryRequest = fc.record({
  homeAccountId: mostly(HOME, `other.${TENANT}`),
  realm: mostly(TENANT, GUEST_TENANT, TENANT.toUpperCase()),
  scopes: fc.oneof(
    { weight: 3, arbitrary: arbitraryScope.map((scope) => [scope]) },
    { weight: 1, arbitrary: fc.array(arbitraryScope, { maxLength: 3 }) },
  ),
  resource: fc.constantFrom(undefined, undefined, undefined, "r"),
});

/** MSAL's answer from this cache, or undefined where it went to the network or failed. */
async function silently(ask: () => Promise<{ accessToken: string } | null>): Promise<string | undefined> {
  try {
    return (await ask())?.accessToken;
  } catch {
    return undefined;
  }
}

const question = (fields: Partial<AccessTokenQuery>): AccessTokenQuery => ({
  environments: environmentAliases(ENVIRONMENT),
  clientId: CLIENT,
  realm: TENANT,
  scopes: [],
  nowSeconds: NOW,
  renewalOffsetSeconds: 300,
  ...fields,
});

const secretOf = (blob: CacheBlob, query: AccessTokenQuery): string | undefined => {
  const found = findAccessToken(blob, query);
  return found.found ? found.token.secret : undefined;
};

const RUNS = 2000;

test("a silent request finds what the real MSAL finds in the same cache, and nothing else", async () => {
  let hits = 0;
  await fc.assert(
    fc.asyncProperty(arbitraryCache, arbitraryRequest, async (blob, { resource, ...request }) => {
      const account: AccountInfo = {
        homeAccountId: request.homeAccountId,
        environment: ENVIRONMENT,
        tenantId: request.realm,
        localAccountId: "uid",
        username: "",
      };
      const named = resource === undefined ? {} : { resource };
      const client = offlineClient(serializeBlob(blob));
      const theirs = await silently(() =>
        client.acquireTokenSilent({ account, scopes: [...request.scopes], ...named }),
      );
      const ours = secretOf(blob, question({ ...request, ...named }));
      expect(ours).toBe(theirs);
      if (ours !== undefined) hits += 1;
    }),
    { numRuns: RUNS },
  );
  expect(hits).toBeGreaterThan(RUNS / 40);
});

test("a client credentials request is never answered otherwise than by the real MSAL", async () => {
  let hits = 0;
  const scope = fc.constantFrom("api://x/.default", "api://x/.default", "user.read");
  await fc.assert(
    fc.asyncProperty(arbitraryCache, scope, async (cache, wanted) => {
      const AccessToken = Object.fromEntries(
        Object.entries(cache.AccessToken).map(([key, token]) => [
          key.replace(HOME, ""),
          { ...token, home_account_id: "" },
        ]),
      );
      const blob = { ...cache, AccessToken };
      const client = busyClient(serializeBlob(blob));
      const theirs = await silently(() => client.acquireTokenByClientCredential({ scopes: [wanted] }));
      const ours = secretOf(blob, question({ homeAccountId: "", scopes: [wanted] }));
      if (ours === undefined) return;
      expect(ours).toBe(theirs);
      hits += 1;
    }),
    { numRuns: RUNS },
  );
  expect(hits).toBeGreaterThan(RUNS / 40);
});

test("an on-behalf-of request is never answered otherwise than by the real MSAL", async () => {
  let hits = 0;
  await fc.assert(
    fc.asyncProperty(
      arbitraryCache,
      arbitraryScope,
      fc.constantFrom(...ASSERTIONS),
      async (blob, scope, assertion) => {
        const client = offlineClient(serializeBlob(blob));
        const theirs = await silently(() =>
          client.acquireTokenOnBehalfOf({ oboAssertion: assertion, scopes: [scope] }),
        );
        const ours = secretOf(blob, question({ scopes: [scope], userAssertionHash: hashOf(assertion) }));
        if (ours === undefined) return;
        expect(ours).toBe(theirs);
        hits += 1;
      },
    ),
    { numRuns: RUNS },
  );
  expect(hits).toBeGreaterThan(RUNS / 40);
});
