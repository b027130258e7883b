/** One user's tokens as the MSAL libraries of other languages write them: the unified cache schema, each in its own way. */

/** What all of them write about. */
export interface Signed {
  readonly clientId: string;
  readonly homeAccountId: string;
  readonly tenantId: string;
  readonly objectId: string;
  readonly username: string;
  readonly accessToken: string;
  readonly refreshToken: string;
  readonly idToken: string;
  readonly scopes: readonly string[];
  /** Seconds since the Unix epoch. */
  readonly now: number;
}

const GLOBAL = "login.windows.net";
/** The name under which Python's and older libraries file what was asked of it. */
const ALIAS = "login.microsoftonline.com";

const times = ({ now }: Signed) => ({
  cached_at: String(now - 60),
  expires_on: String(now + 3_540),
  extended_expires_on: String(now + 3_540),
});

/** MSAL.NET: sections in its own order, `client_info` on credentials, a legacy copy of the extended expiry. */
export function dotnet(signed: Signed): object {
  const { clientId, homeAccountId, tenantId, scopes } = signed;
  const common = {
    home_account_id: homeAccountId,
    environment: GLOBAL,
    client_info: "e30",
    client_id: clientId,
  };
  const target = [...scopes].toSorted().join(" ");
  const key = (...parts: string[]): string => [homeAccountId, GLOBAL, ...parts].join("-").toLowerCase();
  return {
    AccessToken: {
      [key("accesstoken", clientId, tenantId, target)]: {
        ...common,
        ...times(signed),
        secret: signed.accessToken,
        credential_type: "AccessToken",
        realm: tenantId,
        target,
        ext_expires_on: times(signed).extended_expires_on,
      },
    },
    RefreshToken: {
      [key("refreshtoken", clientId, "", "")]: {
        ...common,
        secret: signed.refreshToken,
        credential_type: "RefreshToken",
      },
    },
    IdToken: {
      [key("idtoken", clientId, tenantId, "")]: {
        ...common,
        secret: signed.idToken,
        credential_type: "IdToken",
        realm: tenantId,
      },
    },
    Account: {
      // Not in lower case.
      [`${homeAccountId}-${GLOBAL}-${tenantId}`]: {
        home_account_id: homeAccountId,
        environment: GLOBAL,
        client_info: "e30",
        username: signed.username,
        name: "Ada Palmer",
        given_name: "Ada",
        local_account_id: signed.objectId,
        authority_type: "MSSTS",
        realm: tenantId,
        wam_account_ids: { [clientId]: "wam" },
      },
    },
    AppMetadata: {
      [`appmetadata-${GLOBAL}-${clientId}`]: { environment: GLOBAL, client_id: clientId },
    },
    "cache-extension": { kept: true },
  };
}

/** MSAL Python: filed under the host that was asked, scopes on the refresh token, times of modification. */
export function python(signed: Signed): object {
  const { clientId, homeAccountId, tenantId, scopes } = signed;
  const common = { home_account_id: homeAccountId, environment: ALIAS, client_id: clientId };
  const target = [...scopes, "openid", "profile"].toSorted().join(" ");
  const key = (...parts: string[]): string => [homeAccountId, ALIAS, ...parts].join("-").toLowerCase();
  return {
    AccessToken: {
      [key("accesstoken", clientId, tenantId, target)]: {
        credential_type: "AccessToken",
        secret: signed.accessToken,
        ...common,
        target,
        realm: tenantId,
        token_type: "Bearer",
        ...times(signed),
      },
    },
    Account: {
      [key(tenantId)]: {
        home_account_id: homeAccountId,
        environment: ALIAS,
        realm: tenantId,
        local_account_id: signed.objectId,
        username: signed.username,
        authority_type: "MSSTS",
        account_source: "authorization_code",
      },
    },
    IdToken: {
      [key("idtoken", clientId, tenantId, "")]: {
        credential_type: "IdToken",
        secret: signed.idToken,
        ...common,
        realm: tenantId,
      },
    },
    RefreshToken: {
      [key("refreshtoken", clientId, "", target)]: {
        credential_type: "RefreshToken",
        secret: signed.refreshToken,
        ...common,
        target,
        last_modification_time: String(signed.now - 60),
      },
    },
    AppMetadata: {
      [`appmetadata-${ALIAS}-${clientId}`]: { client_id: clientId, environment: ALIAS },
    },
  };
}

/** MSAL Java: plain, with nulls where it has nothing to say. */
export function java(signed: Signed): object {
  const { clientId, homeAccountId, tenantId, scopes } = signed;
  const common = { home_account_id: homeAccountId, environment: GLOBAL, client_id: clientId };
  const target = scopes.join(" ");
  const key = (...parts: string[]): string => [homeAccountId, GLOBAL, ...parts].join("-").toLowerCase();
  return {
    Account: {
      [key(tenantId)]: {
        home_account_id: homeAccountId,
        environment: GLOBAL,
        realm: tenantId,
        local_account_id: signed.objectId,
        username: signed.username,
        name: null,
        client_info: "e30",
        authority_type: "MSSTS",
      },
    },
    AccessToken: {
      [key("accesstoken", clientId, tenantId, target)]: {
        ...common,
        credential_type: "AccessToken",
        secret: signed.accessToken,
        realm: tenantId,
        target,
        ...times(signed),
        refresh_on: null,
        token_type: null,
      },
    },
    RefreshToken: {
      [key("refreshtoken", clientId, "", "")]: {
        ...common,
        credential_type: "RefreshToken",
        secret: signed.refreshToken,
        family_id: null,
      },
    },
    IdToken: {
      [key("idtoken", clientId, tenantId, "")]: {
        ...common,
        credential_type: "IdToken",
        secret: signed.idToken,
        realm: tenantId,
      },
    },
    AppMetadata: {},
  };
}
