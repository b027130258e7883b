/** Running other programs and waiting for them. */
import { spawn } from "node:child_process";

export interface RunOptions {
  readonly cwd?: string;
  /** Added to the environment. */
  readonly env?: Readonly<Record<string, string>>;
  /** `show` passes output through, `keep` collects it. Default `show`. */
  readonly output?: "show" | "keep";
}

export interface Ended {
  /** The exit code; 1 if a signal ended it, 127 if there is no such program. */
  readonly code: number;
  /** What it wrote to both outputs, if that was kept. */
  readonly output: string;
}

export function run(program: string, args: readonly string[], options: RunOptions = {}): Promise<Ended> {
  const { cwd, env = {}, output = "show" } = options;
  const stdio = output === "show" ? "inherit" : "pipe";
  const child = spawn(program, args, {
    ...(cwd === undefined ? {} : { cwd }),
    env: { ...process.env, ...env },
    stdio: ["ignore", stdio, stdio],
  });
  const chunks: Buffer[] = [];
  for (const stream of [child.stdout, child.stderr])
    stream?.on("data", (chunk: Buffer) => chunks.push(chunk));
  return new Promise((resolve) => {
    child.once("error", (error) => resolve({ code: 127, output: error.message }));
    child.once("close", (code) =>
      resolve({ code: code ?? 1, output: Buffer.concat(chunks).toString("utf8") }),
    );
  });
}

/** As {@link run}, and throws with the program's output unless it ends with 0. */
export async function mustRun(
  program: string,
  args: readonly string[],
  options: RunOptions = {},
): Promise<string> {
  const { code, output } = await run(program, args, { output: "keep", ...options });
  if (code !== 0) throw new Error(`${[program, ...args].join(" ")} ended with ${code}\n${output}`);
  return output;
}
