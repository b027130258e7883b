/** Whoever keeps the keys: turns them over now and then, and does not always answer. */
import { createSecretKey, type KeyObject } from "node:crypto";
import type { KeyRing } from "../src/envelope/key-ring.ts";
import type { ReloadingKeys } from "../src/envelope/reloading-keys.ts";
import type { Process } from "./process.ts";
import type { World } from "./world.ts";

export interface Keeper {
  /** Every key there has ever been, the sealing key first. */
  readonly all: KeyRing;
  /** What a process that starts now is given. */
  keysFor(process: Process): KeyRing | ReloadingKeys;
  /** Lets rotations come until healed. */
  begin(world: World): void;
  heal(): void;
}

/** How long after a load a process makes the next one, at most. */
export const LOAD_EVERY_MS = 120_000;
/** What a process waits for when it reads a record it has no key for. */
const SLOW_MS = 300;
const FIRST = "sim";
/** Four askings at once for the sake of unknown ids, a planned load, and one whose turn it was at the same time. */
const LOADS_AT_ONCE = 6;
const LOADS_PER_MS = 1 / 5_000 + 1 / (0.8 * LOAD_EVERY_MS);

export function createKeeper(): Keeper {
  const keys = new Map<string, KeyObject>([[FIRST, keyOf(0)]]);
  const allowances = new WeakMap<Process, { left: number; readonly at: number }>();
  let sealing = FIRST;
  let isHealed = false;
  let world: World | undefined;

  const find = (keyId: string): KeyObject | undefined => keys.get(keyId);

  /** The keys as they are at this moment. */
  function ringNow(): KeyRing {
    const known = new Map(keys);
    const keyIds = [sealing, ...[...known.keys()].filter((id) => id !== sealing)];
    return { sealingKeyId: sealing, keyIds, find: (keyId) => known.get(keyId) };
  }

  function begin(given: World): void {
    world = given;
    const { keys: how } = world.profile;
    if (how === undefined) return;
    const again = (): void => {
      given.scheduler.after(given.prng.keys.wait(how.gapMs), undefined, () => {
        if (isHealed) return;
        if (given.prng.keys.chance(0.4)) rekeySomewhere(given);
        else rotate(given, how.isHasty ? given.prng.keys.wait(2_000) : LOAD_EVERY_MS + 5_000);
        again();
      });
    };
    again();
  }

  /** First readable everywhere, then sealing; who is hasty does not wait until it is readable everywhere. */
  function rotate({ scheduler, history, faults }: World, phaseMs: number): void {
    const id = `k${keys.size}`;
    keys.set(id, keyOf(keys.size));
    faults.note("key-rotation");
    history.add(`! key ${id} can be had`);
    scheduler.after(phaseMs, undefined, () => {
      sealing = id;
      history.add(`! key ${id} seals`);
    });
  }

  /** Made-up key ids must not flood whoever keeps the keys. */
  function count({ scheduler, checker }: World, process: Process): void {
    const { nowMs } = scheduler;
    const { left, at } = allowances.get(process) ?? { left: LOADS_AT_ONCE, at: nowMs };
    const now = Math.min(LOADS_AT_ONCE, left + (nowMs - at) * LOADS_PER_MS) - 1;
    allowances.set(process, { left: now, at: nowMs });
    if (now < 0) checker.broken("keys", `${process.name} asks for the keys again and again`);
  }

  /** The process's own way to the keys. */
  function load(process: Process): Promise<KeyRing> {
    const { scheduler, prng, profile, faults, history } = world as World;
    count(world as World, process);
    const fails = !isHealed && prng.keys.chance(profile.keys?.fails ?? 0);
    const wayMs = fails ? prng.keys.wait(3_000) : prng.keys.wait(20);
    if (fails || wayMs >= SLOW_MS) faults.note("keys-fail", process.machine.number, wayMs);
    return new Promise((resolve, reject) => {
      scheduler.after(wayMs, process, () => {
        history.add(`${process.name} asks for the keys: ${fails ? "no answer" : sealing}`);
        if (fails) reject(new Error("simulated: nobody gives out keys"));
        else resolve(ringNow());
      });
    });
  }

  return {
    all: {
      get sealingKeyId() {
        return sealing;
      },
      get keyIds() {
        return [...keys.keys()];
      },
      find,
    },
    keysFor(process) {
      const ring = ringNow();
      if (world?.profile.keys === undefined) return ring;
      return { ring, load: () => load(process), everyMs: LOAD_EVERY_MS };
    },
    begin,
    heal() {
      isHealed = true;
    },
  };
}

function keyOf(number: number): KeyObject {
  return createSecretKey(new Uint8Array(32).fill(42 + number));
}

/** Some process seals everything anew, whatever else happens meanwhile. */
function rekeySomewhere(world: World): void {
  const { process } = world.prng.keys.pick(world.machines);
  if (process && !process.draining) rekey(world, process, () => undefined);
}

/** `ended` is told whether everything could be done. */
export function rekey(world: World, process: Process, ended: (isDone: boolean) => void): void {
  world.scheduler.after(0, process, () => void sealAnew(world, process, ended));
}

async function sealAnew(
  { history }: World,
  process: Process,
  ended: (isDone: boolean) => void,
): Promise<void> {
  history.add(`${process.name} begins to seal everything anew`);
  try {
    const { scanned, resealed, skipped, unreadable, conflicts } = await process.cache.rekey({
      perSecond: 1_000,
    });
    const counts = { scanned, resealed, skipped, unreadable, conflicts };
    history.add(`${process.name} has sealed anew: ${JSON.stringify(counts)}`);
    ended(conflicts === 0);
  } catch (error) {
    history.add(`${process.name} could not seal everything anew: ${(error as Error).message}`);
    ended(false);
  }
}
