/**
 * Checks on what a caller passes in. Each throws an {@link OptionsError} that names the option and shows
 * nothing of its value, which may be a secret in the wrong place. `undefined` always means the default.
 */
import { OptionsError } from "./errors.ts";
import { systemRuntime, type Runtime } from "./runtime.ts";

/** The longest a timer of Node runs; one set for longer fires at once. */
export const MAX_TIMER_MS = 2_147_483_647;

/** What somebody may have meant for an option; longer than any of ours, shorter than any token. */
const OPTION_NAME = /^[\w$-]{0,31}$/;

/** Options that must be an object, with no names but `known`: a misspelt one would be passed over in silence. */
export function checkOptionNames(
  options: unknown,
  known: ReadonlySet<string>,
  owner: string,
  path = "",
): void {
  checkObject(options, path || "options");
  const prefix = path && `${path}.`;
  for (const name of Object.keys(options)) {
    if (known.has(name)) continue;
    // Whoever spreads a secret into the options must not find it in the error.
    if (!OPTION_NAME.test(name)) throw new OptionsError(`${prefix}…`, `is not an option of ${owner}`);
    const meant = nearest(name, known);
    const hint = meant === undefined ? "" : `; did you mean \`${prefix}${meant}\`?`;
    throw new OptionsError(`${prefix}${name}`, `is not an option of ${owner}${hint}`);
  }
}

/**
 * Where MSAL's own names may be joined by others, now or later, only what is nearly one of them is refused: passed
 * over in silence it would leave a default in its place.
 */
export function checkSpelling(options: object, known: ReadonlySet<string>, path: string): void {
  for (const name of Object.keys(options)) {
    if (known.has(name) || !OPTION_NAME.test(name)) continue;
    const meant = [...known].find((other) => other.length > 7 && isMisspelt(name, other));
    if (meant === undefined) continue;
    throw new OptionsError(`${path}.${name}`, `is not an option of MSAL; did you mean \`${path}.${meant}\`?`);
  }
}

function isMisspelt(name: string, meant: string): boolean {
  return editDistance(name.toLowerCase(), meant.toLowerCase()) <= 2;
}

/** An array is none. */
export function checkObject(value: unknown, option: string): asserts value is object {
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    throw new OptionsError(option, "must be an object");
  }
}

/** Something that is known by its methods, as a store or a runtime is. `what` says where one comes from. */
export function checkMethods(value: unknown, option: string, methods: readonly string[], what: string): void {
  if (typeof value !== "object" || value === null) throw new OptionsError(option, `must be ${what}`);
  for (const method of methods) {
    if (typeof (value as Record<string, unknown>)[method] === "function") continue;
    throw new OptionsError(option, `must be ${what}; it has no method ${method}()`);
  }
}

export function checkText(value: unknown, option: string): void {
  if (value !== undefined && typeof value !== "string") throw new OptionsError(option, "must be a text");
}

/** A list of texts. A text alone would be taken apart into letters. */
export function checkTexts(value: unknown, option: string): void {
  if (value === undefined) return;
  if (Array.isArray(value) && value.every((text) => typeof text === "string")) return;
  throw new OptionsError(option, "must be an array of texts");
}

export function checkedFunction<F>(value: F | undefined, option: string): F | undefined {
  if (value === undefined || typeof value === "function") return value;
  throw new OptionsError(option, "must be a function");
}

export function checkedPositive(
  value: number | undefined,
  option: string,
  fallback: number,
  max = Number.MAX_VALUE,
): number {
  if (value === undefined) return fallback;
  if (typeof value === "number" && value > 0 && value <= max) return value;
  const upTo = max === Number.MAX_VALUE ? "" : `, at most ${max}`;
  throw new OptionsError(option, `must be a finite number greater than 0${upTo}`);
}

/** The first choice is the default. */
export function checkedChoice<T extends string | boolean>(
  value: T | undefined,
  option: string,
  choices: readonly [T, ...T[]],
): T {
  if (value === undefined) return choices[0];
  if (choices.includes(value)) return value;
  throw new OptionsError(option, `must be one of: ${choices.join(", ")}`);
}

export function checkedRuntime(runtime: Runtime | undefined): Runtime {
  if (runtime === undefined) return systemRuntime;
  checkMethods(runtime, "runtime", Object.keys(systemRuntime), "a runtime, e.g. systemRuntime");
  return runtime;
}

/** What somebody who wrote `name` probably meant. */
function nearest(name: string, known: ReadonlySet<string>): string | undefined {
  const wanted = name.toLowerCase();
  const distance = (candidate: string): number => {
    const other = candidate.toLowerCase();
    const isPart = wanted.length > 2 && (other.startsWith(wanted) || wanted.startsWith(other));
    return isPart ? 1 : editDistance(wanted, other);
  };
  const [best] = [...known].toSorted((a, b) => distance(a) - distance(b));
  return best !== undefined && distance(best) <= Math.min(2, name.length / 2) ? best : undefined;
}

/** How many letters must be added, dropped or changed (Levenshtein), row by row. */
function editDistance(from: string, to: string): number {
  let row = Array.from({ length: to.length + 1 }, (_, index) => index);
  for (let index = 0; index < from.length; index++) {
    const next = [index + 1];
    for (let at = 1; at <= to.length; at++) {
      const changed = row[at - 1]! + (from[index] === to[at - 1] ? 0 : 1);
      next.push(Math.min(changed, row[at]! + 1, next[at - 1]! + 1));
    }
    row = next;
  }
  return row[to.length]!;
}
