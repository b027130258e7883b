import fc from "fast-check";
import { afterAll, beforeAll, expect, test, vi } from "vitest";
import type { AuthenticationResult } from "@azure/msal-node";
import { createCacheAnswers } from "../../src/client/lookup.ts";
import { requestedAccount } from "../../src/client/account.ts";
import { canonicalizeBlob } from "../../src/blob/environments.ts";
import { serializeBlob, type CacheBlob } from "../../src/blob/entities.ts";
import { parseAuthority } from "../../src/msal/issuer.ts";
import type { TokenRecord } from "../../src/partitions/record.ts";
import { systemRuntime } from "../../src/runtime.ts";
import {
  CLIENT,
  GUEST_TENANT,
  HOME,
  NOW,
  TENANT,
  accessToken,
  account,
  arbitraryScope,
  arbitraryTarget,
  blobOf,
  idToken,
  refreshToken,
} from "../blob/fixtures.ts";
import { busyClient, fakeIdToken, offlineClient } from "../blob/msal.ts";

beforeAll(() => {
  vi.useFakeTimers({ toFake: ["Date"], now: NOW * 1000 });
});
afterAll(() => {
  vi.useRealTimers();
});

const CORRELATION_ID = "00000000-0000-4000-8000-000000000001";
const HOME_AUTHORITY = `https://login.microsoftonline.com/${TENANT}`;

const mostly = <T>(usual: T, ...odd: T[]): fc.Arbitrary<T> =>
  fc.oneof({ weight: 6, arbitrary: fc.constant(usual) }, { weight: 2, arbitrary: fc.constantFrom(...odd) });

const arbitraryToken = fc.record({
  realm: mostly(TENANT, GUEST_TENANT, TENANT.toUpperCase()),
  target: arbitraryTarget,
  secret: fc.integer({ min: 1, max: 1e9 }).map((serial) => `at-${serial}`),
  expires_on: mostly(String(NOW + 3600), String(NOW + 299), String(NOW + 301), String(NOW - 1)),
  extended_expires_on: mostly(String(NOW + 7200), String(NOW + 3600)),
  cached_at: mostly(String(NOW - 60), String(NOW)),
  refresh_on: mostly<string | undefined>(undefined, String(NOW + 60), String(NOW - 1)),
  resource: mostly<string | undefined>(undefined, "r"),
  token_type: mostly<string | undefined>("Bearer", "bearer", undefined),
});

const claims = {
  name: "Ada P.",
  preferred_username: "ada@contoso.example",
  upn: "ada@upn.example",
  login_hint: "hint",
  signin_state: ["kmsi"],
};
const arbitraryClaims = fc.record(
  Object.fromEntries(Object.entries(claims).map(([name, value]) => [name, fc.constant(value)])),
  { requiredKeys: [] },
);

const profile = (tenantId: string, isHomeTenant: boolean): string =>
  JSON.stringify({ tenantId, localAccountId: `oid-${tenantId.slice(0, 3)}`, username: "ada", isHomeTenant });

const withoutUndefined = <T>(value: T): T => JSON.parse(JSON.stringify(value)) as T;

const arbitraryBlob: fc.Arbitrary<CacheBlob> = fc
  .record({
    tokens: fc.array(arbitraryToken, { minLength: 1, maxLength: 3 }),
    home: arbitraryClaims,
    guest: arbitraryClaims,
    hasIdToken: mostly(true, false),
    hasGuestIdToken: mostly(true, false),
    hasAccount: mostly(true, false),
    name: fc.constantFrom<string | undefined>("Ada", undefined),
    profiles: fc.constantFrom(
      [],
      [profile(TENANT, true)],
      [profile(TENANT, true), profile(GUEST_TENANT, false)],
    ),
    family: mostly<string | undefined>(undefined, "1"),
  })
  .map((made) => {
    const blob = blobOf({
      accessTokens: made.tokens.map((fields) => accessToken(withoutUndefined(fields) as object)),
      idTokens: [
        ...(made.hasIdToken ? [idToken({ secret: fakeIdToken(made.home) })] : []),
        ...(made.hasGuestIdToken
          ? [
              idToken({
                secret: fakeIdToken({ ...made.guest, tid: GUEST_TENANT, oid: "guest" }),
                realm: GUEST_TENANT,
              }),
            ]
          : []),
      ],
      refreshTokens: [refreshToken()],
      accounts: made.hasAccount
        ? [withoutUndefined(account({ name: made.name as string, tenantProfiles: made.profiles }))]
        : [],
    });
    return canonicalizeBlob(blob, NOW);
  });

const arbitraryRequest = fc.record({
  environment: fc.constantFrom("login.windows.net", "login.microsoftonline.com", "sts.windows.net", ""),
  tenantId: mostly(TENANT, GUEST_TENANT, ""),
  authority: mostly<string | undefined>(
    undefined,
    HOME_AUTHORITY,
    `https://login.microsoftonline.com/${GUEST_TENANT}`,
  ),
  scopes: fc.oneof(
    { weight: 4, arbitrary: arbitraryScope.map((scope) => [scope]) },
    { weight: 1, arbitrary: fc.array(arbitraryScope, { maxLength: 3 }) },
  ),
  claims: mostly<string | undefined>(undefined, "{}"),
  resource: mostly<string | undefined>(undefined, "r"),
});

const record = (blob: CacheBlob): TokenRecord => ({
  type: "tokens",
  incarnation: "i",
  seq: 1,
  provenance: {},
  blob,
});

/**
 * Every field but those that are said to differ: the metadata, which MSAL has not, fields that MSAL sets to
 * `undefined`, and a time that is missing, which MSAL reads as now.
 */
function comparable(result: AuthenticationResult): unknown {
  const {
    metadata: _metadata,
    account: who,
    ...fields
  } = result as AuthenticationResult & { metadata?: unknown };
  const profiles =
    who?.tenantProfiles && [...who.tenantProfiles].map(([id, value]) => [id, withoutUndefined(value)]);
  return withoutUndefined({ ...fields, account: who && { ...who, tenantProfiles: profiles } });
}

const RUNS = 1500;

test("what the fast path answers to a user is field by field what the real MSAL answers from the same blob", async () => {
  const answers = createCacheAnswers(systemRuntime);
  let hits = 0;
  await fc.assert(
    fc.asyncProperty(arbitraryBlob, arbitraryRequest, async (blob, asked) => {
      const given = {
        homeAccountId: HOME,
        environment: asked.environment,
        tenantId: asked.tenantId,
        localAccountId: "",
        username: "",
      };
      const authority = parseAuthority({ authority: asked.authority ?? HOME_AUTHORITY });
      const owner = requestedAccount(given, authority, asked.authority !== undefined);
      const answer = answers.find(record(blob), "L1", {
        clientId: CLIENT,
        environment: owner.environment,
        realm: owner.tenantId || authority.tenant,
        scopes: asked.scopes,
        homeAccountId: owner.homeAccountId,
        ...(asked.resource && { resource: asked.resource }),
        authority: authority.canonical,
        correlationId: CORRELATION_ID,
      });
      if (!answer.result) return;
      hits += 1;
      const theirs = await offlineClient(serializeBlob(blob)).acquireTokenSilent({
        account: owner,
        scopes: [...asked.scopes],
        correlationId: CORRELATION_ID,
        ...(asked.authority && { authority: asked.authority }),
        ...(asked.claims && { claims: asked.claims }),
        ...(asked.resource && { resource: asked.resource }),
      });
      expect(comparable(answer.result)).toEqual(comparable(theirs));
    }),
    { numRuns: RUNS },
  );
  expect(hits).toBeGreaterThan(RUNS / 10);
});

test("what the fast path answers to an application is field by field what the real MSAL answers", async () => {
  const answers = createCacheAnswers(systemRuntime);
  let hits = 0;
  await fc.assert(
    fc.asyncProperty(fc.array(arbitraryToken, { minLength: 1, maxLength: 3 }), async (tokens) => {
      const accessTokens = tokens.map((fields) =>
        accessToken({
          ...(withoutUndefined(fields) as object),
          home_account_id: "",
          target: "api://x/.default",
        }),
      );
      const blob = canonicalizeBlob(blobOf({ accessTokens }), NOW);
      const answer = answers.find(record(blob), "L1", {
        clientId: CLIENT,
        environment: "login.windows.net",
        realm: TENANT,
        scopes: ["api://x/.default"],
        homeAccountId: "",
        authority: `${HOME_AUTHORITY}/`,
        correlationId: CORRELATION_ID,
      });
      if (!answer.result) return;
      hits += 1;
      const theirs = await busyClient(serializeBlob(blob)).acquireTokenByClientCredential({
        scopes: ["api://x/.default"],
        correlationId: CORRELATION_ID,
      });
      expect(comparable(answer.result)).toEqual(comparable(theirs!));
    }),
    { numRuns: 500 },
  );
  expect(hits).toBeGreaterThan(50);
});

test("what all answers from one record share cannot be changed by whoever gets them", () => {
  const answers = createCacheAnswers(systemRuntime);
  const blob = blobOf({
    accessTokens: [accessToken()],
    idTokens: [idToken({ secret: fakeIdToken() })],
    accounts: [account()],
  });
  const { result } = answers.find(record(blob), "L1", {
    clientId: CLIENT,
    environment: "login.windows.net",
    realm: TENANT,
    scopes: ["user.read"],
    homeAccountId: HOME,
    authority: HOME_AUTHORITY,
    correlationId: undefined,
  });
  expect(() => result!.scopes.push("more")).toThrow(TypeError);
  expect(() => Object.assign(result!.account!, { username: "eve" })).toThrow(TypeError);
  expect(() => Object.assign(result!.idTokenClaims, { oid: "eve" })).toThrow(TypeError);
  expect(() => Object.assign(result!, { accessToken: "mine to change" })).not.toThrow();
});

test("an odd scope is not answered with what was found for the scopes that it spells", () => {
  const answers = createCacheAnswers(systemRuntime);
  const blob = blobOf({
    accessTokens: [accessToken({ target: "a b" })],
    idTokens: [idToken({ secret: fakeIdToken() })],
    accounts: [account()],
  });
  const kept = record(blob);
  const ask = (...scopes: string[]) =>
    answers.find(kept, "L1", {
      clientId: CLIENT,
      environment: "login.windows.net",
      realm: TENANT,
      scopes,
      homeAccountId: HOME,
      authority: HOME_AUTHORITY,
      correlationId: undefined,
    }).result;
  expect([ask("a", "b"), ask("a")]).not.toContain(undefined);
  expect(ask("2\na\nb")).toBeUndefined();
  expect(ask("a", "b")).toBeDefined();
});
