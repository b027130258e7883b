/** Real programs that tests need: where they are, and how they come here. */
import { accessSync, constants } from "node:fs";
import { delimiter, join } from "node:path";
import { run } from "./run.ts";

export interface Program {
  readonly name: string;
  /** Names it goes by on the search path. */
  readonly commands: readonly string[];
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
];

/** Its file: what the variable names, else the first command found. `undefined` if it is not here. */
export function findProgram(program: Program, env: NodeJS.ProcessEnv = process.env): string | undefined {
  const named = env[program.variable];
  if (named) return executable(named) ? named : undefined;
  const folders = (env["PATH"] ?? "").split(delimiter).concat("/usr/bin");
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
