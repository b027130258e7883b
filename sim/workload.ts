/** What people and timers ask of the nodes, drawn from the seed. */
import { DOWNSTREAM, RESOURCES } from "./cast.ts";
import type { Process } from "./process.ts";
import type { World } from "./world.ts";

const WEIGHTS = Object.freeze({
  silent: 50,
  force: 3,
  "step-up": 4,
  "sign-in": 10,
  obo: 11,
  app: 5,
  "sign-out": 5,
  everywhere: 2,
  "everywhere-api": 3,
  "browser-sign-out": 1,
  "worker-run": 6,
  restart: 2,
});

/** Asks for one thing after another until the run is told to stop. */
interface Workload {
  stop(): void;
}

export function startWorkload(world: World): Workload {
  const { scheduler, operations, machines } = world;
  const prng = world.prng.workload;
  let stopped = false;

  function again(): void {
    scheduler.after(gap(), undefined, () => {
      if (stopped) return;
      act();
      again();
    });
  }

  /** Bursts, so that things meet; then pauses of every length, so that things expire. */
  function gap(): number {
    const kind = prng.weighted({ burst: 62, soon: 22, later: 12, expiry: 4 });
    switch (kind) {
      case "burst":
        return prng.wait(8);
      case "soon":
        return prng.wait(1_500);
      case "later":
        return prng.wait(20_000);
      default:
        return prng.wait(world.profile.accessTokenSeconds * 900);
    }
  }

  function anyone(role?: "web" | "worker"): Process | undefined {
    const fitting = machines.filter((machine) => role === undefined || machine.role === role);
    const process = prng.pick(fitting)?.process;
    return process && !process.draining ? process : undefined;
  }

  function act(): void {
    const kind = prng.weighted(WEIGHTS);
    const user = operations.pickUser(prng);
    const scopes = prng.pick(RESOURCES);
    const process = anyone(kind === "worker-run" ? "worker" : undefined);
    if (!process) return;
    switch (kind) {
      case "silent":
        return silent(process, user, scopes);
      case "force":
      case "step-up":
        return operations.silent(process, user, { kind, scopes });
      case "sign-in":
        return operations.signIn(anyone("web") ?? process, user);
      case "obo":
        return onBehalfOf(process, user);
      case "app":
        return operations.forApplication(process);
      case "sign-out":
        return crowd(process, user, (there) => operations.signOut(there, user));
      case "everywhere":
        return crowd(process, user, (there) => operations.signOutEverywhere(there, user, "web"));
      case "everywhere-api":
        return operations.signOutEverywhere(process, user, "api");
      case "browser-sign-out":
        return operations.browserSignOut(process, user);
      case "worker-run":
        return operations.workerRun(process);
      default:
        return restart(world, process);
    }
  }

  /** Often everybody wants the same at once: that is when an expiry hurts. */
  function silent(process: Process, user: string, scopes: readonly string[]): void {
    const how = { kind: "silent", scopes, asGuest: prng.chance(0.1) } as const;
    operations.silent(process, user, how);
    if (!prng.chance(0.25)) return;
    for (const { process: other } of machines) {
      if (other && prng.chance(0.6)) operations.silent(other, user, how);
    }
  }

  /**
   * A sign-out is told from none by those who ask shortly before it, at the same time, soon after, and after each
   * of the bounds; best by those who want the same and might join one another.
   */
  function crowd({ machine }: Process, user: string, signOut: (process: Process) => void): void {
    const { maxStaleMs } = world.profile;
    const favourite = prng.pick(RESOURCES);
    const favouriteKind = prng.chance(0.5) ? "force" : "silent";
    const at = (delay: number, number: number, work: (process: Process) => void): void => {
      scheduler.after(delay, undefined, () => {
        const there = machines[number]?.process;
        if (there && !there.draining && !stopped) work(there);
      });
    };
    const signOutMs = prng.chance(0.6) ? prng.wait(20) : 0;
    at(signOutMs, machine.number, signOut);
    const soon = [prng.wait(4), prng.wait(15), prng.wait(15), prng.wait(40), prng.wait(80)];
    const after = [prng.wait(150), prng.wait(600), prng.wait(2_000), 5_500, maxStaleMs + 2_500];
    for (const delay of [...soon, ...after.map((delayMs) => signOutMs + delayMs)]) {
      const { number } = delay < 5_000 && prng.chance(0.6) ? machine : prng.pick(machines);
      const isFavourite = delay < 1_000 && prng.chance(0.6);
      const scopes = isFavourite ? favourite : prng.pick(RESOURCES);
      const kind = isFavourite ? favouriteKind : "silent";
      if (delay > 60_000 || prng.chance(0.3)) continue;
      at(delay, number, (there) => operations.silent(there, user, { kind, scopes }));
    }
  }

  /** Callers hand in whatever token for the API they got lately, fresh or not so fresh. */
  function onBehalfOf(process: Process, user: string): void {
    const assertion = prng.pick(operations.assertionsOf(user).slice(-4));
    if (assertion === undefined) return;
    operations.onBehalfOf(process, user, assertion, prng.pick(DOWNSTREAM));
  }

  for (const user of operations.users) {
    scheduler.after(0, undefined, () => {
      const process = anyone("web");
      if (process) operations.signIn(process, user);
    });
  }
  again();
  return {
    stop() {
      stopped = true;
    },
  };
}

/** An orderly restart: no new work, what runs may finish, then the cache is closed. */
function restart(world: World, process: Process): void {
  process.draining = true;
  world.history.add(`${process.name} is told to restart`);
  const wait = (): void => {
    world.scheduler.after(50, process, () => {
      if (process.running.size > 0) return wait();
      void process.cache.close().then(({ lost }) => {
        world.history.add(`${process.name} has ended, ${lost} results lost`);
        if (process.alive) process.end();
      });
    });
  };
  wait();
}
