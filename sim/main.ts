/** `npm run sim`: runs seeds, prints the first violation with the shortest run that shows it. */
import { readArguments, USAGE } from "./arguments.ts";
import { BREAK_NAMES, installBreak } from "./breaks.ts";
import { installDeterminism } from "./determinism.ts";

/** 0: no violation; 1: one was found; 2: the run itself failed. */
async function main(): Promise<0 | 1 | 2> {
  const settings = readArguments(process.argv.slice(2));
  if (settings === "help") return (print(USAGE), 0);
  if (settings.breakName === "list") return (print(BREAK_NAMES.join("\n")), 0);
  // Both before anything of ours or of MSAL's is imported.
  const determinism = installDeterminism();
  const broken = settings.breakName === undefined ? undefined : installBreak(settings.breakName);
  const { runSeeds } = await import("./run-seeds.ts");
  const found = await runSeeds({ ...settings, determinism, broken: broken?.world ?? {} }, print);
  broken?.assertApplied();
  return found ? 1 : 0;
}

function print(text: string): void {
  process.stdout.write(`${text}\n`);
}

try {
  process.exitCode = await main();
} catch (error) {
  process.stderr.write(`${error instanceof Error ? (error.stack ?? error.message) : String(error)}\n`);
  process.exitCode = 2;
}
