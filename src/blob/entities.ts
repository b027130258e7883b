/**
 * The unified cache schema as MSAL Node 7.2 serialises it, and its way in and out of JSON.
 *
 * Field names are the schema's own. Fields and sections that this version does not know are kept as they
 * are. Blobs are values: no function in this folder changes one, and none should be changed elsewhere.
 */
import { blobFromObject, invalid } from "./checks.ts";

export { blobFromObject, isKnownField, SECTIONS } from "./checks.ts";

interface Entity {
  readonly environment: string;
  readonly [field: string]: unknown;
}

/** One signed-in account; `tenantProfiles` holds JSON text, one per tenant (MSAL's `TenantProfile`). */
export interface AccountEntity extends Entity {
  readonly home_account_id: string;
  readonly realm: string;
  readonly local_account_id: string;
  readonly username: string;
  readonly authority_type: string;
  readonly name?: string;
  readonly client_info?: string;
  readonly last_modification_time?: string;
  readonly last_modification_app?: string;
  readonly tenantProfiles?: readonly string[];
}

/** What id, access and refresh tokens have in common. */
export interface CredentialEntity extends Entity {
  /** Empty for an application's own tokens (client credentials). */
  readonly home_account_id: string;
  readonly credential_type: string;
  readonly client_id: string;
  readonly secret: string;
  readonly realm?: string;
  readonly target?: string;
}

export interface IdTokenEntity extends CredentialEntity {
  readonly realm: string;
}

/** Times are decimal text: seconds since the Unix epoch. */
export interface AccessTokenEntity extends CredentialEntity {
  readonly realm: string;
  /** The granted scopes, separated by spaces. Never blank. */
  readonly target: string;
  readonly cached_at: string;
  readonly expires_on: string;
  readonly extended_expires_on?: string;
  readonly refresh_on?: string;
  readonly key_id?: string;
  readonly token_type?: string;
  readonly userAssertionHash?: string;
  readonly resource?: string;
  readonly additionalCacheKeyComponents?: Readonly<Record<string, string>>;
}

export interface RefreshTokenEntity extends CredentialEntity {
  readonly family_id?: string;
}

export interface AppMetadataEntity extends Entity {
  readonly client_id: string;
  readonly family_id?: string;
}

/** Everything MSAL keeps for one partition. Root sections that are not MSAL's are kept untouched. */
export interface CacheBlob {
  readonly Account: Readonly<Record<string, AccountEntity>>;
  readonly IdToken: Readonly<Record<string, IdTokenEntity>>;
  readonly AccessToken: Readonly<Record<string, AccessTokenEntity>>;
  readonly RefreshToken: Readonly<Record<string, RefreshTokenEntity>>;
  readonly AppMetadata: Readonly<Record<string, AppMetadataEntity>>;
  readonly [section: string]: unknown;
}

/** The five sections MSAL knows. */
export type SectionName = "Account" | "IdToken" | "AccessToken" | "RefreshToken" | "AppMetadata";

/** A blob with nothing in it. */
export function emptyBlob(): CacheBlob {
  return { Account: {}, IdToken: {}, AccessToken: {}, RefreshToken: {}, AppMetadata: {} };
}

/** True if there is no account and no token of any kind; AppMetadata and foreign sections do not count. */
export function isEmptyBlob(blob: CacheBlob): boolean {
  return [blob.Account, blob.IdToken, blob.AccessToken, blob.RefreshToken].every(
    (section) => Object.keys(section).length === 0,
  );
}

/**
 * Reads the JSON that MSAL serialises. Sections that are missing become empty.
 *
 * @throws TokenkeepError `ERR_BLOB_INVALID` for text that is not JSON (an empty string included) and for
 * whatever {@link blobFromObject} refuses. The error quotes nothing of the text.
 */
export function parseBlob(json: string): CacheBlob {
  let value: unknown;
  try {
    value = JSON.parse(json);
  } catch {
    // The parser's own message quotes its input, which holds tokens; so it is not kept as the cause.
    throw invalid("it is not JSON");
  }
  return blobFromObject(value);
}

/** The JSON text of a blob; {@link parseBlob} gives the same blob back. */
export function serializeBlob(blob: CacheBlob): string {
  return JSON.stringify(blob);
}
