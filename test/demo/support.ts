/** Runs the demonstration as a person would: as a process. */
import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";

const START = fileURLToPath(new URL("../../examples/start.ts", import.meta.url));

export interface Run {
  readonly process: ChildProcess;
  /** Everything printed so far, stdout and stderr. */
  output(): string;
  /** Resolves when what has been printed matches; rejects when the process ends without it. */
  shows(pattern: RegExp): Promise<RegExpExecArray>;
  /** The exit code, or the signal that ended it. */
  readonly ended: Promise<number | string>;
}

const running = new Set<Run>();

/** Ends what a failed test left behind; the children of a run end with it. */
export async function endRuns(): Promise<void> {
  for (const run of running) {
    run.process.kill("SIGTERM");
    await run.ended;
  }
}

export function runStart(args: readonly string[], env: Readonly<Record<string, string>> = {}): Run {
  const child = spawn(process.execPath, [START, ...args], {
    stdio: ["pipe", "pipe", "pipe"],
    env: { ...process.env, ...env },
  });
  let output = "";
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding("utf8").on("data", (text: string) => {
      output += text;
    });
  }
  const ended = once(child, "close").then(([code, signal]) => (code ?? signal) as number | string);
  const run: Run = { process: child, output: () => output, ended, shows };
  running.add(run);
  void ended.then(() => running.delete(run));
  return run;

  function shows(pattern: RegExp): Promise<RegExpExecArray> {
    return new Promise((resolve, reject) => {
      const look = (): void => {
        const found = pattern.exec(output);
        if (found) resolve(found);
      };
      look();
      for (const stream of [child.stdout, child.stderr]) stream.on("data", look);
      void ended.then((how) => reject(new Error(`ended (${how}) without ${pattern}:\n${output}`)));
    });
  }
}
