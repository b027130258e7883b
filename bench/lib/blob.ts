/** Cache blobs as the real ones are: random secrets of the usual lengths, an id token that can be decoded. */
import { createHash } from "node:crypto";
import type { CacheBlob } from "../../src/blob/entities.ts";
import { accountKey, appMetadataKey, credentialKey } from "../../src/blob/keys.ts";

/** Whose blob, of which application, and where. */
export interface BlobOptions {
  readonly uid: string;
  readonly tenantId: string;
  readonly clientId: string;
  readonly environment: string;
  readonly accessTokens: number;
  /** Characters of one access token. Default 2,048. */
  readonly accessTokenLength?: number;
  /** Characters of the refresh token. Default 1,200. */
  readonly refreshTokenLength?: number;
  /** Claims beyond those that every id token has. Default: the usual dozen. */
  readonly isSmall?: boolean;
  /** How long the access tokens live. Default a day: no benchmark sees one expire. */
  readonly lifetimeSeconds?: number;
}

const DAY_SECONDS = 86_400;

/** Whose tokens, and of which application. */
export type Owner = Pick<BlobOptions, "uid" | "tenantId" | "clientId">;

/** What a provider answers to a refresh: new tokens of the usual lengths. The refresh token begins with the `uid`. */
export function tokenAnswer(owner: Owner, scopes: readonly string[], expiresInSeconds: number): object {
  const { uid, tenantId } = owner;
  const seed = `${uid} ${performance.now()}`;
  return {
    token_type: "Bearer",
    scope: scopes.join(" "),
    expires_in: expiresInSeconds,
    ext_expires_in: expiresInSeconds,
    access_token: secretOf(`${seed} access`, 2_048),
    refresh_token: `${uid}${secretOf(`${seed} refresh`, 1_164)}`,
    id_token: idTokenOf(owner, Math.floor(Date.now() / 1_000)),
    client_info: base64url({ uid, utid: tenantId }),
  };
}

/** The scope that the `index`th access token of a blob is for. */
export function scopeOf(index: number): string {
  return `api://api-${index}/read`;
}

export function homeAccountIdOf({ uid, tenantId }: Pick<BlobOptions, "uid" | "tenantId">): string {
  return `${uid}.${tenantId}`;
}

/** A GUID that is a function of a number. */
export function uidOf(index: number): string {
  return `00000000-0000-4000-8000-${index.toString(16).padStart(12, "0")}`;
}

export function createBlob(options: BlobOptions): CacheBlob {
  const { uid, tenantId, clientId, environment } = options;
  const home_account_id = homeAccountIdOf(options);
  const now = Math.floor(Date.now() / 1_000);
  const owner = { home_account_id, environment, client_id: clientId };
  const account = {
    home_account_id,
    environment,
    realm: tenantId,
    local_account_id: uid,
    username: `user-${uid}@contoso.example`,
    authority_type: "MSSTS",
    name: `User ${uid}`,
    client_info: base64url({ uid, utid: tenantId }),
    tenantProfiles: [JSON.stringify({ tenantId, localAccountId: uid, username: "", isHomeTenant: true })],
  };
  const idToken = {
    ...owner,
    credential_type: "IdToken",
    realm: tenantId,
    secret: idTokenOf(options, now),
  };
  const refreshToken = {
    ...owner,
    credential_type: "RefreshToken",
    secret: `${uid}${secretOf(`${uid} refresh`, (options.refreshTokenLength ?? 1_200) - uid.length)}`,
  };
  const accessTokens = Array.from({ length: options.accessTokens }, (_, index) => ({
    ...owner,
    credential_type: "AccessToken",
    realm: tenantId,
    target: scopeOf(index),
    cached_at: String(now - 60),
    expires_on: String(now + (options.lifetimeSeconds ?? DAY_SECONDS)),
    extended_expires_on: String(now + (options.lifetimeSeconds ?? DAY_SECONDS) * 2),
    token_type: "Bearer",
    secret: secretOf(`${uid} access ${index}`, options.accessTokenLength ?? 2_048),
  }));
  const metadata = { client_id: clientId, environment };
  return {
    Account: { [accountKey(account)]: account },
    IdToken: { [credentialKey(idToken)]: idToken },
    AccessToken: Object.fromEntries(accessTokens.map((token) => [credentialKey(token), token])),
    RefreshToken: { [credentialKey(refreshToken)]: refreshToken },
    AppMetadata: { [appMetadataKey(metadata)]: metadata },
  };
}

function idTokenOf(
  { uid, tenantId, clientId, isSmall }: Owner & Pick<BlobOptions, "isSmall">,
  now: number,
): string {
  const claims = {
    aud: clientId,
    iss: `https://login.local.test/${tenantId}/v2.0`,
    iat: now,
    nbf: now,
    exp: now + DAY_SECONDS,
    oid: uid,
    sub: secretOf(`${uid} subject`, 43),
    tid: tenantId,
    name: `User ${uid}`,
    preferred_username: `user-${uid}@contoso.example`,
    ver: "2.0",
    ...(!isSmall && {
      aio: secretOf(`${uid} aio`, 180),
      rh: secretOf(`${uid} rh`, 60),
      uti: secretOf(`${uid} uti`, 22),
      sid: secretOf(`${uid} sid`, 36),
      roles: ["Notes.Read", "Notes.Write", "Tasks.Read"],
    }),
  };
  const signature = secretOf(`${uid} signature`, isSmall ? 86 : 342);
  return `${base64url({ typ: "JWT", alg: "RS256", kid: "bench" })}.${base64url(claims)}.${signature}`;
}

/** Characters that say nothing, as many as wanted: base64url of a chain of hashes. */
function secretOf(seed: string, length: number): string {
  let text = "";
  for (let part = 0; text.length < length; part += 1) {
    text += createHash("sha512").update(`${seed} ${part}`).digest("base64url");
  }
  return text.slice(0, length);
}

function base64url(value: unknown): string {
  return Buffer.from(JSON.stringify(value)).toString("base64url");
}
