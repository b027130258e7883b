/** Small helpers for values that came out of JSON. Nothing here changes what it is given. */

/** A JSON object whose fields are not known. */
export type JsonObject = Readonly<Record<string, unknown>>;

/** True for an object that is neither `null` nor an array. */
export function isJsonObject(value: unknown): value is JsonObject {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** `record[key]`, but only if it is the record's own: "constructor" is a key like any other. */
export function own<T>(record: Readonly<Record<string, T>>, key: string): T | undefined {
  return Object.hasOwn(record, key) ? record[key] : undefined;
}

/** Equality of JSON values; a field that is `undefined` counts as absent, the order of fields does not count. */
export function sameJson(a: unknown, b: unknown): boolean {
  if (a === b) return true;
  if (Array.isArray(a) && Array.isArray(b)) {
    return a.length === b.length && a.every((item, index) => sameJson(item, b[index]));
  }
  if (!isJsonObject(a) || !isJsonObject(b)) return false;
  return (
    Object.keys(a).every((key) => sameJson(a[key], own(b, key))) &&
    Object.keys(b).every((key) => b[key] === undefined || own(a, key) !== undefined)
  );
}

/**
 * Three-way merge of one JSON value: what mine changed against base wins, all else is theirs. Objects are
 * merged field by field. A field that is missing in mine is not a removal.
 */
export function mergeJson(base: unknown, mine: unknown, theirs: unknown): unknown {
  if (mine === undefined || sameJson(mine, base)) return theirs;
  if (!isJsonObject(mine) || !isJsonObject(theirs)) return mine;
  const merged: Record<string, unknown> = { ...theirs };
  const before = isJsonObject(base) ? base : {};
  for (const key of Object.keys(mine)) {
    const value = mergeJson(own(before, key), mine[key], own(theirs, key));
    if (value !== undefined) merged[key] = value;
  }
  return merged;
}
