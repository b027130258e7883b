/** The web app and the worker as processes of their own: started, heard, asked and ended. */
import { spawn, type ChildProcess } from "node:child_process";
import { on, once } from "node:events";
import { createInterface } from "node:readline";
import type { Readable } from "node:stream";
import { fileURLToPath } from "node:url";
import type { AccountReport } from "../worker/worker.ts";
import type { RunRequest } from "../worker/main.ts";
import type { DataFolder } from "./data-folder.ts";
import type { DemoStore } from "./store.ts";
import type { Services } from "./services.ts";

/** What a child tells its parent. */
type Message =
  | { readonly type: "ready"; readonly origin?: string }
  | { readonly type: "report"; readonly reports: readonly AccountReport[] }
  | { readonly type: "woke"; readonly reports: readonly AccountReport[] }
  | { readonly type: "run-failed"; readonly message: string };

export interface Child {
  readonly name: string;
  readonly pid: number;
  /** What it said when it was ready. */
  readonly origin: string;
  /** Sends a message and waits for the answer. */
  ask(message: RunRequest): Promise<readonly AccountReport[]>;
  /** The next run that it wakes up for by its own schedule. */
  wakesUp(): Promise<readonly AccountReport[]>;
  /** Ends it; gives its exit code, or the signal that it took. */
  stop(): Promise<number | string>;
  /** Resolves when it has ended, by itself or not. */
  readonly ended: Promise<number | string>;
}

export interface Processes {
  startWebApp(port: number): Promise<Child>;
  /** With an interval of 0 it runs only when asked. */
  startWorker(intervalMs: number): Promise<Child>;
  /** Ends whatever still runs. */
  stopAll(): Promise<void>;
  /** Every line that any child has printed. */
  output(): string;
}

const ANSWER_TIMEOUT_MS = 60_000;
const STOP_TIMEOUT_MS = 10_000;

/** @param onLine is told each line as it comes. */
export function createProcesses(
  services: Services,
  data: DataFolder,
  store: DemoStore,
  onLine: (child: string, line: string) => void = () => undefined,
): Processes {
  const lines: string[] = [];
  const running = new Set<Child>();
  const environment = {
    MSAL_AUTH: JSON.stringify(services.auth),
    NOTES_API_URL: services.notesApiUrl,
    TOKENKEEP_STORE: store.location,
    TOKENKEEP_KEY_FILE: data.keyFile,
    SESSION_KEY_FILE: data.sessionKeyFile,
    SIGN_OUT_URL: services.signOutUrl,
  };

  async function start(name: string, file: string, more: Record<string, string>): Promise<Child> {
    // The experiment that is warned of is node:sqlite.
    const args = ["--disable-warning=ExperimentalWarning", fileURLToPath(new URL(file, import.meta.url))];
    const child = spawn(process.execPath, args, {
      stdio: ["ignore", "pipe", "pipe", "ipc"],
      env: { ...process.env, ...environment, ...more },
    });
    hear(child, (line) => {
      lines.push(line);
      onLine(name, line);
    });
    const handle = await ready(name, child);
    running.add(handle);
    void handle.ended.then(() => running.delete(handle));
    return handle;
  }

  return {
    startWebApp: (port) => start("web app", "../web-app/main.ts", { PORT: String(port) }),
    startWorker: (intervalMs) =>
      start("worker", "../worker/main.ts", { WORKER_INTERVAL_MS: String(intervalMs) }),
    async stopAll() {
      await Promise.all([...running].map((child) => child.stop()));
    },
    output: () => lines.join("\n"),
  };
}

function hear(child: ChildProcess, onLine: (line: string) => void): void {
  for (const stream of [child.stdout, child.stderr] as Readable[]) {
    createInterface({ input: stream }).on("line", onLine);
  }
}

async function ready(name: string, child: ChildProcess): Promise<Child> {
  // `close`, not `exit`: by then all that it printed has been heard.
  const ended = once(child, "close").then(([code, signal]) => (code ?? signal) as number | string);
  const stop = async (): Promise<number | string> => {
    child.kill("SIGTERM");
    const deadline = setTimeout(() => child.kill("SIGKILL"), STOP_TIMEOUT_MS);
    return ended.finally(() => clearTimeout(deadline));
  };
  const next = <T extends Message["type"]>(...types: T[]): Promise<MessageOf<T>> =>
    answer(name, nextMessage(child, types), ended);
  try {
    const hello = await next("ready");
    return {
      name,
      pid: child.pid ?? 0,
      origin: hello.origin ?? "",
      ended,
      stop,
      async ask(message) {
        const reply = next("report", "run-failed");
        child.send(message);
        const said = await reply;
        if (said.type === "report") return said.reports;
        throw new Error(`the ${name} failed: ${said.message}`);
      },
      wakesUp: async () => (await next("woke")).reports,
    };
  } catch (error) {
    await stop();
    throw error;
  }
}

type MessageOf<T extends Message["type"]> = Extract<Message, { readonly type: T }>;

async function nextMessage<T extends Message["type"]>(
  child: ChildProcess,
  types: readonly T[],
): Promise<MessageOf<T>> {
  const signal = AbortSignal.timeout(ANSWER_TIMEOUT_MS);
  try {
    for await (const [message] of on(child, "message", { signal }) as AsyncIterable<[Message]>) {
      if ((types as readonly string[]).includes(message.type)) return message as MessageOf<T>;
    }
  } catch (error) {
    if (!signal.aborted) throw error;
  }
  throw new Error(`no ${types.join(" or ")} came within ${ANSWER_TIMEOUT_MS / 1000} seconds`);
}

/** Whichever comes first: the message, or the end of who should send it. */
function answer<M>(name: string, message: Promise<M>, ended: Promise<number | string>): Promise<M> {
  const end = ended.then((how) =>
    Promise.reject<M>(new Error(`the ${name} ended (${how}) before it answered`)),
  );
  return Promise.race([message, end]);
}
