/** Long-running processes of the API: one job per user, begun, gone on with and stopped on any node. */
import { DOWNSTREAM } from "./cast.ts";
import type { Process } from "./process.ts";
import type { World } from "./world.ts";

/** Everybody knows the key of a user's job. */
export function jobKeyOf(user: string): string {
  return `the job of ${user}`;
}

const WEIGHTS = Object.freeze({ begin: 4, resume: 12, everybody: 3, stop: 2, "stop-and-resume": 2 });

/** Draws from a stream of its own, so that runs without jobs are as they were. */
export function startJobs(world: World): { stop(): void } {
  const { scheduler, operations, machines, profile } = world;
  const prng = world.prng.jobs;
  let stopped = !profile.jobs;

  function again(): void {
    scheduler.after(prng.wait(prng.chance(0.6) ? 400 : 15_000), undefined, () => {
      if (stopped) return;
      act();
      again();
    });
  }

  function anyone(): Process | undefined {
    const { process } = prng.pick(machines);
    return process && !process.draining ? process : undefined;
  }

  function act(): void {
    const user = operations.pickUser(prng);
    const process = anyone();
    if (!process) return;
    switch (prng.weighted(WEIGHTS)) {
      case "begin":
        return begin(process, user);
      case "resume":
        return operations.goOn(process, user, prng.pick(DOWNSTREAM));
      case "everybody":
        for (const { process: other } of machines)
          if (other) operations.goOn(other, user, DOWNSTREAM[0] ?? []);
        return;
      case "stop":
        return operations.stopJob(process, user);
      default:
        return aroundStop(process, user);
    }
  }

  /** Who asks shortly before, at the same time and after tells a stop from none. */
  function aroundStop(process: Process, user: string): void {
    operations.goOn(process, user, prng.pick(DOWNSTREAM));
    scheduler.after(prng.wait(20), undefined, () => !process.draining && operations.stopJob(process, user));
    for (const delayMs of [prng.wait(10), prng.wait(60), prng.wait(600), 5_500]) {
      scheduler.after(delayMs, undefined, () => {
        const there = anyone();
        if (there && !stopped) operations.goOn(there, user, prng.pick(DOWNSTREAM));
      });
    }
  }

  function begin(process: Process, user: string): void {
    const assertion = prng.pick(operations.assertionsOf(user).slice(-3));
    if (assertion !== undefined) operations.beginJob(process, user, assertion, prng.pick(DOWNSTREAM));
  }

  if (!stopped) again();
  return {
    stop() {
      stopped = true;
    },
  };
}
