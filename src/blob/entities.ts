/**
 * The unified cache schema as MSAL Node 7.2 serialises it, and its way in and out of JSON.
 *
 * Field names are the schema's own. Fields and sections that this version does not know are kept as they
 * are. Blobs are values: no function in this folder changes one, and none should be changed elsewhere.
 */
import { TokenkeepError } from "../errors.ts";
import { isJsonObject, type JsonObject } from "./json.ts";

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

interface SectionSchema {
  readonly required: readonly string[];
  readonly optional: readonly string[];
  /** Lower-case credential types that belong here and nowhere else. */
  readonly credentialTypes: readonly string[];
}

const CREDENTIAL = ["home_account_id", "environment", "credential_type", "client_id", "secret"];

const SCHEMA: Readonly<Record<SectionName, SectionSchema>> = Object.freeze({
  Account: {
    required: ["home_account_id", "environment", "realm", "local_account_id", "username", "authority_type"],
    optional: ["name", "client_info", "last_modification_time", "last_modification_app", "tenantProfiles"],
    credentialTypes: [],
  },
  IdToken: { required: [...CREDENTIAL, "realm"], optional: [], credentialTypes: ["idtoken"] },
  AccessToken: {
    required: [...CREDENTIAL, "realm", "target", "cached_at", "expires_on"],
    optional: [
      "extended_expires_on",
      "refresh_on",
      "key_id",
      "token_type",
      "userAssertionHash",
      "resource",
      "additionalCacheKeyComponents",
    ],
    credentialTypes: ["accesstoken", "accesstoken_with_authscheme"],
  },
  RefreshToken: {
    required: CREDENTIAL,
    optional: ["family_id", "target", "realm"],
    credentialTypes: ["refreshtoken"],
  },
  AppMetadata: { required: ["client_id", "environment"], optional: ["family_id"], credentialTypes: [] },
});

/** The five sections, in the order in which MSAL loads them. */
export const SECTIONS: readonly SectionName[] = Object.freeze(Object.keys(SCHEMA) as SectionName[]);

/** True for a field of that section that MSAL reads; all others are only carried along. */
export function isKnownField(section: SectionName, field: string): boolean {
  return SCHEMA[section].required.includes(field) || SCHEMA[section].optional.includes(field);
}

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

/**
 * Checks that a JSON value is a cache blob that MSAL can load, search and save to. A known optional field
 * that is `null` is left out; nothing else is changed or dropped.
 *
 * @throws TokenkeepError `ERR_BLOB_INVALID` for what MSAL Node 7.2 would fail on, then or later: a section
 * or entity that is not an object, a required field that is not a string, an access token without scopes, a
 * refresh token with half a surrogate pair, tenant profiles that are not JSON objects, a token filed under
 * another kind, and the keys `__proto__` and `hasOwnProperty` anywhere.
 */
export function blobFromObject(value: unknown): CacheBlob {
  if (!isJsonObject(value)) throw invalid("it is not an object");
  refuseHostileKeys(value);
  const sections: Partial<Record<SectionName, JsonObject>> = {};
  for (const name of SECTIONS) sections[name] = checkedSection(name, value[name] ?? {});
  return { ...value, ...sections } as unknown as CacheBlob;
}

/** The JSON text of a blob; {@link parseBlob} gives the same blob back. */
export function serializeBlob(blob: CacheBlob): string {
  return JSON.stringify(blob);
}

function invalid(problem: string): TokenkeepError {
  return new TokenkeepError("ERR_BLOB_INVALID", `not a cache blob: ${problem}`);
}

const MAX_DEPTH = 64;

function refuseHostileKeys(root: JsonObject): void {
  // A list instead of recursion: the input may be nested deeper than the stack.
  const pending: { value: object; depth: number }[] = [{ value: root, depth: 0 }];
  for (let next = pending.pop(); next !== undefined; next = pending.pop()) {
    if (next.depth > MAX_DEPTH) throw invalid("it is nested too deeply");
    for (const [key, value] of Object.entries(next.value)) {
      // MSAL assigns under these names and calls `hasOwnProperty` on the objects themselves.
      if (key === "__proto__" || key === "hasOwnProperty") throw invalid("a key is reserved");
      if (typeof value === "object" && value !== null) pending.push({ value, depth: next.depth + 1 });
    }
  }
}

function checkedSection(name: SectionName, section: unknown): JsonObject {
  if (!isJsonObject(section)) throw invalid(`${name} is not an object`);
  let checked: Record<string, unknown> | undefined;
  for (const key of Object.keys(section)) {
    const entity = checkedEntity(name, section[key]);
    if (entity !== section[key]) checked = { ...(checked ?? section), [key]: entity };
  }
  return checked ?? section;
}

function checkedEntity(section: SectionName, entity: unknown): JsonObject {
  if (!isJsonObject(entity)) throw invalid(`an entry of ${section} is not an object`);
  const schema = SCHEMA[section];
  for (const field of schema.required) {
    if (typeof entity[field] !== "string") throw invalid(`${section} needs ${field} as a string`);
  }
  checkCredentialType(section, entity);
  if (section === "AccessToken" && String(entity["target"]).trim() === "") {
    throw invalid("an access token has no scopes");
  }
  if (section === "RefreshToken" && !String(entity["secret"]).isWellFormed()) {
    throw invalid("a refresh token is not one that can be sent");
  }
  const nulls = schema.optional.filter((field) => entity[field] === null);
  for (const field of schema.optional) checkOptional(section, field, entity[field] ?? undefined);
  if (nulls.length === 0) return entity;
  return Object.fromEntries(Object.entries(entity).filter(([field]) => !nulls.includes(field)));
}

function checkCredentialType(section: SectionName, entity: JsonObject): void {
  const type = entity["credential_type"];
  if (typeof type !== "string") return;
  // MSAL goes by this field and not by the section, so a misfiled token would be found where we do not look.
  const home = SECTIONS.find((name) => SCHEMA[name].credentialTypes.includes(type.toLowerCase()));
  if (home !== undefined && home !== section) throw invalid(`an entry of ${section} is of another kind`);
}

function checkOptional(section: SectionName, field: string, value: unknown): void {
  if (value === undefined) return;
  if (field === "tenantProfiles") {
    if (!Array.isArray(value) || !value.every(isProfileText)) throw invalid("tenantProfiles is malformed");
  } else if (field === "additionalCacheKeyComponents") {
    if (!isJsonObject(value) || !Object.values(value).every((part) => typeof part === "string")) {
      throw invalid("additionalCacheKeyComponents is malformed");
    }
  } else if (typeof value !== "string") {
    throw invalid(`${section} needs ${field} as a string`);
  }
}

function isProfileText(text: unknown): boolean {
  if (typeof text !== "string") return false;
  try {
    const profile: unknown = JSON.parse(text);
    if (!isJsonObject(profile)) return false;
    refuseHostileKeys(profile);
    return true;
  } catch {
    return false;
  }
}
