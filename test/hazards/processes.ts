/** Real processes for hazards that lie between them, and the server that the vendor's half shares. */
import { fork } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import {
  KEYS_VARIABLE,
  SETTINGS_VARIABLE,
  type ChildSettings,
  type FromChild,
  type Task,
  type ToChild,
} from "./children/protocol.ts";
import { nextMessage } from "../support/next-message.ts";

/** 32 bytes of a key that only tests use. */
export const TEST_KEYS = `k1:${Buffer.alloc(32, 7).toString("base64url")}`;

export interface HazardProcess {
  /** How many calls ended in which way. */
  run(task: Task): Promise<Readonly<Record<string, number>>>;
  /** Resolves when the calls of the next herd are on their way. */
  started(): Promise<unknown>;
  /** Closes the channel, and waits until the process has ended by itself. */
  stop(): Promise<void>;
}

/** Stands between the vendor's children and their values. */
export interface SharedServer {
  readonly values: Map<string, string>;
  /** A child's call; `answer` is called when its turn has come. */
  call(key: string, value: string | undefined, answer: (value: string) => void): void;
  /** A child has begun or finished a task. */
  busy(change: 1 | -1): void;
}

/** Answers at once. */
export function promptServer(): SharedServer {
  const values = new Map<string, string>();
  return {
    values,
    busy: () => undefined,
    call(key, value, answer) {
      if (value !== undefined) values.set(key, value);
      answer(values.get(key) ?? "");
    },
  };
}

/**
 * Answers when every child waits for it, and then all of them: the order in which processes that do the same
 * thing at the same pace meet a server. Nothing about it is unfair; it only leaves luck out.
 */
export function lockstepServer(): SharedServer {
  const prompt = promptServer();
  let running = 0;
  let waiting: (() => void)[] = [];
  const answerAll = (): void => {
    if (waiting.length < running) return;
    const round = waiting;
    waiting = [];
    for (const serve of round) serve();
  };
  return {
    values: prompt.values,
    busy(change) {
      running += change;
      answerAll();
    },
    call(key, value, answer) {
      waiting.push(() => prompt.call(key, value, answer));
      answerAll();
    },
  };
}

export async function startProcess(
  program: "vendor" | "tokenkeep",
  settings: ChildSettings,
  server?: SharedServer,
): Promise<HazardProcess> {
  const file = fileURLToPath(new URL(`children/${program}.ts`, import.meta.url));
  const child = fork(file, [], {
    execArgv: ["--disable-warning=ExperimentalWarning"],
    env: {
      PATH: process.env["PATH"],
      [SETTINGS_VARIABLE]: JSON.stringify(settings),
      [KEYS_VARIABLE]: TEST_KEYS,
    },
  });
  const ended = once(child, "exit");
  const send = (message: ToChild): void => void child.send(message);
  child.on("message", (message: FromChild) => {
    if (message.type !== "store") return;
    server?.call(message.key, message.value, (value) => send({ type: "answer", id: message.id, value }));
  });
  await nextMessage<FromChild, "ready">(child, "ready");
  return {
    async run(task) {
      server?.busy(1);
      const done = nextMessage<FromChild, "done">(child, "done");
      send({ type: "run", task });
      const { outcomes } = await done;
      server?.busy(-1);
      return outcomes;
    },
    started: () => nextMessage<FromChild, "started">(child, "started"),
    async stop() {
      child.disconnect();
      await ended;
    },
  };
}

/** Adds up what several processes report. */
export function total(reports: readonly Readonly<Record<string, number>>[]): Record<string, number> {
  const sum: Record<string, number> = {};
  for (const report of reports) {
    for (const [name, count] of Object.entries(report)) sum[name] = (sum[name] ?? 0) + count;
  }
  return sum;
}
