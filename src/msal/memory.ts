/** What tokenkeep does to the memory of an MSAL client: through its public `TokenCache` only. */
import { blobFromObject, SECTIONS, serializeBlob, type CacheBlob } from "../blob/entities.ts";
import { canonicalHomeAccountId } from "../partitions/partition.ts";
import { TokenkeepError } from "../errors.ts";
import type { ISerializableTokenCache, TokenCache } from "@azure/msal-node";

/** MSAL keeps what it learned about authorities in the same store; it is nobody's token and may stay. */
const AUTHORITY_METADATA_PREFIX = "authority-metadata";

/**
 * Makes an MSAL client hold exactly `blob`. `deserialize` alone merges into what is there and never clears
 * (measured, msal-node 7.2.1), so everything else is taken out of its live key-value store first. MSAL gets
 * entities of its own: it changes the objects it is given. Synchronous, so that no other call sees half of it.
 */
export function replaceMemory(cache: ISerializableTokenCache, blob: CacheBlob): void {
  const store = (cache as TokenCache).getKVStore();
  for (const key of Object.keys(store)) {
    if (!key.startsWith(AUTHORITY_METADATA_PREFIX)) delete store[key];
  }
  cache.deserialize(serializeBlob(blob));
}

/** What an MSAL client holds now, unknown fields and sections of the loaded blob included. */
export function readMemory(cache: ISerializableTokenCache): CacheBlob {
  return blobOfMemory(cache.serialize());
}

/** What MSAL's JSON says. @throws `ERR_BLOB_INVALID`; the error quotes nothing of the text. */
export function blobOfMemory(text: string): CacheBlob {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    throw new TokenkeepError("ERR_BLOB_INVALID", "not a cache blob: it is not JSON");
  }
  return blobFromObject(normalised(value));
}

type Section = Record<string, Record<string, unknown>>;

/**
 * MSAL copies claims and fields as the provider sent them: a number where the schema has text must not make a
 * whole answer unstorable, and Entra ID's home account ids compare without case.
 */
function normalised(blob: unknown): unknown {
  if (typeof blob !== "object" || blob === null) return blob;
  for (const section of SECTIONS) {
    for (const entity of Object.values((blob as Record<string, Section | undefined>)[section] ?? {})) {
      if (typeof entity !== "object" || entity === null) continue;
      for (const [field, value] of Object.entries(entity)) {
        if (typeof value === "number" || typeof value === "boolean") entity[field] = `${value}`;
      }
      const { home_account_id: id } = entity;
      if (typeof id === "string") entity["home_account_id"] = canonicalHomeAccountId(id);
    }
  }
  return blob;
}
