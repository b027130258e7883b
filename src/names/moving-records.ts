/**
 * Records on their way from one name to another, while some processes already move them and others only follow.
 *
 * As long as a record has not moved, the old name decides: every write compares and swaps there. Moving is such a
 * write too: it puts the moved mark there, with the new record in it, and who sees that mark, mover or follower,
 * puts the record under its new name before doing anything else. From then on the new name decides. What is left
 * of the mark keeps late writers from the old name until no write that began before can still be on its way.
 */
import type { Runtime } from "../runtime.ts";
import { randomId } from "../runtime.ts";
import type { GetOptions, PutOptions, PutResult, Stored } from "../store/blob-store.ts";
import type { Outdated } from "../store/outdated.ts";
import { movedFrom, movedMark, type Moved } from "./labels.ts";
import type { Place, Records } from "./records.ts";

/** Longer than any write is on its way. */
const MARK_TTL_MS = 600_000;
/** A record moves once; more rounds than that are only met where a store does not keep its promises. */
const MAX_ROUNDS = 5;

const missed: PutResult = Object.freeze({ stored: false });

export interface MovingOptions {
  readonly old: Place;
  readonly next: Place;
  /** True: what is written moves. False: it stays where it is found, and what is new goes to the old name. */
  readonly moves: boolean;
  readonly runtime: Runtime;
}

export function movingRecords(store: Records, { old, next, moves, runtime }: MovingOptions): Records {
  async function get(key: string, options: GetOptions = {}): Promise<Stored | "unchanged" | undefined> {
    for (let round = 1; round <= MAX_ROUNDS; round += 1) {
      const [there, before] = await Promise.all([
        store.get(next.name(key), options),
        store.get(old.name(key), options),
      ]);
      const moved = typeof before === "object" ? movedFrom(before) : undefined;
      if (moved?.version !== undefined) await complete(key, before as Stored, moved);
      else if (there !== undefined) return unwrap(next, there);
      else if (!moved) return moves ? outdated(unwrap(old, before)) : unwrap(old, before);
      // It moved between the two readings.
      else return unwrap(next, await store.get(next.name(key), options));
    }
    throw new Error("a record does not come to rest between its two names");
  }

  /** Puts what has moved under its new name, whoever moved it. */
  async function complete(key: string, mark: Stored, moved: Moved): Promise<void> {
    const ttlMs = moved.expiresAtMs - runtime.now();
    if (ttlMs > 0) {
      const { version, bytes } = moved;
      await store.put(next.name(key), bytes, { version: version!, ifVersion: null, ttlMs });
    }
    const rest = movedMark({ expiresAtMs: moved.expiresAtMs, version: undefined, bytes: new Uint8Array() });
    const how = { version: randomId(runtime), ifVersion: mark.version, ttlMs: MARK_TTL_MS };
    await store.put(old.name(key), rest, how);
  }

  /** The write under the old name that moves the record. `undefined`: the old name does not decide any more. */
  async function move(key: string, bytes: Uint8Array, how: PutOptions): Promise<PutResult | undefined> {
    const { version, ttlMs } = how;
    const moved: Moved = { expiresAtMs: runtime.now() + ttlMs, version, bytes: next.wrap(key, bytes) };
    const mark: Stored = { bytes: movedMark(moved), version: `${version}.moved` };
    const put = { ...how, version: mark.version };
    if (!(await store.put(old.name(key), mark.bytes, put)).stored) return undefined;
    await complete(key, mark, moved);
    const there = await store.get(next.name(key), { unlessVersion: version });
    if (there === undefined || there === "unchanged") return { stored: true };
    throw new Error(
      "another write followed while a record moved: what lies there tells whether it is built on",
    );
  }

  async function conflict(key: string): Promise<PutResult> {
    const current = await get(key);
    return typeof current === "object" ? { stored: false, current } : missed;
  }

  async function put(key: string, bytes: Uint8Array, how: PutOptions): Promise<PutResult> {
    if (how.ifVersion === null) {
      // A mark may have expired since: the old name alone cannot say that nothing is there.
      if (await store.get(next.name(key))) return conflict(key);
    } else if (moves) {
      const there = await store.put(next.name(key), next.wrap(key, bytes), how);
      if (there.stored) return there;
    }
    const before = moves
      ? await move(key, bytes, how)
      : await store.put(old.name(key), old.wrap(key, bytes), how);
    return before?.stored ? before : putWhereItIs(key, bytes, how);
  }

  /** The old name did not take it. If the record has moved, the new name decides. */
  async function putWhereItIs(key: string, bytes: Uint8Array, how: PutOptions): Promise<PutResult> {
    const current = await get(key);
    const version = typeof current === "object" ? current.version : null;
    if (version !== how.ifVersion) return typeof current === "object" ? { stored: false, current } : missed;
    const there = await store.put(next.name(key), next.wrap(key, bytes), how);
    return there.stored ? there : conflict(key);
  }

  return {
    get,
    put,
    touch: async (key, options) =>
      (await store.touch(next.name(key), options)) || store.touch(old.name(key), options),
    delete: async (key, options) =>
      (await store.delete(next.name(key), options)) || store.delete(old.name(key), options),
  };
}

/** It is still to move. */
function outdated(stored: Stored | "unchanged" | undefined): Stored | "unchanged" | undefined {
  const mark: Outdated = { outdated: true };
  return typeof stored === "object" ? { ...stored, ...mark } : stored;
}

function unwrap(place: Place, stored: Stored | "unchanged" | undefined): Stored | "unchanged" | undefined {
  return typeof stored === "object" ? place.unwrap(stored) : stored;
}
