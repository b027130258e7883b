/**
 * Real servers for tests: children in the foreground, on a free loopback port, with a fresh folder, ended by
 * their handle. Nothing is daemonised and nothing is ever looked for by name.
 */
import { spawn, type ChildProcess, type SpawnOptions } from "node:child_process";
import { chmodSync, mkdtempSync, rmSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { reaper } from "./reaper.ts";

/** One running server. */
export interface Server {
  readonly port: number;
  readonly folder: string;
  /** What it has printed so far; its last lines are in the error of a start that fails. */
  log(): string;
  /** Stops it in its tracks, as a paused machine does; the kernel still accepts connections for it. */
  pause(): void;
  resume(): void;
  /** Ends it as a crash does, and waits for that. The folder stays. */
  kill(): Promise<void>;
  /** Starts it again on the same port and folder, and waits until it answers. */
  restart(): Promise<void>;
  /** Ends it and removes its folder. May be called twice. */
  stop(): Promise<void>;
}

export interface ServerOptions {
  readonly name: string;
  readonly program: string;
  readonly args: (place: { readonly port: number; readonly folder: string }) => readonly string[];
  /** Resolves once it answers; called again and again until then. */
  readonly answers: (place: { readonly port: number; readonly folder: string }) => Promise<unknown>;
  /** Before the first start, e.g. to write a configuration or to make a database. */
  readonly prepare?: (place: { readonly port: number; readonly folder: string }) => Promise<void> | void;
  readonly spawn?: Pick<SpawnOptions, "uid" | "gid" | "env">;
  readonly port?: number;
  /** How it is asked to end. Default SIGTERM. */
  readonly signal?: NodeJS.Signals;
}

const START_ATTEMPTS = 400;
const BETWEEN_ATTEMPTS_MS = 25;
const RESTART_ATTEMPTS = 5;
const BETWEEN_RESTARTS_MS = 500;
const LOG_LENGTH = 20_000;

/** A folder that only its owner may enter, unless another user's server must. */
function freshFolder(name: string, mode = 0o700): string {
  const folder = mkdtempSync(join(tmpdir(), `tokenkeep-${name}-`));
  chmodSync(folder, mode);
  return folder;
}

/**
 * A port nobody listens on just now, low enough that the bus port of a Redis Cluster node (ten thousand above
 * it) is one too.
 */
export async function freePort(): Promise<number> {
  for (let attempt = 0; attempt < 200; attempt += 1) {
    const port = await listenOnce(0);
    const low = 10_000 + (port % 35_000);
    if ((await isFree(low)) && (await isFree(low + 10_000))) return low;
  }
  throw new Error("no free port");
}

async function isFree(port: number): Promise<boolean> {
  return listenOnce(port).then(
    () => true,
    () => false,
  );
}

function listenOnce(port: number): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once("error", reject);
    server.listen(port, "127.0.0.1", () => {
      const { port: taken } = server.address() as { port: number };
      server.close(() => resolve(taken));
    });
  });
}

export async function startServer(options: ServerOptions): Promise<Server> {
  const place = { port: options.port ?? (await freePort()), folder: freshFolder(options.name, 0o755) };
  let log = "";
  let child: ChildProcess | undefined;

  async function start(): Promise<void> {
    const started = spawn(options.program, [...options.args(place)], {
      stdio: ["ignore", "pipe", "pipe"],
      cwd: place.folder,
      ...options.spawn,
    });
    child = started;
    let ended: string | undefined;
    for (const stream of [started.stdout, started.stderr]) {
      stream.setEncoding("utf8").on("data", (text: string) => {
        log = (log + text).slice(-LOG_LENGTH);
      });
    }
    started.once("error", (error) => {
      ended = error.message;
    });
    started.once("exit", (code, signal) => {
      if (started.pid !== undefined) reaper().remove(started.pid);
      ended ??= `it ended with ${code ?? signal}`;
    });
    if (started.pid !== undefined) reaper().add(started.pid);
    for (let attempt = 0; attempt < START_ATTEMPTS && ended === undefined; attempt += 1) {
      const answered = await options.answers(place).then(
        () => true,
        () => false,
      );
      if (answered) return;
      await new Promise((resolve) => setTimeout(resolve, BETWEEN_ATTEMPTS_MS));
    }
    throw new Error(`${options.name} did not start: ${ended ?? "it does not answer"}\n${log.slice(-2_000)}`);
  }

  /** What a killed server leaves behind, its own children say, may still be going: then it is refused once or twice. */
  async function restart(): Promise<void> {
    for (let attempt = 1; ; attempt += 1) {
      try {
        return await start();
      } catch (error) {
        if (attempt === RESTART_ATTEMPTS) throw error;
        await new Promise((resolve) => setTimeout(resolve, BETWEEN_RESTARTS_MS));
      }
    }
  }

  async function end(signal: NodeJS.Signals): Promise<void> {
    const ending = child;
    child = undefined;
    if (!ending || ending.exitCode !== null || ending.signalCode !== null) return;
    const exited = new Promise((resolve) => ending.once("exit", resolve));
    // A paused process takes no other signal.
    ending.kill("SIGCONT");
    ending.kill(signal);
    await exited;
  }

  async function stop(): Promise<void> {
    await end(options.signal ?? "SIGTERM");
    rmSync(place.folder, { recursive: true, force: true });
  }

  try {
    await options.prepare?.(place);
    await start();
  } catch (error) {
    await stop();
    throw error;
  }
  return {
    ...place,
    log: () => log,
    pause: () => void child?.kill("SIGSTOP"),
    resume: () => void child?.kill("SIGCONT"),
    kill: () => end("SIGKILL"),
    restart,
    stop,
  };
}
