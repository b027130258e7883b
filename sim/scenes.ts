/** Short scenes in which several things come together that seldom meet by chance. */
import { RESOURCES, SIGN_IN_SCOPES } from "./cast.ts";
import type { Prng } from "./prng.ts";
import type { Machine, Process } from "./process.ts";
import type { World } from "./world.ts";

/** Until when which machine cannot reach the store, virtual ms. */
type CutOff = Map<number, number>;

function cut(world: World, { number }: Machine, cutOff: CutOff, lastsMs: number): void {
  cutOff.set(number, Math.max(cutOff.get(number) ?? 0, world.scheduler.nowMs + lastsMs));
  world.faults.note("cut-off", number, lastsMs);
  world.history.add(`! machine ${number} is alone for ${Math.round(lastsMs)} ms`);
}

/**
 * A user signs in and out on a machine that is alone and on another one, in any order, closer together than clocks
 * may differ and further apart: what waits must find its place when the machine is back.
 */
export function divide(world: World, alone: Machine, cutOff: CutOff): void {
  const prng = world.prng.weather;
  const { scheduler, operations, machines, profile } = world;
  const user = operations.pickUser(prng);
  const others = machines.filter((machine) => machine !== alone);
  const look = (machine: Machine): void => {
    const { process } = machine;
    if (process) operations.silent(process, user, { kind: "silent", scopes: prng.pick(RESOURCES) });
  };
  // What it knows before it is alone, it goes by.
  look(alone);
  look(alone);
  const knowsMs = 300;
  let atMs = knowsMs;
  for (let acts = prng.int(2, 5); acts > 0; acts--) {
    atMs += prng.pick([prng.wait(30), prng.wait(2_000), prng.wait(4 * profile.maxSkewMs + 2_000)]);
    const { number } = prng.chance(0.5) ? alone : prng.pick(others);
    const signsIn = prng.chance(0.5);
    scheduler.after(atMs, undefined, () => {
      const process = machines[number]?.process;
      if (!process) return;
      if (signsIn) operations.signIn(process, user);
      else operations.signOut(process, user);
    });
  }
  scheduler.after(knowsMs, undefined, () => cut(world, alone, cutOff, atMs - knowsMs + prng.wait(500)));
  // Somebody looks on the way, and when the machine is back.
  for (const delayMs of [prng.wait(atMs), atMs + 1_000 + prng.wait(2_000)]) {
    const machine = prng.pick(machines);
    scheduler.after(delayMs, undefined, () => look(machine));
  }
}

/**
 * A user signs out elsewhere while a machine that has their tokens is alone, and signs in there much later: of what
 * was there before, nothing comes back with the machine.
 */
export function outlive(world: World, alone: Machine, cutOff: CutOff): void {
  const prng = world.prng.weather;
  const { scheduler, operations, machines, profile } = world;
  const user = operations.pickUser(prng);
  const look = (scopes: readonly string[]): void => {
    if (alone.process) operations.silent(alone.process, user, { kind: "silent", scopes });
  };
  for (const scopes of RESOURCES) look(scopes);
  const laterMs = 4 * profile.maxSkewMs + 3_000;
  scheduler.after(500, undefined, () => cut(world, alone, cutOff, laterMs + 1_500));
  // What is renewed alone waits, and is what a sign-in there is then built on.
  scheduler.after(600, undefined, () => {
    if (alone.process)
      operations.silent(alone.process, user, { kind: "force", scopes: prng.pick(RESOURCES) });
  });
  const other = prng.pick(machines.filter((machine) => machine !== alone));
  scheduler.after(1_000, undefined, () => {
    if (other.process) operations.signOut(other.process, user);
  });
  scheduler.after(laterMs, undefined, () => {
    if (alone.process) operations.signIn(alone.process, user);
  });
  scheduler.after(laterMs + 3_000, undefined, () => look(SIGN_IN_SCOPES));
}

/**
 * Somebody signs in on a machine that is alone; elsewhere they sign out later, and in once more: what waited on the
 * machine was ended, and does not join the life that began since.
 */
export function comeLate(world: World, alone: Machine, cutOff: CutOff): void {
  const prng = world.prng.weather;
  const { scheduler, operations, machines, profile } = world;
  const user = operations.pickUser(prng);
  const other = prng.pick(machines.filter((machine) => machine !== alone));
  const laterMs = 4 * profile.maxSkewMs + 2_000;
  const at = (delayMs: number, machine: Machine, act: (process: Process) => void): void => {
    scheduler.after(delayMs, undefined, () => {
      if (machine.process) act(machine.process);
    });
  };
  cut(world, alone, cutOff, laterMs + 2_000);
  at(100, alone, (process) => operations.signIn(process, user));
  at(laterMs, other, (process) => operations.signOut(process, user));
  at(laterMs + 1_000, other, (process) => operations.signIn(process, user));
}

/**
 * Somebody signs out on a machine and, while it is alone, in again elsewhere; then they come back to it. Its memory
 * still says: signed out.
 */
export function comeBackTo(world: World, prng: Prng, alone: Machine, cutOff: CutOff): void {
  const { scheduler, operations, machines } = world;
  const user = operations.pickUser(prng);
  const other = prng.pick(machines.filter((machine) => machine !== alone));
  const at = (delayMs: number, machine: Machine, act: (process: Process) => void): void => {
    scheduler.after(delayMs, undefined, () => {
      if (machine.process && !machine.process.draining) act(machine.process);
    });
  };
  at(0, alone, (process) => operations.signOut(process, user));
  scheduler.after(500, undefined, () => cut(world, alone, cutOff, 3_000));
  at(600, other, (process) => operations.signIn(process, user));
  at(1_500, alone, (process) => {
    operations.silent(process, user, { kind: "silent", scopes: prng.pick(RESOURCES) });
  });
}

/** Somebody signs out and in again while a renewal from before is at the provider: its answer belongs to no life now. */
export function outrun(world: World, prng: Prng): void {
  const { scheduler, operations, machines, weather } = world;
  const user = operations.pickUser(prng);
  const at = (delayMs: number, act: (process: Process) => void): void => {
    const machine = prng.pick(machines);
    scheduler.after(delayMs, undefined, () => {
      if (machine.process && !machine.process.draining) act(machine.process);
    });
  };
  const scopes = prng.pick(RESOURCES);
  at(0, (process) => operations.silent(process, user, { kind: "silent", scopes }));
  scheduler.after(900, undefined, () => weather.slowProvider(90));
  at(950, (process) => operations.silent(process, user, { kind: "force", scopes }));
  at(1_010, (process) => operations.signOut(process, user));
  at(1_150, (process) => operations.signIn(process, user));
}

/** A machine that has somebody's tokens hears nothing of their sign-out until its copies are too old to be served. */
export function isolate(world: World, machine: Machine, cutOff: CutOff): void {
  const { scheduler, operations, machines } = world;
  const prng = world.prng.weather;
  const user = operations.pickUser(prng);
  const other = prng.pick(machines);
  const ask = (): void => {
    const process = machine.process;
    if (process) operations.silent(process, user, { kind: "silent", scopes: SIGN_IN_SCOPES });
  };
  ask();
  const lastsMs = world.profile.maxStaleMs + 8_000;
  scheduler.after(500, undefined, () => {
    cut(world, machine, cutOff, lastsMs);
  });
  scheduler.after(1_500, undefined, () => {
    if (other.process && other !== machine) operations.signOut(other.process, user);
  });
  scheduler.after(world.profile.maxStaleMs + 5_000, undefined, ask);
}

/**
 * The provider has ended a user's sign-ins and they sign in again, while a request with the old refresh token is on
 * its way: whoever is refused finds the new one before telling anybody to sign in.
 * @param slowProvider makes what is asked of the provider from now on take its time
 */
export function comeBack(world: World, slowProvider: (forMs: number) => void): void {
  const prng = world.prng.weather;
  const { scheduler, operations, machines } = world;
  const user = operations.pickUser(prng);
  const first = prng.int(0, machines.length - 1);
  const at = (delayMs: number, index: number, act: (process: Process) => void): void => {
    const machine = machines[index % machines.length];
    scheduler.after(delayMs, undefined, () => {
      if (machine?.process) act(machine.process);
    });
  };
  endSignIns(world, user);
  slowProvider(45);
  at(0, first, (process) =>
    operations.silent(process, user, { kind: "force", scopes: prng.pick(RESOURCES) }),
  );
  at(50, first + 1, (process) => operations.signIn(process, user));
}

/**
 * Everybody asks for one token at the moment when it should be renewed, and the provider takes its time: one of them
 * renews it, and nobody waits.
 */
export function meetAhead(world: World, prng: Prng, refreshInSeconds: number): void {
  const { scheduler, operations, machines, profile, weather } = world;
  const user = operations.pickUser(prng);
  const scopes = prng.pick(RESOURCES);
  const dueMs = refreshInSeconds * 1_000 + 2 * profile.maxSkewMs + 2_000;
  scheduler.after(dueMs - 1, undefined, () => weather.slowProvider(1_500));
  for (const machine of machines) {
    for (const delayMs of [0, dueMs + prng.wait(4)]) {
      scheduler.after(delayMs, undefined, () => {
        const { process } = machine;
        if (process && !process.draining) operations.silent(process, user, { kind: "silent", scopes });
      });
    }
  }
}

/** The user's administrator ends all their sign-ins, while somebody acts for them and they sign in again. */
export function revoke(world: World): void {
  const prng = world.prng.weather;
  const { scheduler, operations, machines } = world;
  const user = operations.pickUser(prng);
  for (const act of ["silent", "silent", "sign-in", "silent", "silent", "sign-in"] as const) {
    const { number } = prng.pick(machines);
    scheduler.after(prng.wait(25), undefined, () => {
      const process = machines[number]?.process;
      if (!process) return;
      if (act === "sign-in") operations.signIn(process, user);
      else operations.silent(process, user, { kind: "force", scopes: SIGN_IN_SCOPES });
    });
  }
  endSignIns(world, user);
}

function endSignIns({ history, ledger, provider, scheduler }: World, user: string): void {
  history.add(`! the provider ends all sign-ins of ${user}`);
  ledger.revoked(user, scheduler.nowMs);
  provider.authority.revokeUser(`${user}@contoso.example`);
}
