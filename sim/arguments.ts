export interface Settings {
  readonly seeds: number;
  readonly firstSeed: number;
  readonly steps: number;
  readonly breakName: string | undefined;
  /** Prints the whole history of each seed. */
  readonly history: boolean;
}

/** So that 300 seeds and all breaks fit in five minutes of two cores. */
const DEFAULT_STEPS = 1_000;

export const USAGE = `npm run sim -- --seeds N [--seed S] [--steps M] [--break NAME|list] [--history]
  runs seeds S (default 1) to S+N-1, M steps each (default ${DEFAULT_STEPS}); a step is one scheduler event
  --break NAME   switches one mechanism off: a violation must be found
  --history      prints what happened
exit status: 0 no violation, 1 a violation was found, 2 the run itself failed`;

/** @throws {TypeError} for anything that is not an option. */
export function readArguments(words: readonly string[]): Settings | "help" {
  const values = new Map<string, string>();
  for (let index = 0; index < words.length; index++) {
    const word = words[index] as string;
    if (word === "--help") return "help";
    if (word === "--history") {
      values.set(word, "yes");
      continue;
    }
    const value = words[(index += 1)];
    if (!["--seeds", "--seed", "--steps", "--break"].includes(word) || value === undefined) {
      throw new TypeError(`not understood: ${word}\n${USAGE}`);
    }
    values.set(word, value);
  }
  return {
    seeds: count(values, "--seeds", 1),
    firstSeed: count(values, "--seed", 1),
    steps: count(values, "--steps", DEFAULT_STEPS),
    breakName: values.get("--break"),
    history: values.has("--history"),
  };
}

function count(values: ReadonlyMap<string, string>, name: string, fallback: number): number {
  const text = values.get(name);
  const value = text === undefined ? fallback : Number(text);
  if (!Number.isSafeInteger(value) || value < 0)
    throw new TypeError(`${name} must be a whole number, 0 or more`);
  return value;
}
