/**
 * `npm test`: says which real programs the tests need and which are here, brings missing ones if it may
 * (`CI=true` or `TOKENKEEP_APT=1`), and runs vitest with any further arguments. With `CI=true` nothing is
 * left out: a program that is still missing is a failure.
 */
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { findProgram, installCommand, installPrograms, PROGRAMS, type Program } from "./lib/programs.ts";
import { run } from "./lib/run.ts";
import { closingLine, countTests, skippedTitles, type VitestReport } from "./lib/test-report.ts";
import { ROOT } from "./lib/tree.ts";

const ci = process.env["CI"] === "true" || process.env["CI"] === "1";
const mayInstall = ci || process.env["TOKENKEEP_APT"] === "1";

const missing = await bringPrograms();
if (ci && missing.length > 0) {
  console.error("✗ with CI=true nothing is left out, and not everything is here");
  process.exitCode = 1;
} else process.exitCode = await runTests(process.argv.slice(2));

/** @returns what is not here, after trying to bring it if that is allowed */
async function bringPrograms(): Promise<readonly Program[]> {
  const absent = PROGRAMS.filter((program) => !findProgram(program));
  if (absent.length > 0 && mayInstall) {
    console.log(`bringing ${absent.map(({ name }) => name).join(", ")} by apt-get …`);
    await installPrograms(absent);
  }
  const missing = PROGRAMS.filter((program) => !findProgram(program));
  for (const program of PROGRAMS) {
    const file = findProgram(program);
    const named = process.env[program.variable];
    const absence = named ? `not at ${named}, which ${program.variable} names` : "not here";
    console.log(file ? `✓ ${program.name}: ${file}` : `✗ ${program.name} is ${absence}`);
  }
  if (missing.length > 0) {
    for (const { tests } of missing) console.log(`\n  LEFT OUT: ${tests}`);
    console.log(`  To bring what is missing:\n    ${installCommand(missing)}\n`);
  }
  return missing;
}

async function runTests(args: readonly string[]): Promise<number> {
  const folder = mkdtempSync(join(tmpdir(), "tokenkeep-test-"));
  const outputFile = join(folder, "report.json");
  const found = PROGRAMS.flatMap((program) => {
    const file = findProgram(program);
    return file ? [[program.variable, file] as const] : [];
  });
  const reporters = ["--reporter=default", "--reporter=json", `--outputFile.json=${outputFile}`];
  try {
    const { code } = await run("vitest", ["run", ...reporters, ...args], {
      cwd: ROOT,
      env: Object.fromEntries(found),
    });
    if (!existsSync(outputFile)) throw new Error(`vitest ended with ${code} and made no report`);
    const report = JSON.parse(readFileSync(outputFile, "utf8")) as VitestReport;
    return summarise(report, code, ci && args.length === 0);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

function summarise(report: VitestReport, code: number, everythingMustRun: boolean): number {
  const counts = countTests(report);
  for (const title of skippedTitles(report)) console.log(`skipped: ${title}`);
  const leftOut = everythingMustRun && counts.skipped > 0;
  if (leftOut) console.error("✗ with CI=true nothing is left out, and tests were skipped");
  if (code !== 0 && counts.failed === 0) console.error(`✗ no test failed, yet vitest ended with ${code}`);
  console.log(closingLine(counts));
  return code === 0 && leftOut ? 1 : code;
}
