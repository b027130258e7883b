/** Merging one section, entry by entry. See `merge.ts` for the rules as a whole. */
import {
  isKnownField,
  type AccountEntity,
  type AppMetadataEntity,
  type CacheBlob,
  type SectionName,
} from "./entities.ts";
import { isJsonObject, mergeJson, own, sameJson, type JsonObject } from "./json.ts";

/** One thing as it was, as I left it and as it is stored now. */
export interface Sides<T> {
  readonly base: T;
  readonly mine: T;
  readonly theirs: T;
}

type Section<E> = Readonly<Record<string, E>>;
type EntityOf<S extends SectionName> = CacheBlob[S][string];

/** True if one is missing or they differ in what MSAL reads of them. */
export function differs(
  section: SectionName,
  before: JsonObject | undefined,
  now: JsonObject | undefined,
): boolean {
  if (before === now) return false;
  if (before === undefined || now === undefined) return true;
  for (const field of Object.keys(before)) {
    if (!sameJson(before[field], own(now, field)) && isKnownField(section, field)) return true;
  }
  for (const field of Object.keys(now)) {
    if (now[field] === undefined || Object.hasOwn(before, field)) continue;
    if (isKnownField(section, field)) return true;
  }
  return false;
}

/**
 * True if `now` says something that `before` does not. An unknown field that is missing now is no change:
 * not every way through MSAL carries such fields along.
 */
function isChanged(section: SectionName, before: JsonObject | undefined, now: JsonObject): boolean {
  if (before === now) return false;
  if (differs(section, before, now)) return true;
  return Object.keys(now).some(
    (field) => now[field] !== undefined && !sameJson(now[field], own(before ?? {}, field)),
  );
}

/** The winner's known fields, with the unknown ones of both sides. */
export function withForeignFields<E extends JsonObject>(
  section: SectionName,
  winner: E,
  { base, mine, theirs }: Sides<JsonObject | undefined>,
): E {
  if (![winner, mine, theirs].some((entity) => entity && hasForeignFields(section, entity))) return winner;
  const merged: Record<string, unknown> = {};
  for (const [field, value] of Object.entries(winner)) {
    if (isKnownField(section, field)) merged[field] = value;
  }
  for (const field of new Set([...Object.keys(theirs ?? {}), ...Object.keys(mine ?? {})])) {
    if (isKnownField(section, field)) continue;
    const value = mergeJson(own(base ?? {}, field), own(mine ?? {}, field), own(theirs ?? {}, field));
    if (value !== undefined) merged[field] = value;
  }
  return merged as E;
}

function hasForeignFields(section: SectionName, entity: JsonObject): boolean {
  return Object.keys(entity).some((field) => !isKnownField(section, field));
}

/** Id and refresh tokens: where both sides changed one key, `mineWins` decides whose secret stays. */
export function mergeCredentials<S extends "IdToken" | "RefreshToken">(
  section: S,
  sides: Sides<CacheBlob[S]>,
  mineWins: (mine: EntityOf<S>, theirs: EntityOf<S>) => boolean,
): CacheBlob[S] {
  return mergeChanged<EntityOf<S>>(section, sides as Sides<Section<EntityOf<S>>>, (entry) => {
    const { base, mine, theirs } = entry;
    const isTheirs =
      theirs !== undefined &&
      differs(section, base, theirs) &&
      (!differs(section, base, mine) || !mineWins(mine, theirs));
    return withForeignFields(section, isTheirs ? theirs : mine, entry);
  }) as CacheBlob[S];
}

/** Accounts: field by field, mine over theirs; tenant profiles are united by tenant. */
export function mergeAccounts(sides: Sides<CacheBlob["Account"]>): CacheBlob["Account"] {
  return mergeChanged<AccountEntity>("Account", sides, (entry) => {
    const merged = mergeJson(entry.base, entry.mine, entry.theirs) as AccountEntity;
    const profiles = mergeProfiles(
      entry.base?.tenantProfiles ?? [],
      entry.mine.tenantProfiles ?? [],
      entry.theirs?.tenantProfiles ?? [],
    );
    return profiles.length === 0 ? merged : { ...merged, tenantProfiles: profiles };
  });
}

/** App metadata: field by field, mine over theirs. */
export function mergeAppMetadata(sides: Sides<CacheBlob["AppMetadata"]>): CacheBlob["AppMetadata"] {
  return mergeChanged<AppMetadataEntity>(
    "AppMetadata",
    sides,
    ({ base, mine, theirs }) => mergeJson(base, mine, theirs) as AppMetadataEntity,
  );
}

interface Entry<E> {
  readonly base: E | undefined;
  readonly mine: E;
  readonly theirs: E | undefined;
}

function mergeChanged<E extends JsonObject>(
  section: SectionName,
  { base, mine, theirs }: Sides<Section<E>>,
  merge: (entry: Entry<E>) => E,
): Section<E> {
  const result: Record<string, E> = { ...theirs };
  for (const [key, entity] of Object.entries(mine)) {
    const before = own(base, key);
    const stored = own(theirs, key);
    // Unknown fields alone do not bring back what the other side removed.
    const isNews =
      stored === undefined ? differs(section, before, entity) : isChanged(section, before, entity);
    if (isNews) result[key] = merge({ base: before, mine: entity, theirs: stored });
  }
  return result;
}

function mergeProfiles(
  base: readonly string[],
  mine: readonly string[],
  theirs: readonly string[],
): string[] {
  const [before, merged] = [byTenant(base), byTenant(theirs)];
  for (const [tenant, profile] of byTenant(mine)) {
    const isNews = !sameJson(parsed(profile), parsed(before.get(tenant)));
    if (isNews || !merged.has(tenant)) merged.set(tenant, profile);
  }
  return [...merged.values()];
}

function byTenant(profiles: readonly string[]): Map<string, string> {
  return new Map(profiles.map((profile) => [tenantOf(parsed(profile)), profile]));
}

function tenantOf(profile: unknown): string {
  return isJsonObject(profile) ? String(profile["tenantId"]) : "";
}

function parsed(profile: string | undefined): unknown {
  return profile === undefined ? undefined : JSON.parse(profile);
}
