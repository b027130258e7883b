/** Random caches and random requests, with enough oddities for every rule and not so many that nothing matches. */
import fc from "fast-check";
import type { AccountInfo, ClientCredentialRequest } from "@azure/msal-node";
import type { SilentRequest } from "../../../src/client/confidential-client.ts";
import type {
  AccessTokenEntity,
  AccountEntity,
  AppMetadataEntity,
  CacheBlob,
  IdTokenEntity,
  RefreshTokenEntity,
} from "../../../src/blob/entities.ts";
import {
  CLIENT,
  ENVIRONMENT,
  GUEST_TENANT,
  NOW,
  TENANT,
  accessToken,
  account,
  blobOf,
  idToken,
  refreshToken,
} from "../../blob/fixtures.ts";
import { fakeIdToken } from "../../blob/msal.ts";
import { appMetadataKey } from "../../../src/blob/keys.ts";

/** Two users, as Entra ID names them; the second is a guest's home account as well. */
const ADA = `cccccccc-cccc-4ccc-8ccc-cccccccccccc.${TENANT}`;
const BEN = `dddddddd-dddd-4ddd-8ddd-dddddddddddd.${TENANT}`;
const OTHER_CLIENT = "22222222-2222-4222-8222-222222222222";
const ALIASES = ["login.microsoftonline.com", "sts.windows.net"];
const SOVEREIGN = "login.microsoftonline.us";

/** One call of an application; `afterSeconds` have passed since the one before. */
export type Ask = { readonly afterSeconds: number } & (
  | { readonly flow: "silent"; readonly request: SilentRequest }
  | { readonly flow: "app"; readonly request: ClientCredentialRequest }
);

/** What one process of an application has stored, and what it asks for. */
export interface Case {
  readonly blob: CacheBlob;
  /** The client's own authority. */
  readonly authority: string;
  readonly asks: readonly Ask[];
}

/** The first in twenty of twenty-one. */
const mostly = <T>(usual: T, ...odd: T[]): fc.Arbitrary<T> =>
  fc.oneof({ weight: 20, arbitrary: fc.constant(usual) }, { weight: 1, arbitrary: fc.constantFrom(...odd) });

/** The first in nine of ten: for what only counts where it meets its like. */
const often = <T>(usual: T, ...odd: T[]): fc.Arbitrary<T> =>
  fc.oneof({ weight: 9, arbitrary: fc.constant(usual) }, { weight: 1, arbitrary: fc.constantFrom(...odd) });

const compact = <T>(value: T): T => JSON.parse(JSON.stringify(value)) as T;

const SCOPES = ["user.read", "User.Read", "mail.read", "files.read", "api://x/.default"];
const OPENID = ["openid", "profile", "email", "offline_access", "OpenID"];
const oneScope = fc.oneof(
  { weight: 6, arbitrary: fc.constantFrom(...SCOPES) },
  { weight: 1, arbitrary: fc.constantFrom(...OPENID, " ", "user.read mail.read") },
);
const target = fc.oneof(
  { weight: 10, arbitrary: fc.constant("user.read mail.read") },
  // As Entra ID writes them: two such tokens answer a request for nothing else but "openid".
  { weight: 3, arbitrary: fc.constantFrom(...SCOPES).map((scope) => `${scope} openid profile email`) },
  {
    weight: 2,
    arbitrary: fc
      .array(fc.constantFrom(...SCOPES, ...OPENID), { minLength: 1, maxLength: 4 })
      .map((all) => all.join(" ")),
  },
);
const APP_SCOPE = "api://x/.default";

/** Around the moments at which an answer changes, as MSAL's whole seconds. */
const expiry = fc
  .oneof(
    { weight: 12, arbitrary: fc.constant(3600) },
    { weight: 2, arbitrary: fc.constantFrom(-1, 0, 1, 299, 300, 301, 302, 303, 600) },
  )
  .map((offset) => String(NOW + offset));

const claimsOf = fc.record(
  {
    name: fc.constant("Ada P."),
    preferred_username: fc.constant("ada@contoso.example"),
    upn: fc.constant("ada@upn.example"),
    login_hint: fc.constant("hint"),
    signin_state: fc.constantFrom(["kmsi"], ["dvc_mngd"]),
  },
  { requiredKeys: [] },
);

const ownerOf = (flow: Ask["flow"]): fc.Arbitrary<string> =>
  // A record of an application's that holds a user's entries is refused as soon as it would be saved.
  flow === "app" ? fc.constant("") : mostly(ADA, "", BEN, ADA.toUpperCase());

const tokenFields = fc.record({
  environment: mostly(ENVIRONMENT, ...ALIASES, SOVEREIGN, "login.example.com"),
  client_id: mostly(CLIENT, OTHER_CLIENT, CLIENT.toUpperCase()),
  realm: fc.oneof(
    { weight: 20, arbitrary: fc.constant(TENANT) },
    { weight: 4, arbitrary: fc.constantFrom(GUEST_TENANT, GUEST_TENANT, TENANT.toUpperCase(), "common") },
  ),
  target,
  expires_on: fc.oneof({ weight: 20, arbitrary: expiry }, { weight: 1, arbitrary: fc.constant("soon") }),
  extended_expires_on: mostly<string | undefined>(String(NOW + 7200), String(NOW + 3600), "0", undefined),
  cached_at: mostly(String(NOW - 60), String(NOW), String(NOW + 1), String(NOW + 900)),
  refresh_on: mostly<string | undefined>(undefined, ...[-1, 0, 1, 60].map((offset) => String(NOW + offset))),
  resource: mostly<string | undefined>(undefined, "r", "s"),
  token_type: mostly<string | undefined>("Bearer", "bearer", "pop", "DPoP", "mac", undefined),
  credential_type: mostly("AccessToken", "AccessToken_With_AuthScheme", "accesstoken"),
  key_id: mostly<string | undefined>(undefined, "kid"),
  userAssertionHash: mostly<string | undefined>(undefined, "hash"),
  // Written by MSAL before 5.0, and carried along since.
  requestedClaimsHash: mostly<string | undefined>(undefined, "old-hash"),
  additionalCacheKeyComponents: often<Record<string, string> | undefined>(
    undefined,
    {},
    { fmi_path: "a" },
    { client_claims: '{"a":1}' },
    ...Array.from({ length: 4 }, () => ({ attribute_tokens: "a" })),
  ),
});

const accessTokensOf = (flow: Ask["flow"]): fc.Arbitrary<AccessTokenEntity[]> =>
  fc
    .array(fc.tuple(ownerOf(flow), mostly(true, false), tokenFields), { minLength: 1, maxLength: 3 })
    .map((all) =>
      all.map(([owner, asUsual, fields], index) =>
        compact(
          accessToken({
            ...(fields as Partial<AccessTokenEntity>),
            home_account_id: owner,
            // An application asks for everything it may do; its tokens say so.
            ...(owner === "" && asUsual && { target: APP_SCOPE }),
            secret: `at-${index}`,
          }),
        ),
      ),
    );

const idTokens = fc
  .record({
    home: mostly(true, false),
    guest: mostly(true, false),
    twice: mostly(false, true),
    ben: fc.boolean(),
    claims: claimsOf,
    garbage: fc.oneof(
      { weight: 60, arbitrary: fc.constant("") },
      { weight: 1, arbitrary: fc.constantFrom("garbage", "a.b.c") },
    ),
  })
  .map(({ home, guest, twice, ben, claims, garbage }): IdTokenEntity[] => [
    ...(home ? [idToken({ home_account_id: ADA, secret: garbage || fakeIdToken(claims) })] : []),
    // Under another spelling of the cloud, or in another case of the tenant: MSAL finds both.
    ...(twice ? [idToken({ home_account_id: ADA, environment: ALIASES[0]!, secret: fakeIdToken() })] : []),
    ...(guest
      ? [
          idToken({
            home_account_id: ADA,
            realm: GUEST_TENANT,
            secret: fakeIdToken({ ...claims, tid: GUEST_TENANT, oid: "guest" }),
          }),
        ]
      : []),
    ...(ben ? [idToken({ home_account_id: BEN, secret: fakeIdToken({ oid: "ben" }) })] : []),
  ]);

const profile = (tenantId: string, isHomeTenant: boolean): string =>
  JSON.stringify({ tenantId, localAccountId: `oid-${tenantId.slice(0, 3)}`, username: "ada", isHomeTenant });

const accounts = fc
  .record({
    ada: mostly(true, false),
    ben: fc.boolean(),
    environment: mostly(ENVIRONMENT, ...ALIASES),
    name: fc.constantFrom<string | undefined>("Ada", undefined),
    profiles: fc.constantFrom<string[] | undefined>(
      undefined,
      [],
      [profile(TENANT, true)],
      [profile(TENANT, true), profile(GUEST_TENANT, false)],
    ),
  })
  .map(({ ada, ben, environment, name, profiles }): AccountEntity[] => [
    ...(ada
      ? [
          compact(
            account({
              home_account_id: ADA,
              environment,
              ...(name !== undefined && { name }),
              ...(profiles && { tenantProfiles: profiles }),
            }),
          ),
        ]
      : []),
    ...(ben ? [account({ home_account_id: BEN, username: "ben@example.com" })] : []),
  ]);

const refreshTokens = fc
  .record({ own: mostly(true, false), family: fc.boolean() })
  .map(({ own, family }): RefreshTokenEntity[] => [
    ...(own ? [refreshToken({ home_account_id: ADA })] : []),
    ...(family ? [refreshToken({ home_account_id: ADA, family_id: "1", secret: "frt" })] : []),
  ]);

const appMetadata = mostly<string | undefined>(undefined, "1", "").map((family): AppMetadataEntity[] =>
  family === undefined ? [] : [{ client_id: CLIENT, environment: ENVIRONMENT, family_id: family }],
);

const arbitraryBlob = (flow: Ask["flow"]): fc.Arbitrary<CacheBlob> =>
  fc
    .record({
      accessTokens: accessTokensOf(flow),
      idTokens,
      refreshTokens,
      accounts,
      appMetadata,
      oddKey: mostly(false, true),
    })
    .map(({ oddKey, appMetadata: apps, ...parts }) => {
      const blob = flow === "app" ? blobOf({ accessTokens: parts.accessTokens }) : blobOf(parts);
      const [first, ...rest] = Object.entries(blob.AccessToken);
      return {
        ...blob,
        // Also a key that does not mention what the entry says.
        AccessToken: Object.fromEntries([oddKey ? ["odd-key", first?.[1]] : first!, ...rest]),
        AppMetadata: Object.fromEntries(apps.map((app) => [appMetadataKey(app), app])),
      } as CacheBlob;
    });

const requestScopes = fc.oneof(
  { weight: 10, arbitrary: fc.constantFrom(["user.read"], ["mail.read"], ["MAIL.READ", "user.read"]) },
  { weight: 2, arbitrary: oneScope.map((scope) => [scope]) },
  { weight: 1, arbitrary: fc.constantFrom(["openid"], ["profile", "openid"], []) },
  { weight: 1, arbitrary: fc.array(oneScope, { maxLength: 4 }) },
);

const PUBLIC = "https://login.microsoftonline.com";
const authorityOfRequest = often<string | undefined>(
  undefined,
  `${PUBLIC}/${TENANT}`,
  `${PUBLIC}/${GUEST_TENANT}`,
  `${PUBLIC}/${GUEST_TENANT}`,
  `${PUBLIC}/${TENANT.toUpperCase()}/`,
  `${PUBLIC}/common`,
  `${PUBLIC}/organizations`,
  `${PUBLIC}/contoso.com`,
  "https://login.windows.net/common",
  `https://${SOVEREIGN}/${TENANT}`,
);
const CLAIMS = '{"access_token":{"xms_cc":{"values":["cp1"]}}}';
const claims = mostly<string | undefined>(undefined, "", "{}", "{ }", CLAIMS);
const correlationId = mostly<string | undefined>("00000000-0000-4000-8000-000000000001", undefined);

const requestAccount = fc
  .record({
    homeAccountId: mostly(ADA, BEN, ADA.toUpperCase()),
    environment: mostly(ENVIRONMENT, ...ALIASES, SOVEREIGN, ""),
    tenantId: often(TENANT, GUEST_TENANT, TENANT.toUpperCase(), ""),
    localAccountId: mostly("", "uid"),
    username: mostly("", "ada@example.com"),
  })
  .map((fields): AccountInfo => fields);

/** Combinations that would come about too seldom by themselves. */
const THEMES: readonly { readonly account?: object; readonly more?: Partial<SilentRequest> }[] = [
  { account: { tenantId: TENANT }, more: { authority: `${PUBLIC}/${GUEST_TENANT}` } },
  { account: { tenantId: TENANT }, more: { authority: `${PUBLIC}/${GUEST_TENANT}` } },
  { account: { tenantId: "" }, more: { authority: `${PUBLIC}/common` } },
  { more: { attributeTokens: ["a"] } },
  { more: { attributeTokens: ["a"] } },
];
const theme = fc.oneof(
  { weight: 7, arbitrary: fc.constant({}) },
  { weight: 1, arbitrary: fc.constantFrom(...THEMES) },
);

const drawnRequest = fc
  .record({
    account: requestAccount,
    scopes: requestScopes,
    authority: authorityOfRequest,
    claims,
    correlationId,
    forceRefresh: mostly<boolean | undefined>(undefined, false, true),
    resource: mostly<string | undefined>(undefined, "r", ""),
    attributeTokens: often<string[] | undefined>(undefined, [], ["a"]),
    redirectUri: mostly<string | undefined>(undefined, "https://app.example/redirect"),
    authenticationScheme: mostly<string | undefined>(undefined, "pop"),
    extraQueryParameters: mostly<Record<string, string> | undefined>(undefined, { dc: "1" }),
  })
  .map((fields) => compact(fields) as unknown as SilentRequest);

const silentRequest: fc.Arbitrary<SilentRequest> = fc
  .tuple(drawnRequest, theme)
  .map(([request, { account, more }]: [SilentRequest, (typeof THEMES)[number]]) => ({
    ...request,
    ...more,
    account: { ...request.account, ...account },
  }));

const appRequest: fc.Arbitrary<ClientCredentialRequest> = fc
  .record({
    scopes: fc.oneof(
      { weight: 8, arbitrary: fc.constant([APP_SCOPE]) },
      { weight: 1, arbitrary: fc.constantFrom(["user.read"], ["API://X/.default", "openid"], []) },
    ),
    authority: authorityOfRequest,
    claims,
    correlationId,
    skipCache: mostly<boolean | undefined>(undefined, false, true),
    resource: mostly<string | undefined>(undefined, "r"),
    fmiPath: mostly<string | undefined>(undefined, "", "a"),
    claimsFromClient: mostly<string | undefined>(undefined, "{}", '{"a":1}'),
    extraQueryParameters: mostly<Record<string, string> | undefined>(undefined, { dc: "1" }),
  })
  .map((fields) => compact(fields) as unknown as ClientCredentialRequest);

const afterSeconds = fc.constantFrom(0, 0, 1, 2);
const askOf = {
  silent: fc.record({ flow: fc.constant("silent" as const), request: silentRequest, afterSeconds }),
  app: fc.record({ flow: fc.constant("app" as const), request: appRequest, afterSeconds }),
};

/** The same question again is what memory is for, and another one of the same cache is what it must not mix up. */
const asksOf = (flow: Ask["flow"]): fc.Arbitrary<Ask[]> =>
  fc
    .tuple(
      askOf[flow] as fc.Arbitrary<Ask>,
      fc.constantFrom("alone", "alone", "again", "another"),
      askOf[flow] as fc.Arbitrary<Ask>,
      afterSeconds,
    )
    .map(([first, then, another, later]) => {
      if (then === "alone") return [first];
      return [first, then === "again" ? { ...first, afterSeconds: later } : another];
    });

export const arbitraryCase: fc.Arbitrary<Case> = fc
  .oneof(
    { weight: 3, arbitrary: fc.constant("silent" as const) },
    { weight: 1, arbitrary: fc.constant("app" as const) },
  )
  .chain((flow) =>
    fc.record({
      blob: arbitraryBlob(flow),
      authority: often(
        `${PUBLIC}/${TENANT}`,
        `${PUBLIC}/common`,
        `${PUBLIC}/${GUEST_TENANT}`,
        `https://${SOVEREIGN}/${TENANT}`,
      ),
      asks: asksOf(flow),
    }),
  );
