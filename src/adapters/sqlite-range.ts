/** Pages of keys: from where to where. SQL text only. */

/** A condition and the values of its placeholders. */
export type Condition = readonly [text: string, values: readonly string[]];

/**
 * The rows whose key begins with `prefix` and comes after `cursor`, as bounds that the key's index serves.
 *
 * A range instead of LIKE: no wildcards to escape, no folding of case. Only one lower bound where one will
 * do: given two, SQLite may seek by the first and then step over everything that was listed already.
 */
export function keyRange(column: string, prefix: string, cursor: string | undefined): readonly Condition[] {
  const conditions: Condition[] = [];
  if (cursor !== undefined) conditions.push([`${column} > ?`, [cursor]]);
  if (prefix === "") return conditions;
  if (cursor === undefined || !cursor.startsWith(prefix)) conditions.push([`${column} >= ?`, [prefix]]);
  const end = endOfPrefix(prefix);
  if (end !== undefined) conditions.push([`${column} < ?`, [end]]);
  return conditions;
}

/**
 * The smallest text that sorts after every text beginning with `prefix`, in SQLite's BINARY order (which is
 * the order of code points); `undefined` if there is none. A range instead of LIKE: no wildcards to escape,
 * no folding of case, and the primary key serves it.
 */
function endOfPrefix(prefix: string): string | undefined {
  const points = Array.from(prefix, (character) => character.codePointAt(0) ?? 0);
  for (let last = points.pop(); last !== undefined; last = points.pop()) {
    if (last === 0x10_ffff) continue;
    const next = last === 0xd7ff ? 0xe000 : last + 1;
    return String.fromCodePoint(...points, next);
  }
  return undefined;
}
