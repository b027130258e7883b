/** What the figures were measured on and with. */
import { readFileSync } from "node:fs";
import { arch, cpus, loadavg, platform, release, totalmem } from "node:os";
import { join } from "node:path";
import { execFileSync } from "node:child_process";
import { findProgram, PROGRAMS } from "../../scripts/lib/programs.ts";
import { packageJson, ROOT } from "../../scripts/lib/tree.ts";

export interface Machine {
  readonly cpu: string;
  readonly cores: number;
  readonly memoryGb: number;
  readonly system: string;
  /** Of the last minute, when the run ended. */
  readonly load: number;
}

export function machineOf(): Machine {
  return {
    cpu: cpus()[0]?.model.trim() ?? "unknown",
    cores: cpus().length,
    memoryGb: Math.round(totalmem() / 2 ** 30),
    system: `${platform()} ${release().split("-")[0]} ${arch()}`,
    load: Math.round((loadavg()[0] ?? 0) * 10) / 10,
  };
}

/** Of Node, tokenkeep, every peer, and the servers that are here. */
export function versionsOf(): Record<string, string> {
  const bench = JSON.parse(readFileSync(join(ROOT, "bench/package.json"), "utf8")) as {
    readonly dependencies: Readonly<Record<string, string>>;
  };
  return {
    node: process.versions.node,
    tokenkeep: packageJson().version,
    ...bench.dependencies,
    ...serverVersion("Redis", /v=([\d.]+)/),
    ...serverVersion("PostgreSQL 15", /\) ([\d.]+)/),
  };
}

function serverVersion(name: string, pattern: RegExp): Record<string, string> {
  const program = PROGRAMS.find((candidate) => candidate.name === name);
  const file = program && findProgram(program);
  if (!file) return {};
  const version = pattern.exec(execFileSync(file, ["--version"], { encoding: "utf8" }))?.[1];
  return version === undefined ? {} : { [file.split("/").at(-1) ?? name]: version };
}
