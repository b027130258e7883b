/** One run: a world made from a seed, so many steps of it, then healing, rest and the last questions. */
import { SIGN_IN_SCOPES, WORLD_START_MS } from "./cast.ts";
import { createChecker, type Checker } from "./check/checker.ts";
import type { Violation } from "./check/book.ts";
import type { Determinism } from "./determinism.ts";
import { createFaults } from "./faults.ts";
import { createHistory } from "./history.ts";
import { createLedger } from "./ledger.ts";
import { createOperations } from "./operations.ts";
import { createPrng } from "./prng.ts";
import { startProcess, type Machine } from "./process.ts";
import { profileOf, type FaultKind } from "./profile.ts";
import { createKeeper, rekey } from "./keys.ts";
import { createNames } from "./names.ts";
import { createProvider } from "./provider.ts";
import { createScheduler } from "./scheduler.ts";
import { createSimulatedStore } from "./store.ts";
import { createSecrets } from "./secrets.ts";
import { createTamperer } from "./tamper.ts";
import { createWeather } from "./weather.ts";
import { startJobs } from "./jobs.ts";
import { startWorkload } from "./workload.ts";
import type { World } from "./world.ts";

export interface RunOptions {
  readonly seed: number;
  /** Events of the busy part; healing and rest come after. */
  readonly steps: number;
  readonly determinism: Determinism;
  /** Mechanisms of the simulated world, not of our code, that are switched off. */
  readonly broken: { readonly compareAndSwap?: boolean };
}

export interface RunResult {
  readonly seed: number;
  readonly steps: number;
  readonly operations: number;
  readonly faults: ReadonlyMap<FaultKind, number>;
  readonly violation: Violation | undefined;
  readonly history: readonly string[];
  readonly profile: string;
}

/** Long enough for every back-off, lease and replay to run its course. */
const REST_MS = 180_000;
/** A run that goes on for ever is a failure of its own. */
const REST_STEPS = 20_000;

export async function simulate(options: RunOptions): Promise<RunResult> {
  const world = createWorld(options);
  const { scheduler, operations, checker } = world;
  const profile = describeProfile(world);
  world.history.add(profile);
  const unhandled = (error: unknown): void => {
    const stack = error instanceof Error ? error.stack : String(error);
    checker.broken("unhandled", `a promise was rejected and nobody noticed: ${stack}`);
  };
  process.on("unhandledRejection", unhandled);
  try {
    world.keeper.begin(world);
    for (const machine of world.machines) machine.process = startProcess(world, machine, 1);
    const workload = startWorkload(world);
    const jobs = startJobs(world);
    world.weather.begin(world);
    world.tamperer.begin(world);
    world.secrets.begin(world);
    while (scheduler.steps < options.steps && !checker.violation) await scheduler.step();
    workload.stop();
    jobs.stop();
    await rest(world);
  } finally {
    process.off("unhandledRejection", unhandled);
  }
  return {
    seed: options.seed,
    steps: scheduler.steps,
    operations: operations.all.length,
    faults: world.faults.counts,
    violation: checker.violation,
    history: world.history.lines,
    profile,
  };
}

function createWorld({ seed, broken, determinism }: RunOptions): World {
  const profile = profileOf(seed);
  const stream = (name: string): World["prng"]["bytes"] => createPrng(seed, name);
  const prng = {
    workload: stream("workload"),
    weather: stream("weather"),
    network: stream("network"),
    bytes: stream("bytes"),
    keys: stream("keys"),
    secrets: stream("secrets"),
    jobs: stream("jobs"),
  };
  const scheduler = createScheduler();
  const nowMs = (): number => scheduler.nowMs;
  const wallMs = (): number => WORLD_START_MS + scheduler.nowMs;
  determinism.use({
    nowMs: () => Math.floor(scheduler.current?.wallMs() ?? wallMs()),
    uuid: () => prng.bytes.uuid(),
    random: () => prng.bytes.next(),
  });
  const parts: { world?: World } = {};
  const checker: Checker = createChecker(() => parts.world as World);
  const provider = createProvider({ scheduler, prng, profile });
  const people = provider.authority.users;
  const machines: Machine[] = profile.roles.map((role, number) => ({
    number,
    role,
    skewMs: profile.skewsMs[number] as number,
    process: undefined,
  }));
  const keeper = createKeeper();
  const names = createNames(profile.names, keeper.all);
  const world: World = {
    profile,
    prng,
    scheduler,
    history: createHistory(() => scheduler),
    faults: createFaults(profile, prng.network, nowMs),
    weather: createWeather(),
    keeper,
    names,
    tamperer: createTamperer(),
    secrets: createSecrets(),
    store: createSimulatedStore({
      nowMs: wallMs,
      observer: checker.store,
      nameOf: names.nameOf,
      comparesVersions: broken.compareAndSwap !== true,
    }),
    provider,
    ledger: createLedger((oid) => {
      const person = people.find((known) => [...known.oids.values()].includes(oid));
      return person?.username.split("@")[0];
    }),
    get operations() {
      return operations;
    },
    checker,
    machines,
    cacheOptions: {
      ...names.options,
      refreshTokens: profile.refreshTokens,
      retention: { userTtlMs: profile.userTtlMs },
      maxClockSkewMs: 2 * profile.maxSkewMs + 1,
    },
    processes: () => machines.flatMap((machine) => machine.process ?? []),
  };
  parts.world = world;
  const operations = createOperations(world);
  return world;
}

/** Heals everything, waits, asks every process for every user once more, waits again, and looks around. */
async function rest(world: World): Promise<void> {
  const { checker, weather, faults, store, operations, history } = world;
  if (checker.violation) return;
  history.add("everything heals");
  weather.heal();
  faults.heal();
  world.keeper.heal();
  world.tamperer.heal();
  world.secrets.heal();
  store.full = false;
  await settle(world);
  for (const process of world.processes()) {
    for (const user of operations.users) {
      operations.silent(process, user, { kind: "silent", scopes: SIGN_IN_SCOPES });
      // What memory answers does not show that the provider is asked again.
      if (world.profile.losesSecret) {
        operations.silent(process, user, { kind: "force", scopes: SIGN_IN_SCOPES });
      }
    }
  }
  await settle(world);
  if (world.profile.keys && !checker.violation) await rekeyAtRest(world);
  if (!checker.violation) await checker.finish();
}

/** With nothing else going on, everything that can be opened comes under the key that seals. */
async function rekeyAtRest(world: World): Promise<void> {
  const [process] = world.processes();
  if (!process) return;
  let isDone = false;
  rekey(world, process, (outcome) => (isDone = outcome));
  await settle(world);
  if (!isDone && !world.checker.violation) world.checker.broken("keys", "a rekey at rest does not end");
}

async function settle(world: World): Promise<void> {
  const { scheduler, checker } = world;
  // A process that is frozen notices nothing of the healing until it thaws.
  const thawed = Math.max(scheduler.nowMs, ...world.processes().map((process) => process.frozenUntil));
  const until = thawed + REST_MS;
  const limit = scheduler.steps + REST_STEPS;
  while (!checker.violation && (scheduler.nextAt() ?? Number.POSITIVE_INFINITY) <= until) {
    await scheduler.step();
    if (scheduler.steps > limit) return checker.broken("hang", "the processes never come to rest");
  }
}

function describeProfile({ profile }: World): string {
  const { keys, tampers } = profile;
  const hasty = keys?.isHasty ? "hastily " : "";
  const { refreshInSeconds, losesSecret } = profile;
  const ahead = refreshInSeconds !== undefined && `tokens should be renewed after ${refreshInSeconds} s`;
  const about = [
    ahead,
    losesSecret && "secrets are replaced",
    profile.jobs && "jobs",
    keys && `keys are ${hasty}turned over`,
    tampers && "records are tampered with",
    profile.names && "names are hidden",
  ];
  const more = about.filter(Boolean).map((text) => `, ${text}`);
  const { seed, roles, users, refreshTokens, faults, maxSkewMs, perCall } = profile;
  return (
    `seed ${seed}: ${roles.length} nodes, ${users} users, ${refreshTokens} refresh tokens, clocks off by up to ` +
    `${maxSkewMs} ms, ${perCall} faults a call${more.join("")}, faults: ${[...faults].join(" ") || "none"}`
  );
}
