/** One machine runs one process after another; a process is a token cache and its clients, with a clock of its own. */
import { createConfidentialClient, type ConfidentialClient } from "../src/client/confidential-client.ts";
import type { Runtime } from "../src/runtime.ts";
import type { BackplaneMessage } from "../src/store/backplane.ts";
import { createTokenCache, type TokenCache } from "../src/token-cache.ts";
import { createRemote, createStoreLink } from "./link.ts";
import type { Operation } from "./operation.ts";
import { createProviderLink } from "./provider.ts";
import type { Actor, ScheduledEvent } from "./scheduler.ts";
import type { World } from "./world.ts";
import { API_ID, WEB_ID, WORLD_START_MS } from "./cast.ts";

export interface Machine {
  readonly number: number;
  readonly role: "web" | "worker";
  /** How far its wall clock is off, ms; jumps now and then. */
  skewMs: number;
  process: Process | undefined;
}

export interface Process extends Actor {
  readonly name: string;
  readonly machine: Machine;
  readonly startedAt: number;
  alive: boolean;
  frozenUntil: number;
  /** How long its machine has slept: its monotonic clock stood still then, ms. */
  sleptMs: number;
  /** Takes no more work: it is being restarted. */
  draining: boolean;
  readonly running: Set<Operation>;
  readonly listeners: Set<(message: BackplaneMessage) => void>;
  readonly cache: TokenCache;
  readonly clients: Readonly<Record<"web" | "api", ConfidentialClient>>;
  /** The process is gone: nothing it waited for ever comes, and nothing of it leaves the machine. */
  crash(why: string): void;
  /** Ends in an orderly way. */
  end(): void;
}

export function startProcess(world: World, machine: Machine, incarnation: number): Process {
  const { scheduler, history } = world;
  const running = new Set<Operation>();
  const process: Process = {
    name: `${machine.role}${machine.number}.${incarnation}`,
    machine,
    startedAt: scheduler.nowMs,
    alive: true,
    frozenUntil: 0,
    sleptMs: 0,
    draining: false,
    running,
    listeners: new Set(),
    wallMs: () => WORLD_START_MS + scheduler.nowMs + machine.skewMs,
    crash(why) {
      if (!process.alive) return;
      world.faults.note("crash", machine.number);
      history.add(`${process.name} crashes ${why}`);
      for (const operation of running) {
        operation.state = "crashed";
        operation.end = scheduler.nowMs;
      }
      process.end();
    },
    end() {
      process.alive = false;
      machine.process = undefined;
      const pause = world.prng.network.wait(2_000);
      scheduler.after(pause, undefined, () => {
        machine.process = startProcess(world, machine, incarnation + 1);
        history.add(`${machine.process.name} starts`);
      });
    },
    // Both are made below, because they need the process itself.
    cache: undefined as never,
    clients: undefined as never,
  };
  return Object.assign(process, equip(world, process));
}

function equip(world: World, process: Process): Pick<Process, "cache" | "clients"> {
  const remote = createRemote(world, process);
  const cache = createTokenCache({
    store: createStoreLink(world, process, remote),
    keys: world.keeper.keysFor(process),
    maxStaleMs: world.profile.maxStaleMs,
    ...world.cacheOptions,
    runtime: createNodeRuntime(world, process),
    onEvent: (event) => {
      // The history tells what became of each operation.
      if (event.type === "acquisition") return;
      const more = "reason" in event ? ` ${event.reason}` : "operation" in event ? ` ${event.operation}` : "";
      world.history.add(`${process.name} * ${event.type}${more}`);
    },
  });
  const networkClient = createProviderLink(world, process, remote);
  const role = process.machine.role;
  const client = (clientId: string): ConfidentialClient =>
    createConfidentialClient({
      auth: world.provider.authOf(clientId),
      system: { networkClient },
      tokenCache: cache,
      role,
    });
  return { cache, clients: { web: client(WEB_ID), api: client(API_ID) } };
}

/** What sums of times lose. */
const ROUNDING_MS = 0.001;

/** The process's own clock, timers in virtual time, and the seed's randomness. */
function createNodeRuntime(world: World, process: Process): Runtime {
  const { scheduler, prng, checker } = world;
  const startOfClock = 1_000 * (process.machine.number + 1);
  let latestMs = 0;
  return {
    now: () => Math.floor(process.wallMs()),
    monotonicNow() {
      const nowMs = startOfClock + scheduler.nowMs - process.startedAt - process.sleptMs;
      // No such clock exists: what our code makes of one would prove nothing.
      if (nowMs < latestMs - ROUNDING_MS) checker.broken("clock", `that of ${process.name} runs backwards`);
      latestMs = Math.max(latestMs, nowMs);
      return nowMs;
    },
    setTimer: (callback, delayMs) => scheduler.after(delayMs, process, callback),
    clearTimer(timer) {
      if (timer) (timer as ScheduledEvent).run = undefined;
    },
    randomBytes: (length) => prng.bytes.bytes(length),
    uuid: () => prng.bytes.uuid(),
    jitter: () => prng.bytes.next(),
  };
}
