/** What tries the copies in memory: moments that chance alone brings about too seldom. */
import { SIGN_IN_SCOPES } from "./cast.ts";
import { COHERENCE_BOUND_MS } from "./check/book.ts";
import type { Machine } from "./process.ts";
import { SHORT_TTL_MS } from "./profile.ts";
import type { World } from "./world.ts";

const silent = { kind: "silent", scopes: SIGN_IN_SCOPES } as const;

type Scene = (world: World, machine: Machine, user: string, deaf: Map<number, number>) => void;

/** Plays one of the scenes, with somebody whose tokens the machine has. */
export function tryMemory(world: World, machine: Machine, deaf: Map<number, number>): void {
  const prng = world.prng.weather;
  const user = world.operations.pickUser(prng);
  const scenes: Scene[] = [missMessage, rush, rush, rush];
  if (world.profile.faults.has("suspend")) scenes.push(sleepThroughSignOut);
  if (world.profile.userTtlMs === SHORT_TTL_MS) scenes.push(onlyRead);
  prng.pick(scenes)(world, machine, user, deaf);
}

/** Asks, some time from now, whatever process runs on the machine by then. */
function ask(world: World, machine: Machine, user: string, afterMs: number): void {
  world.scheduler.after(afterMs, undefined, () => {
    if (machine.process) world.operations.silent(machine.process, user, silent);
  });
}

function signOutElsewhere(world: World, machine: Machine, user: string, afterMs: number): void {
  const other = world.prng.weather.pick(world.machines);
  world.scheduler.after(afterMs, undefined, () => {
    if (other.process && other !== machine) world.operations.signOut(other.process, user);
  });
}

/** Its lease is kept alive all the time, and the message of a sign-out never comes. */
const missMessage: Scene = (world, machine, user, deaf) => {
  world.history.add(`! machine ${machine.number} misses a message`);
  deaf.set(machine.number, world.scheduler.nowMs + 3 * COHERENCE_BOUND_MS);
  for (let second = 0; second < 10; second += 1) ask(world, machine, user, second * 1_000);
  signOutElsewhere(world, machine, user, 1_500);
};

/** The machine sleeps, and its connections with it; when it wakes it is asked at once. */
export const sleepThroughSignOut: Scene = (world, machine, user, deaf) => {
  const lastsMs = 2 * COHERENCE_BOUND_MS;
  ask(world, machine, user, 0);
  world.scheduler.after(500, undefined, () => {
    suspend(world, machine, lastsMs, deaf);
    signOutElsewhere(world, machine, user, 500);
    ask(world, machine, user, lastsMs + 1);
  });
};

/** A sign-out, and readings that began before its marker landed and are answered after it. */
const rush: Scene = (world, machine, user) => {
  const prng = world.prng.weather;
  const { scheduler, operations } = world;
  scheduler.after(0, undefined, () => {
    if (machine.process) operations.signOut(machine.process, user);
  });
  for (const afterMs of [prng.wait(2), prng.wait(4), 60, 120, 250]) ask(world, machine, user, afterMs);
};

/** Somebody is there all the time and needs no new token: nothing is written for them. */
const onlyRead: Scene = (world, machine, user) => {
  const seconds = [0, 65, 80, 100, 130, 165, 190];
  for (const second of seconds) ask(world, machine, user, second * 1_000);
};

/** The whole machine sleeps: its monotonic clock stands still, and nobody keeps its connections. */
export function suspend(
  { faults, history, scheduler }: World,
  { number, process }: Machine,
  lastsMs: number,
  deaf: Map<number, number>,
): void {
  if (!process || process.frozenUntil > scheduler.nowMs) return;
  const until = scheduler.nowMs + lastsMs;
  process.frozenUntil = until;
  process.sleptMs += lastsMs;
  deaf.set(number, Math.max(deaf.get(number) ?? 0, until + 1));
  faults.note("suspend", number, lastsMs);
  history.add(`! ${process.name} and its machine sleep for ${Math.round(lastsMs)} ms`);
}
