/** Prefixes as ranges of a byte order: no wildcards to escape, no folding of case, and an index serves it. */

/**
 * The smallest text that sorts after every text beginning with `prefix`, in the order of code points, which is
 * that of UTF-8 bytes; `undefined` if there is none.
 */
export function endOfPrefix(prefix: string): string | undefined {
  const points = Array.from(prefix, (character) => character.codePointAt(0) ?? 0);
  for (let last = points.pop(); last !== undefined; last = points.pop()) {
    if (last === 0x10_ffff) continue;
    const next = last === 0xd7ff ? 0xe000 : last + 1;
    return String.fromCodePoint(...points, next);
  }
  return undefined;
}
