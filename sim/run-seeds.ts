/** Seed after seed until one breaks a promise; then the shortest run of that seed that still does. */
import type { Settings } from "./arguments.ts";
import type { FaultKind } from "./profile.ts";
import { simulate, type RunOptions, type RunResult } from "./simulation.ts";

interface RunSeedsOptions extends Settings, Pick<RunOptions, "determinism" | "broken"> {}

const LINES_BEFORE = 60;

/** @returns true if a violation was found. */
export async function runSeeds(options: RunSeedsOptions, print: (text: string) => void): Promise<boolean> {
  const startedAt = performance.now();
  const faults = new Map<FaultKind, number>();
  let [seeds, steps, operations] = [0, 0, 0];
  let violations = 0;
  for (let seed = options.firstSeed; seed < options.firstSeed + options.seeds; seed++) {
    const result = await simulate({ ...options, seed });
    seeds += 1;
    steps += result.steps;
    operations += result.operations;
    for (const [kind, times] of result.faults) faults.set(kind, (faults.get(kind) ?? 0) + times);
    if (options.history) print(result.history.join("\n"));
    if (!result.violation) continue;
    violations += 1;
    report(await shrink(options, result), options, print);
    break;
  }
  const injected = [...faults].map(([kind, times]) => `${kind} ${times}`).join(", ");
  const seconds = ((performance.now() - startedAt) / 1000).toFixed(1);
  print(
    `sim: ${seeds} seeds, ${steps} steps, ${operations} operations, faults: ${injected || "none"}; ` +
      `${violations} violations; ${seconds} s`,
  );
  return violations > 0;
}

/** A run with a violation, and after how many steps its healing began: it may show only then. */
interface Found extends RunResult {
  readonly until: number;
}

/** What happens in a shorter run is a prefix of the longer one, up to where healing begins. */
async function shrink(options: RunSeedsOptions, found: RunResult): Promise<Found> {
  let best: Found = { ...found, until: options.steps };
  let high = Math.min(options.steps, (found.violation as { step: number }).step);
  let low = 0;
  while (low < high) {
    const steps = Math.floor((low + high) / 2);
    const result = await simulate({ ...options, seed: found.seed, steps });
    if (result.violation) {
      best = { ...result, until: steps };
      high = Math.min(steps, result.violation.step);
    } else {
      low = steps + 1;
    }
  }
  return best;
}

function report(result: Found, options: RunSeedsOptions, print: (text: string) => void): void {
  const violation = result.violation as NonNullable<RunResult["violation"]>;
  const from = Math.max(0, violation.line - LINES_BEFORE);
  print(result.profile);
  if (from > 1) print(`  … ${from} lines …`);
  print(result.history.slice(Math.max(1, from), violation.line + 2).join("\n"));
  const again = options.breakName === undefined ? "" : ` --break ${JSON.stringify(options.breakName)}`;
  print(
    `violation of "${violation.rule}" in seed ${result.seed} at step ${violation.step}: ${violation.text}`,
  );
  print(`again: npm run sim -- --seeds 1 --seed ${result.seed} --steps ${result.until}${again}`);
}
