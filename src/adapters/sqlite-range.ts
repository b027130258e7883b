/** Pages of keys: from where to where. SQL text only. */
import { endOfPrefix } from "./shared/key-range.ts";

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
