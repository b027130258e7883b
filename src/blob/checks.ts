/** What a JSON value must be before anything else takes it for a cache blob: one look at each of its fields. */
import { TokenkeepError } from "../errors.ts";
import type { CacheBlob, SectionName } from "./entities.ts";
import { isJsonObject, type JsonObject } from "./json.ts";

/** What a known field must be. Only one that is required may not be `null` or missing. */
type FieldRule = "required" | "text" | "profiles" | "components";

interface SectionSchema {
  readonly required: readonly string[];
  readonly rules: ReadonlyMap<string, FieldRule>;
}

function schema(required: readonly string[], optional: Readonly<Record<string, FieldRule>>): SectionSchema {
  const rules = new Map(Object.entries(optional));
  for (const field of required) rules.set(field, "required");
  return { required, rules };
}

const CREDENTIAL = ["home_account_id", "environment", "credential_type", "client_id", "secret"];

const SCHEMA: Readonly<Record<SectionName, SectionSchema>> = Object.freeze({
  Account: schema(
    ["home_account_id", "environment", "realm", "local_account_id", "username", "authority_type"],
    {
      name: "text",
      client_info: "text",
      last_modification_time: "text",
      last_modification_app: "text",
      tenantProfiles: "profiles",
    },
  ),
  IdToken: schema([...CREDENTIAL, "realm"], {}),
  AccessToken: schema([...CREDENTIAL, "realm", "target", "cached_at", "expires_on"], {
    extended_expires_on: "text",
    refresh_on: "text",
    key_id: "text",
    token_type: "text",
    userAssertionHash: "text",
    resource: "text",
    additionalCacheKeyComponents: "components",
  }),
  RefreshToken: schema(CREDENTIAL, { family_id: "text", target: "text", realm: "text" }),
  AppMetadata: schema(["client_id", "environment"], { family_id: "text" }),
});

/** Lower-case credential types, and the only section that each belongs in. */
const HOMES: ReadonlyMap<string, SectionName> = new Map([
  ["idtoken", "IdToken"],
  ["accesstoken", "AccessToken"],
  ["accesstoken_with_authscheme", "AccessToken"],
  ["refreshtoken", "RefreshToken"],
]);

/** The five sections, in the order in which MSAL loads them. */
export const SECTIONS: readonly SectionName[] = Object.freeze(Object.keys(SCHEMA) as SectionName[]);

/** True for a field of that section that MSAL reads; all others are only carried along. */
export function isKnownField(section: SectionName, field: string): boolean {
  return SCHEMA[section].rules.has(field);
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
  for (const name of Object.keys(value)) {
    refuseHostileKey(name);
    // The five sections are looked into below, and field by field.
    if (!Object.hasOwn(SCHEMA, name)) refuseHostileKeys(value[name], 1);
  }
  let blob = value;
  for (const name of SECTIONS) {
    const section = checkedSection(name, value[name] ?? {});
    if (section !== value[name]) blob = { ...blob, [name]: section };
  }
  return blob as unknown as CacheBlob;
}

/** @param problem quotes nothing of the value */
export function invalid(problem: string): TokenkeepError {
  return new TokenkeepError("ERR_BLOB_INVALID", `not a cache blob: ${problem}`);
}

const MAX_DEPTH = 64;

/** MSAL assigns under these names and calls `hasOwnProperty` on the objects themselves. */
function refuseHostileKey(key: string): void {
  if (key === "__proto__" || key === "hasOwnProperty") throw invalid("a key is reserved");
}

/** No such key in what is nested anywhere in a value; `depth` is the value's own. */
function refuseHostileKeys(value: unknown, depth: number): void {
  if (typeof value !== "object" || value === null) return;
  if (depth > MAX_DEPTH) throw invalid("it is nested too deeply");
  for (const key of Object.keys(value)) {
    refuseHostileKey(key);
    refuseHostileKeys((value as JsonObject)[key], depth + 1);
  }
}

function checkedSection(name: SectionName, section: unknown): JsonObject {
  if (!isJsonObject(section)) throw invalid(`${name} is not an object`);
  let checked: Record<string, unknown> | undefined;
  for (const key of Object.keys(section)) {
    refuseHostileKey(key);
    const entity = checkedEntity(name, section[key]);
    if (entity !== section[key]) checked = { ...(checked ?? section), [key]: entity };
  }
  return checked ?? section;
}

function checkedEntity(section: SectionName, entity: unknown): JsonObject {
  if (!isJsonObject(entity)) throw invalid(`an entry of ${section} is not an object`);
  const { required, rules } = SCHEMA[section];
  let left = required.length;
  let hasNull = false;
  for (const field of Object.keys(entity)) {
    const value = entity[field];
    const rule = rules.get(field);
    if (rule === undefined) {
      refuseHostileKey(field);
      refuseHostileKeys(value, 3);
    } else if (rule === "required") {
      if (typeof value === "string") left -= 1;
    } else if (value === null) {
      hasNull = true;
    } else if (value !== undefined && !(rule === "text" ? typeof value === "string" : obeys(rule, value))) {
      throw invalid(`${field} of ${section} is malformed`);
    }
  }
  if (left > 0) {
    const missing = required.find((field) => typeof entity[field] !== "string");
    throw invalid(`${section} needs ${missing} as a string`);
  }
  checkMeaning(section, entity);
  return hasNull ? withoutNulls(entity, rules) : entity;
}

/** What MSAL would trip over although it is text. */
function checkMeaning(section: SectionName, entity: JsonObject): void {
  const type = entity["credential_type"];
  // MSAL goes by this field and not by the section, so a misfiled token would be found where we do not look.
  const home = typeof type === "string" ? HOMES.get(type.toLowerCase()) : undefined;
  if (home !== undefined && home !== section) throw invalid(`an entry of ${section} is of another kind`);
  if (section === "AccessToken" && (entity["target"] as string).trim() === "") {
    throw invalid("an access token has no scopes");
  }
  if (section === "RefreshToken" && !(entity["secret"] as string).isWellFormed()) {
    throw invalid("a refresh token is not one that can be sent");
  }
}

function obeys(rule: "profiles" | "components", value: unknown): boolean {
  if (rule === "profiles") return Array.isArray(value) && value.every(isProfileText);
  refuseHostileKeys(value, 3);
  return isJsonObject(value) && Object.values(value).every((part) => typeof part === "string");
}

function isProfileText(text: unknown): boolean {
  if (typeof text !== "string") return false;
  try {
    const profile: unknown = JSON.parse(text);
    refuseHostileKeys(profile, 0);
    return isJsonObject(profile);
  } catch {
    return false;
  }
}

function withoutNulls(entity: JsonObject, rules: ReadonlyMap<string, FieldRule>): JsonObject {
  return Object.fromEntries(
    Object.entries(entity).filter(([field, value]) => value !== null || !rules.has(field)),
  );
}
