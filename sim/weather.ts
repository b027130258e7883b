/** What befalls the run as a whole: outages, pauses, losses. */
import type { FaultKind } from "./profile.ts";
import { createPrng, type Prng } from "./prng.ts";
import { sleepThroughSignOut, suspend, tryMemory } from "./memory-scenes.ts";
import { comeBack, comeBackTo, comeLate, divide, isolate, outlive, outrun, revoke } from "./scenes.ts";
import type { World } from "./world.ts";

export interface Weather {
  /** True if the store cannot be reached from this machine. */
  isUnreachable(machine: number): boolean;
  /** True if this machine's subscription is half open: it hears nothing, and does not know. */
  isDeaf(machine: number): boolean;
  /** How much longer than usual a request to the provider is on its way, ms. */
  providerLagMs(): number;
  /** Lets requests to the provider that are sent from now on take longer, for so long. */
  slowProvider(forMs: number): void;
  /** Ends everything that lasts. */
  heal(): void;
  /** Lets disturbances come until healed. */
  begin(world: World): void;
}

type Disturbance = (typeof DISTURBANCES)[number];

const DISTURBANCES = [
  "outage",
  "cut-off",
  "half-open",
  "pause",
  "crash",
  "evict",
  "restore",
  "full",
  "clock-jump",
  "suspend",
] as const satisfies readonly FaultKind[];

export function createWeather(): Weather {
  const cutOff = new Map<number, number>();
  const deaf = new Map<number, number>();
  let downUntil = 0;
  let slowProviderUntil = 0;
  let nowMs = (): number => 0;
  let healed = false;

  function slowProvider(forMs: number): void {
    slowProviderUntil = Math.max(slowProviderUntil, nowMs() + forMs);
  }

  function begin(world: World): void {
    const { scheduler, profile } = world;
    const prng = world.prng.weather;
    nowMs = () => scheduler.nowMs;
    const possible = DISTURBANCES.filter((kind) => profile.faults.has(kind));
    const again = (): void => {
      scheduler.after(prng.wait(profile.disturbanceGapMs), undefined, () => {
        if (healed) return;
        if (possible.length > 0) strike(world, prng.pick(possible));
        if (profile.revokes && prng.chance(0.3)) {
          if (prng.chance(0.5)) revoke(world);
          else comeBack(world, slowProvider);
        }
        if (prng.chance(0.1)) tryMemory(world, prng.pick(world.machines), deaf);
        again();
      });
    };
    again();
    const comingBack = createPrng(profile.seed, "coming back");
    if (profile.faults.has("cut-off") && comingBack.chance(0.5)) comeBackNowAndThen(world, comingBack);
  }

  /** A stream of its own: the other disturbances are what they were. */
  function comeBackNowAndThen(world: World, prng: Prng): void {
    world.scheduler.after(prng.wait(40_000), undefined, () => {
      if (healed) return;
      if (prng.chance(0.5)) outrun(world, prng);
      else if (world.machines.length > 1) comeBackTo(world, prng, prng.pick(world.machines), cutOff);
      comeBackNowAndThen(world, prng);
    });
  }

  /** How long something lasts: mostly shorter than anybody's patience, sometimes longer. */
  function duration(world: World): number {
    const prng = world.prng.weather;
    return prng.pick([prng.wait(50), prng.wait(2_000), prng.wait(40_000)]);
  }

  function strike(world: World, kind: Disturbance): void {
    const { faults, history, store, machines, profile } = world;
    const prng = world.prng.weather;
    const lastsMs = duration(world);
    const machine = prng.pick(machines);
    const until = world.scheduler.nowMs + lastsMs;
    const where = `machine ${machine.number}`;
    switch (kind) {
      case "outage":
        downUntil = Math.max(downUntil, until);
        faults.note(kind, undefined, lastsMs);
        return history.add(`! the store is down for ${Math.round(lastsMs)} ms`);
      case "cut-off":
        if (prng.chance(0.2)) return divide(world, machine, cutOff);
        if (prng.chance(0.35)) return prng.pick([outlive, outlive, comeLate])(world, machine, cutOff);
        if (profile.maxStaleMs <= 20_000 && prng.chance(0.2)) return isolate(world, machine, cutOff);
        cutOff.set(machine.number, Math.max(cutOff.get(machine.number) ?? 0, until));
        faults.note(kind, machine.number, lastsMs);
        return history.add(`! ${where} cannot reach the store for ${Math.round(lastsMs)} ms`);
      case "half-open":
        deaf.set(machine.number, until + lastsMs);
        faults.note(kind, machine.number);
        return history.add(`! ${where} hears nothing for ${Math.round(2 * lastsMs)} ms`);
      case "pause":
        if (!machine.process) return;
        // Nothing of this kind ends a sleep.
        machine.process.frozenUntil = Math.max(machine.process.frozenUntil, until);
        faults.note(kind, machine.number, lastsMs);
        return history.add(`! ${machine.process.name} is frozen for ${Math.round(lastsMs)} ms`);
      case "suspend":
        if (prng.chance(0.6))
          return sleepThroughSignOut(world, machine, world.operations.pickUser(prng), deaf);
        return suspend(world, machine, lastsMs, deaf);
      case "clock-jump":
        machine.skewMs = prng.int(-profile.maxSkewMs, profile.maxSkewMs);
        faults.note(kind, machine.number);
        return history.add(`! the clock of ${where} jumps: it is off by ${machine.skewMs} ms now`);
      case "crash":
        return machine.process?.crash("out of the blue");
      case "evict": {
        const keys = [...store.records.keys()];
        if (keys.length === 0) return;
        const key = prng.pick(keys);
        faults.note(kind);
        history.add(`! the store evicts ${key.split(":").slice(1, 2).join()}`);
        return store.evict(key);
      }
      case "restore":
        if (prng.chance(0.6)) return store.snapshot();
        faults.note(kind);
        history.add("! the store goes back to an older state");
        return store.restore();
      case "full":
        if (store.full) return;
        store.full = true;
        faults.note(kind, undefined, lastsMs);
        history.add(`! the store is full for ${Math.round(lastsMs)} ms`);
        return void world.scheduler.after(lastsMs, undefined, () => {
          store.full = false;
        });
      default:
        throw new Error(`${String(kind)} is not a disturbance (${profile.seed})`);
    }
  }

  return {
    // A scene that was still under way when everything healed goes on in good weather.
    isUnreachable: (machine) => !healed && nowMs() < Math.max(downUntil, cutOff.get(machine) ?? 0),
    isDeaf: (machine) => !healed && nowMs() < (deaf.get(machine) ?? 0),
    providerLagMs: () => (!healed && nowMs() < slowProviderUntil ? 400 : 0),
    slowProvider,
    begin,
    heal() {
      healed = true;
    },
  };
}
