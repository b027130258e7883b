/** Real programs that tests need: where they are, and how they come here. */
import { accessSync, constants } from "node:fs";
import { delimiter, join } from "node:path";
import { run } from "./run.ts";

export interface Program {
  readonly name: string;
  /** Names it goes by on the search path. */
  readonly commands: readonly string[];
  /** Folders it is in although they are not on the search path. */
  readonly folders?: readonly string[];
  /** The variable that names its file, for the tests; set from outside, it is believed. */
  readonly variable: string;
  /** Debian packages that bring it. */
  readonly packages: readonly string[];
  /** What is not tested without it. */
  readonly tests: string;
}

export const PROGRAMS: readonly Program[] = [
  {
    name: "Chromium",
    commands: ["chromium", "chromium-browser", "google-chrome"],
    variable: "TOKENKEEP_CHROMIUM",
    packages: ["chromium", "fonts-liberation"],
    tests: "signing in with a real browser (test/browser)",
  },
  {
    name: "Redis",
    commands: ["redis-server"],
    variable: "TOKENKEEP_REDIS_SERVER",
    // openssl makes the certificate for TLS.
    packages: ["redis-server", "openssl"],
    tests: "the Redis store (test/adapters/redis*), and scenarios on it",
  },
  {
    name: "Redis Sentinel",
    commands: ["redis-sentinel"],
    variable: "TOKENKEEP_REDIS_SENTINEL",
    packages: ["redis-sentinel"],
    tests: "failover of the Redis store by Sentinel",
  },
  {
    name: "PostgreSQL 15",
    commands: ["postgres"],
    folders: ["/usr/lib/postgresql/15/bin"],
    variable: "TOKENKEEP_POSTGRES",
    packages: ["postgresql-15"],
    tests: "the PostgreSQL store on version 15 (test/adapters/postgres*)",
  },
  {
    name: "PgBouncer",
    commands: ["pgbouncer"],
    folders: ["/usr/sbin"],
    variable: "TOKENKEEP_PGBOUNCER",
    packages: ["pgbouncer"],
    tests: "the PostgreSQL store behind a transaction pooler",
  },
];

/** Its file: what the variable names, else the first command found. `undefined` if it is not here. */
export function findProgram(program: Program, env: NodeJS.ProcessEnv = process.env): string | undefined {
  const named = env[program.variable];
  if (named) return executable(named) ? named : undefined;
  const folders = (env["PATH"] ?? "").split(delimiter).concat("/usr/bin", program.folders ?? []);
  return program.commands
    .flatMap((command) => folders.map((folder) => join(folder, command)))
    .find(executable);
}

function executable(file: string): boolean {
  try {
    accessSync(file, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

/** The one command that brings `programs`. */
export function installCommand(programs: readonly Program[]): string {
  return `sudo apt-get update && sudo apt-get install -y --no-install-recommends ${packagesOf(programs).join(" ")}`;
}

/** Installs by apt, as root or through `sudo` without a password. Whether it worked is seen by looking again. */
export async function installPrograms(programs: readonly Program[]): Promise<void> {
  const elevated = process.getuid?.() === 0 ? [] : ["sudo", "-n"];
  const apt = (...args: string[]) => {
    const [program = "", ...rest] = [
      ...elevated,
      "env",
      "DEBIAN_FRONTEND=noninteractive",
      "apt-get",
      ...args,
    ];
    return run(program, rest, { output: "keep" });
  };
  for (const step of [["update"], ["install", "-y", "--no-install-recommends", ...packagesOf(programs)]]) {
    const { code, output } = await apt(...step);
    if (code !== 0) {
      console.error(`apt-get ${step[0]} ended with ${code}\n${output.slice(-2_000)}`);
      return;
    }
  }
}

function packagesOf(programs: readonly Program[]): string[] {
  return [...new Set(programs.flatMap((program) => program.packages))];
}
