/** Child processes of a scenario: started, asked, ended by their handle, and everything they print kept. */
import { fork, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import {
  KEYS_VARIABLE,
  SETTINGS_VARIABLE,
  type Answer,
  type ChildSettings,
  type Command,
} from "./children/settings.ts";

export type Ask = <T>(command: string, argument?: unknown) => Promise<T>;

export interface ChildHandle {
  readonly pid: number;
  /** What the child said when it was ready: a web app its origin. */
  readonly ready: string;
  /** Everything it has printed. */
  output(): string;
  readonly ask: Ask;
  /** Tells it to stop and waits until the process has ended by itself. */
  stop(): Promise<ChildEnd>;
  /** Ends it at once, as a crash would; harmless if it has ended. */
  kill(): Promise<ChildEnd>;
}

export interface ChildEnd {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  /** What `close()` of the cache said, unless the process was killed or had died. */
  readonly closed: { readonly lost: number } | undefined;
}

export async function startProcess(
  program: "web-app" | "worker",
  settings: ChildSettings,
  keys: string,
  env: NodeJS.ProcessEnv = {},
): Promise<ChildHandle> {
  const file = fileURLToPath(new URL(`children/${program}.ts`, import.meta.url));
  const child = fork(file, [], {
    execArgv: ["--disable-warning=ExperimentalWarning"],
    silent: true,
    // Keeps `undefined` and is not JSON in between.
    serialization: "advanced",
    env: {
      PATH: process.env["PATH"],
      ...env,
      [SETTINGS_VARIABLE]: JSON.stringify(settings),
      [KEYS_VARIABLE]: keys,
    },
  });
  const printed: Buffer[] = [];
  child.stdout?.on("data", (data: Buffer) => printed.push(data));
  child.stderr?.on("data", (data: Buffer) => printed.push(data));
  const output = (): string => Buffer.concat(printed).toString("utf8");
  const ended = once(child, "close") as Promise<[number | null, NodeJS.Signals | null]>;
  const talk = conversation(child, ended, output);
  let end: Promise<ChildEnd> | undefined;
  return {
    pid: child.pid ?? 0,
    ready: await talk.ready,
    output,
    ask: talk.ask,
    stop: () => (end ??= stopped()),
    kill() {
      child.kill("SIGKILL");
      return (end ??= stopped());
    },
  };

  async function stopped(): Promise<ChildEnd> {
    // A child that has died, or is killed meanwhile, answers nothing; how it ended says enough.
    const closed = await talk.ask<{ lost: number }>("stop").catch(() => undefined);
    const [code, signal] = await ended;
    return { code, signal, closed };
  }
}

function conversation(
  child: ChildProcess,
  ended: Promise<unknown>,
  output: () => string,
): { readonly ready: Promise<string>; readonly ask: Ask } {
  const open = new Map<number, { resolve(value: unknown): void; reject(error: Error): void }>();
  let last = 0;
  let isOver = false;
  const { promise: ready, resolve, reject } = Promise.withResolvers<string>();
  child.on("message", (message: Answer | { readonly ready: string }) => {
    if ("ready" in message) return resolve(message.ready);
    const asked = open.get(message.id);
    open.delete(message.id);
    if ("error" in message) asked?.reject(new Error(message.error));
    else asked?.resolve(message.result);
  });
  void ended.then(() => {
    isOver = true;
    const error = new Error(`the child process ended:\n${output().slice(-2_000)}`);
    reject(error);
    for (const asked of open.values()) asked.reject(error);
  });
  return {
    ready,
    ask: <T>(name: string, argument?: unknown) =>
      new Promise<T>((resolveAsk, rejectAsk) => {
        if (isOver) return rejectAsk(new Error("the child process has ended"));
        const id = (last += 1);
        open.set(id, { resolve: (value) => resolveAsk(value as T), reject: rejectAsk });
        child.send({ id, name, argument } satisfies Command, (error) => error && rejectAsk(error));
      }),
  };
}
