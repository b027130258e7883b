/** `npm run check`: every check there is, each under a heading, and all of them even if one fails. */
import { run } from "./lib/run.ts";
import { ROOT } from "./lib/tree.ts";

interface Check {
  readonly promise: string;
  readonly script: string;
  readonly words?: readonly string[];
}

/** Quick ones first; the last two use what `build` made. */
const CHECKS: readonly Check[] = [
  { promise: "Files are formatted", script: "format:check" },
  { promise: "Types fit", script: "types" },
  { promise: "Types fit in the benchmarks, with the peers' own", script: "types:bench" },
  { promise: "No lint, no floating promise, no clock or randomness but the runtime's", script: "lint" },
  { promise: "Imports point one way", script: "layers" },
  { promise: "No file, export or dependency is unused", script: "unused" },
  { promise: "No promise breaks in 300 simulated seeds", script: "sim", words: ["--seeds", "300"] },
  { promise: "The package builds", script: "build" },
  { promise: "Every entry is there and reaches what it may", script: "check:exports" },
  { promise: "A stranger can install and use the packed tarball", script: "check:pack" },
];

const startedAt = performance.now();
const failed: Check[] = [];

for (const check of CHECKS) {
  const checkStartedAt = performance.now();
  console.log(`\n── ${check.promise} (npm run ${check.script})`);
  const { code } = await run("npm", ["run", "--silent", check.script, "--", ...(check.words ?? [])], {
    cwd: ROOT,
  });
  if (code !== 0) failed.push(check);
  console.log(`   ${code === 0 ? "ok" : "FAILED"}, ${seconds(checkStartedAt)} s`);
}

console.log(
  `\n${CHECKS.length - failed.length} of ${CHECKS.length} checks hold, ${seconds(startedAt)} s in all`,
);
for (const { promise, script } of failed) console.error(`✗ ${promise}: npm run ${script}`);
process.exitCode = failed.length > 0 ? 1 : 0;

function seconds(since: number): string {
  return ((performance.now() - since) / 1000).toFixed(1);
}
