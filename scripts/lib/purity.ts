/** Time, timers, randomness and ids come from `src/runtime.ts` alone: what a file may not say elsewhere. */
import { importsOf } from "./imports.ts";
import { blank, lineAt } from "./source-text.ts";

export interface Impurity {
  readonly line: number;
  readonly found: string;
}

const RANDOM = "randomBytes|randomUUID|randomUUIDv7|randomInt|randomFill|randomFillSync|getRandomValues";
const TIMERS = "setTimeout|setInterval|setImmediate";

/** Members are forbidden on the global objects only: `runtime.randomBytes()` is the way to go. */
const FORBIDDEN: readonly RegExp[] = [
  /\bDate\s*\??\.\s*now\b/g,
  /\bnew\s+Date\b(?:\s*\(\s*\)|(?!\s*\())/g,
  /(?<![\w$.]|new\s)\bDate\s*\(/g,
  /=\s*Date\s*[;,)\n]/g,
  /\bperformance\s*\??\.\s*(?:now|timeOrigin|mark|measure)\b/g,
  /\bprocess\s*\??\.\s*(?:hrtime|uptime)\b/g,
  /\bAbortSignal\s*\??\.\s*timeout\b/g,
  /\bMath\s*\??\.\s*random\b/g,
  new RegExp(`(?<![\\w$.])(?:${TIMERS}|${RANDOM})\\b(?!\\s*\\??:)`, "g"),
  new RegExp(
    `\\b(?:globalThis|window|global|timers|crypto|nodeCrypto|webcrypto)\\s*\\??\\.\\s*(?:${TIMERS}|${RANDOM})\\b`,
    "g",
  ),
];

const FORBIDDEN_MODULES = /^(?:node:)?(?:timers(?:\/promises)?|perf_hooks)$/;
const WHOLE_CRYPTO = /\bimport\s+(?:\*\s*as\s+)?[\w$]+\s*(?:,[^;"']*)?from\s*["'](?:node:)?crypto["']/g;

/** Every place in `source` that takes time, timers, randomness or ids by itself. Comments and strings may. */
export function findImpurities(source: string): Impurity[] {
  const code = blank(source, "comments and literals");
  const found = FORBIDDEN.flatMap((pattern) => [...code.matchAll(pattern)]).concat([
    // `c.randomBytes()` on a namespace of any name would slip through.
    ...blank(source, "comments").matchAll(WHOLE_CRYPTO),
  ]);
  const inText = found.map((match) => ({
    line: lineAt(source, match.index),
    found: match[0].replaceAll(/\s+/g, " ").trim(),
  }));
  const modules = importsOf(source)
    .filter(({ specifier }) => FORBIDDEN_MODULES.test(specifier))
    .map(({ line, specifier }) => ({ line, found: specifier }));
  return [...inText, ...modules].toSorted((a, b) => a.line - b.line);
}
