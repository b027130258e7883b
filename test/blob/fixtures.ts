/** Small, readable cache entries and random ones; no test lives here. */
import fc from "fast-check";
import { canonicalEnvironment } from "../../src/blob/cloud-aliases.ts";
import {
  emptyBlob,
  type AccessTokenEntity,
  type AccountEntity,
  type CacheBlob,
  type IdTokenEntity,
  type RefreshTokenEntity,
} from "../../src/blob/entities.ts";
import { accountKey, credentialKey } from "../../src/blob/keys.ts";
import { displaces } from "../../src/blob/scopes.ts";

export const CLIENT = "11111111-1111-4111-8111-111111111111";
export const TENANT = "aaaaaaaa-aaaa-4aaa-8aaa-aaaaaaaaaaaa";
export const GUEST_TENANT = "bbbbbbbb-bbbb-4bbb-8bbb-bbbbbbbbbbbb";
export const HOME = `uid.${TENANT}`;
export const ENVIRONMENT = "login.windows.net";
/** The present of all fixtures, seconds. */
export const NOW = 1_900_000_000;

export function accessToken(fields: Partial<AccessTokenEntity> = {}): AccessTokenEntity {
  return {
    home_account_id: HOME,
    environment: ENVIRONMENT,
    credential_type: "AccessToken",
    client_id: CLIENT,
    secret: "at",
    realm: TENANT,
    target: "user.read",
    cached_at: String(NOW - 60),
    expires_on: String(NOW + 3600),
    extended_expires_on: String(NOW + 7200),
    token_type: "Bearer",
    ...fields,
  };
}

export function refreshToken(fields: Partial<RefreshTokenEntity> = {}): RefreshTokenEntity {
  return {
    home_account_id: HOME,
    environment: ENVIRONMENT,
    credential_type: "RefreshToken",
    client_id: CLIENT,
    secret: "rt",
    ...fields,
  };
}

export function idToken(fields: Partial<IdTokenEntity> = {}): IdTokenEntity {
  return {
    home_account_id: HOME,
    environment: ENVIRONMENT,
    credential_type: "IdToken",
    client_id: CLIENT,
    secret: "idt",
    realm: TENANT,
    ...fields,
  };
}

export function account(fields: Partial<AccountEntity> = {}): AccountEntity {
  return {
    home_account_id: HOME,
    environment: ENVIRONMENT,
    realm: TENANT,
    local_account_id: "uid",
    username: "ada@example.com",
    authority_type: "MSSTS",
    ...fields,
  };
}

/** Exactly what {@link emptyBlob} has, and of these entries each under MSAL's key. */
export function blobOf(parts: {
  readonly accounts?: readonly AccountEntity[];
  readonly idTokens?: readonly IdTokenEntity[];
  readonly accessTokens?: readonly AccessTokenEntity[];
  readonly refreshTokens?: readonly RefreshTokenEntity[];
}): CacheBlob {
  const byKey = <E>(entities: readonly E[] | undefined, key: (entity: E) => string): Record<string, E> =>
    Object.fromEntries((entities ?? []).map((entity) => [key(entity), entity]));
  return {
    ...emptyBlob(),
    Account: byKey(parts.accounts, accountKey),
    IdToken: byKey(parts.idTokens, credentialKey),
    AccessToken: byKey(parts.accessTokens, credentialKey),
    RefreshToken: byKey(parts.refreshTokens, credentialKey),
  };
}

/** What MSAL does when it saves an access token: `saving-differential.test.ts` holds this model to it. */
export function saveAccessToken(blob: CacheBlob, token: AccessTokenEntity): CacheBlob {
  const kept = Object.entries(blob.AccessToken).filter(
    ([, older]) =>
      older.home_account_id !== token.home_account_id ||
      older.client_id !== token.client_id ||
      older.realm.toLowerCase() !== token.realm.toLowerCase() ||
      canonicalEnvironment(older.environment) !== canonicalEnvironment(token.environment) ||
      !displaces(token.target, older.target),
  );
  return { ...blob, AccessToken: { ...Object.fromEntries(kept), [credentialKey(token)]: token } };
}

export function deepFreeze<T>(value: T): T {
  if (typeof value !== "object" || value === null || Object.isFrozen(value)) return value;
  Object.freeze(value);
  for (const part of Object.values(value)) deepFreeze(part);
  return value;
}

export const arbitraryScope = fc.constantFrom(
  "user.read",
  "User.Read",
  "mail.read",
  "files.read",
  "api://x/.default",
  "openid",
  "profile",
  "email",
  "offline_access",
  "OpenID",
);

export const arbitraryTarget = fc
  .array(arbitraryScope, { minLength: 1, maxLength: 4 })
  .map((scopes) => scopes.join(" "));

const arbitrarySecret = (prefix: string): fc.Arbitrary<string> =>
  fc.integer({ min: 0, max: 1_000_000 }).map((serial) => `${prefix}-${serial}`);

const arbitraryHome = fc.constantFrom(HOME, `other.${TENANT}`);
const arbitraryRealm = fc.constantFrom(TENANT, TENANT, GUEST_TENANT, TENANT.toUpperCase());

export const arbitraryAccessToken: fc.Arbitrary<AccessTokenEntity> = fc
  .record(
    {
      home_account_id: arbitraryHome,
      realm: arbitraryRealm,
      target: arbitraryTarget,
      secret: arbitrarySecret("at"),
      expires_on: fc.integer({ min: NOW - 100, max: NOW + 900 }).map(String),
      cached_at: fc.integer({ min: NOW - 500, max: NOW + 20 }).map(String),
      x_custom: fc.constantFrom("one", "two"),
    },
    { requiredKeys: ["home_account_id", "realm", "target", "secret", "expires_on", "cached_at"] },
  )
  .map((fields) => accessToken(fields as Partial<AccessTokenEntity>));

export const arbitraryRefreshToken: fc.Arbitrary<RefreshTokenEntity> = fc
  .record(
    { home_account_id: arbitraryHome, secret: arbitrarySecret("rt"), family_id: fc.constant("1") },
    { requiredKeys: ["home_account_id", "secret"] },
  )
  .map((fields) => refreshToken(fields as Partial<RefreshTokenEntity>));

export const arbitraryIdToken: fc.Arbitrary<IdTokenEntity> = fc
  .record({ home_account_id: arbitraryHome, realm: arbitraryRealm, secret: arbitrarySecret("idt") })
  .map(idToken);

export const arbitraryAccount: fc.Arbitrary<AccountEntity> = fc
  .record(
    {
      home_account_id: arbitraryHome,
      username: fc.constantFrom("ada@example.com", "ada@new.example.com"),
      name: fc.constantFrom("Ada", "Ada L."),
      x_custom: fc.constantFrom("one", "two"),
      tenantProfiles: fc
        .uniqueArray(fc.constantFrom(TENANT, GUEST_TENANT, "cccc"), { maxLength: 3 })
        .chain((tenants) =>
          fc.tuple(
            ...tenants.map((tenantId) =>
              fc
                .constantFrom("x", "y")
                .map((name) => JSON.stringify({ tenantId, localAccountId: "uid", name })),
            ),
          ),
        ),
    },
    { requiredKeys: ["home_account_id", "username"] },
  )
  .map((fields) => account(fields as Partial<AccountEntity>));

const arbitraryForeignKey = fc
  .string({ maxLength: 8 })
  .filter(
    (key) =>
      ![
        "__proto__",
        "hasOwnProperty",
        "Account",
        "IdToken",
        "AccessToken",
        "RefreshToken",
        "AppMetadata",
      ].includes(key),
  );

/** JSON without the keys that a blob may not have, and without what JSON cannot hold twice alike (-0). */
const arbitraryJson = fc
  .jsonValue({ maxDepth: 2 })
  .filter((value) => !/__proto__|hasOwnProperty/.test(JSON.stringify(value)))
  .map((value): unknown => JSON.parse(JSON.stringify(value)));

const arbitraryForeign = fc.dictionary(arbitraryForeignKey, arbitraryJson, {
  maxKeys: 3,
  noNullPrototype: true,
});

/** Any valid blob, also such as MSAL never makes: with access tokens that collide. */
export const arbitraryBlob: fc.Arbitrary<CacheBlob> = fc
  .record({
    accounts: fc.array(arbitraryAccount, { maxLength: 2 }),
    idTokens: fc.array(arbitraryIdToken, { maxLength: 3 }),
    accessTokens: fc.array(arbitraryAccessToken, { maxLength: 6 }),
    refreshTokens: fc.array(arbitraryRefreshToken, { maxLength: 3 }),
    foreign: arbitraryForeign,
  })
  .map(({ foreign, ...parts }) => ({ ...foreign, ...blobOf(parts) }));
