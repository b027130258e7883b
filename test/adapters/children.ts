import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { chmodSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

/** A new folder that only its owner may use, and the way to be rid of it. */
export function temporaryFolder(): { readonly path: string; remove(): void } {
  const path = mkdtempSync(join(tmpdir(), "tokenkeep-test-"));
  chmodSync(path, 0o700);
  return { path, remove: () => rmSync(path, { recursive: true, force: true }) };
}

/** A real process that runs a script of `fixtures/`; what it prints to stderr is shown. */
export function startFixture(script: string, args: readonly string[], cwd?: string): ChildProcess {
  const file = fileURLToPath(new URL(`fixtures/${script}`, import.meta.url));
  return spawn(process.execPath, ["--disable-warning=ExperimentalWarning", file, ...args], {
    stdio: ["pipe", "pipe", "inherit"],
    ...(cwd === undefined ? {} : { cwd }),
  });
}

/** The exit code, or the signal that ended it. */
export async function exitOf(child: ChildProcess): Promise<unknown> {
  const [code, signal] = (await once(child, "exit")) as [number | null, string | null];
  return code ?? signal;
}

/** Resolves when the process has printed so many lines. */
export async function outputLines(child: ChildProcess, lines: number): Promise<void> {
  let printed = "";
  while (printed.split("\n").length <= lines && child.stdout !== null) {
    const [data] = (await once(child.stdout, "data")) as [Buffer];
    printed += data.toString();
  }
}
