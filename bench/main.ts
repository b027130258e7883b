/**
 * `npm run bench [-- NAME… --json FILE --markdown FILE --quick]`: tokenkeep and its peers side by side. Brings
 * the peers (`npm ci --prefix bench`) if they are not here, runs each benchmark in a process of its own, prints
 * tables, and says which goals are met.
 */
import { fork } from "node:child_process";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { ROOT } from "../scripts/lib/tree.ts";
import { BENCHES } from "./benches/index.ts";
import type { Outcome } from "./child.ts";
import type { Context } from "./lib/benchmark.ts";
import type { Result } from "./lib/compare.ts";
import { machineOf, versionsOf } from "./lib/machine.ts";
import { bringPeers } from "./lib/peers.ts";
import { goalsOf, tablesOf, writeReport, type Report } from "./lib/report.ts";

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    json: { type: "string" },
    markdown: { type: "string" },
    quick: { type: "boolean", default: false },
  },
});
const usual = Object.keys(BENCHES).filter((name) => !BENCHES[name]?.isOnlyIfAsked);
const names = positionals.length > 0 ? positionals : usual;
const unknown = names.filter((name) => !BENCHES[name]);

if (unknown.length > 0) {
  console.error(`there is no benchmark ${unknown.join(", ")}; there are ${Object.keys(BENCHES).join(", ")}`);
  process.exitCode = 1;
} else await main();

async function main(): Promise<void> {
  await bringPeers();
  const context: Context = {
    isQuick: values.quick,
    pace: values.quick
      ? { rounds: 3, roundMs: 60, warmupMs: 60 }
      : { rounds: 9, roundMs: 200, warmupMs: 400 },
  };
  const startedAt = performance.now();
  const results: Result[] = [];
  const titles: Record<string, string> = {};
  for (const name of names) {
    const benchStartedAt = performance.now();
    const { title, results: own } = await runApart(name, context, BENCHES[name]?.nodeFlags ?? []);
    titles[name] = title;
    results.push(...own);
    console.log(`\n${tablesOf(name, title, own)}`);
    console.log(`(${((performance.now() - benchStartedAt) / 1_000).toFixed(0)} s)`);
  }
  const report: Report = {
    machine: machineOf(),
    versions: versionsOf(),
    command: ["npm run bench", ...(process.argv.length > 2 ? ["--", ...process.argv.slice(2)] : [])].join(
      " ",
    ),
    seconds: Math.round((performance.now() - startedAt) / 1_000),
    titles,
    results,
  };
  if (values.json !== undefined) writeFileSync(values.json, `${JSON.stringify(report, undefined, 2)}\n`);
  if (values.markdown !== undefined) writeReport(values.markdown, report);
  console.log(`\n${goalsOf(results)}`);
  console.log(`\n${names.length} benchmarks, ${report.seconds} s`);
}

function runApart(name: string, context: Context, nodeFlags: readonly string[]): Promise<Outcome> {
  const child = fork(join(ROOT, "bench/child.ts"), [name, JSON.stringify(context)], {
    execArgv: ["--expose-gc", "--disable-warning=ExperimentalWarning", ...nodeFlags],
  });
  return new Promise((resolve, reject) => {
    let outcome: Outcome | undefined;
    child.once("message", (message: unknown) => {
      outcome = message as Outcome;
    });
    child.once("error", reject);
    child.once("exit", (code, signal) => {
      if (outcome && code === 0) resolve(outcome);
      else reject(new Error(`the benchmark ${name} ended with ${code ?? signal}`));
    });
  });
}
