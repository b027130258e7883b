/** Somebody who can write to the store and has no key. */
import { parseHeader } from "../src/envelope/format.ts";
import { SIGN_IN_SCOPES } from "./cast.ts";
import { short } from "./link.ts";
import { changedWithin } from "./names.ts";
import type { StoreRecord } from "./store.ts";
import type { World } from "./world.ts";

export interface Tamperer {
  /** Changes records until healed. */
  begin(world: World): void;
  /** Takes back what would stand in everybody's way for ever. */
  heal(): void;
}

/** Longer than most retries, shorter than a run. */
const PLANTED_MS = 15_000;

export function createTamperer(): Tamperer {
  const planted = new Map<string, { readonly original: StoreRecord; readonly version: string }>();
  let isHealed = false;
  let world: World | undefined;

  function begin(given: World): void {
    world = given;
    if (!given.profile.tampers) return;
    const again = (): void => {
      given.scheduler.after(given.prng.keys.wait(25_000), undefined, () => {
        if (isHealed) return;
        given.prng.keys.pick([flip, exchange, exchange, plantKeyId, plantKeyId])(given);
        again();
      });
    };
    again();
  }

  /** What is not authentic is as good as lost: only a sign-in may replace it. */
  function put(given: World, key: string, bytes: Uint8Array): void {
    given.history.add(`! somebody changes ${short(key)}`);
    given.faults.note("tamper");
    given.store.tamper(key, bytes);
  }

  function pickKey({ store, prng }: World, kind?: string): string | undefined {
    const keys = [...store.records.keys()].filter(
      (key) => !planted.has(key) && (kind === undefined || key.split(":")[1] === kind),
    );
    return keys.length === 0 ? undefined : prng.keys.pick(keys);
  }

  function flip(given: World): void {
    const key = pickKey(given);
    const record = key === undefined ? undefined : given.store.records.get(key);
    if (key === undefined || !record) return;
    // What names lay around a record is only for those who list the store.
    const bytes =
      !given.profile.names || given.prng.keys.chance(0.8)
        ? changedWithin(record.bytes, (inner) => flipped(given, inner))
        : flipped(given, Buffer.from(record.bytes));
    put(given, key, bytes);
  }

  function flipped({ prng }: World, bytes: Buffer): Buffer {
    const at = prng.keys.int(8, bytes.length - 1);
    const parsed = parseHeader(bytes);
    // Not the key id: that is another matter.
    const from = parsed.ok ? 7 + parsed.header.keyId.length : 8;
    bytes[Math.max(at, from)]! ^= 1 << prng.keys.int(0, 7);
    return bytes;
  }

  /** Each of two users gets the other's record. */
  function exchange(given: World): void {
    const [one, other] = [pickKey(given, "user"), pickKey(given, "user")];
    if (one === undefined || other === undefined || one === other) return;
    const [mine, theirs] = [given.store.records.get(one), given.store.records.get(other)];
    if (!mine || !theirs) return;
    put(given, one, theirs.bytes);
    put(given, other, mine.bytes);
  }

  /** The record says that it was sealed under a key that nobody has: that must harm nobody for longer than it lies there. */
  function plantKeyId(given: World): void {
    const key = pickKey(given, given.prng.keys.chance(0.7) ? "user" : undefined);
    const original = key === undefined ? undefined : given.store.records.get(key);
    if (key === undefined || !original) return;
    const lastsMs = given.prng.keys.pick([500, PLANTED_MS, 4 * PLANTED_MS]);
    const keyId = `z${given.prng.keys.int(0, 999_999)}`;
    const bytes = changedWithin(original.bytes, (inner) => withKeyId(inner, keyId));
    given.history.add(`! somebody plants an unknown key id in ${short(key)} for ${lastsMs} ms`);
    given.faults.note("key-id", undefined, lastsMs);
    planted.set(key, { original, version: given.store.tamper(key, bytes, "planted") });
    given.scheduler.after(lastsMs, undefined, () => takeBack(key));
    if (lastsMs > 1_000 && given.prng.keys.chance(0.5)) crowd(given, lastsMs);
  }

  /** Somebody asks one machine for everybody's tokens all the while. */
  function crowd({ prng, machines, operations, scheduler }: World, lastsMs: number): void {
    const machine = prng.keys.pick(machines);
    for (let turn = 1; turn <= 12; turn += 1) {
      scheduler.after((turn * lastsMs) / 40, undefined, () => {
        if (!machine.process) return;
        for (const user of operations.users)
          operations.silent(machine.process, user, { kind: "silent", scopes: SIGN_IN_SCOPES });
      });
    }
  }

  function takeBack(key: string): void {
    const plant = planted.get(key);
    const { store, history, faults } = world as World;
    planted.delete(key);
    if (!plant || store.records.get(key)?.version !== plant.version) return;
    history.add(`! somebody puts ${short(key)} back`);
    faults.felt("key-id");
    store.tamper(key, plant.original.bytes, "planted");
  }

  return {
    begin,
    heal() {
      isHealed = true;
      for (const key of planted.keys()) takeBack(key);
    },
  };
}

/** The same bytes, under another key id. */
function withKeyId(bytes: Uint8Array, keyId: string): Uint8Array {
  const parsed = parseHeader(bytes);
  if (!parsed.ok) return bytes;
  const rest = Buffer.from(bytes).subarray(7 + parsed.header.keyId.length);
  return Buffer.concat([
    Buffer.from(bytes).subarray(0, 6),
    Buffer.of(keyId.length),
    Buffer.from(keyId),
    rest,
  ]);
}
