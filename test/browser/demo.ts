/** The demonstration as a person starts it, in a process of its own. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

export interface Demo {
  /** Of the web app. */
  readonly origin: string;
  /** Ends it as Ctrl+C does. @returns its exit code */
  stop(): Promise<number | null>;
}

export async function startDemo(): Promise<Demo> {
  const folder = mkdtempSync(join(tmpdir(), "tokenkeep-browser-"));
  const program = fileURLToPath(new URL("../../examples/start.ts", import.meta.url));
  const args = [
    "--disable-warning=ExperimentalWarning",
    program,
    "--port",
    "0",
    "--data",
    join(folder, "data"),
  ];
  const child = spawn(process.execPath, args, { stdio: ["ignore", "pipe", "pipe"] });
  const ended = once(child, "close").then(([code]) => {
    rmSync(folder, { recursive: true, force: true });
    return code as number | null;
  });
  let printed = "";
  const origin = new Promise<string>((resolve, reject) => {
    const hear = (data: Buffer): void => {
      printed += data.toString();
      const address = /Web app\s+(http:\/\/[\d.:]+)\s/.exec(printed)?.[1];
      if (address !== undefined) resolve(address);
    };
    child.stdout.on("data", hear);
    child.stderr.on("data", hear);
    void ended.then(() => reject(new Error(`the demonstration ended:\n${printed}`)));
  });
  return {
    origin: await origin,
    stop() {
      child.kill("SIGINT");
      return ended;
    },
  };
}
