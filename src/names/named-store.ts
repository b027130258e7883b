/** A store in which names say nothing: keys in front of it, names behind it. */
import { LRUCache } from "lru-cache";
import type { Sealer } from "../envelope/sealer.ts";
import type { Runtime } from "../runtime.ts";
import type { Backplane } from "../store/backplane.ts";
import type { BlobAdmin } from "../store/blob-admin.ts";
import type { RefreshLease } from "../store/refresh-lease.ts";
import type { Store } from "../store/store.ts";
import type { Emit } from "../telemetry/emitter.ts";
import { partitionLabel } from "../telemetry/emitter.ts";
import { nameActivity } from "./activity-store.ts";
import { movedFrom } from "./labels.ts";
import { movingRecords } from "./moving-records.ts";
import { hiddenPrefix } from "./naming.ts";
import type { Namings } from "./namings.ts";
import { placeOf, recordsAt, type Place, type Records } from "./records.ts";

export interface NamedStoreOptions {
  readonly namings: Namings;
  readonly sealer: Sealer;
  readonly namespace: string;
  readonly runtime: Runtime;
  readonly emit: Emit;
}

/**
 * So many keys are known by their names, for messages from other processes. One that is not costs time, not
 * correctness: the change counter tells, too.
 */
const MAX_KNOWN_NAMES = 100_000;

export function nameStore(store: Store, options: NamedStoreOptions): Store {
  const { namings } = options;
  const current = placeOf(namings.current, options);
  const other = namings.other && placeOf(namings.other, options);
  const places = other ? [current, other] : [current];
  const known = new LRUCache<string, string>({ max: MAX_KNOWN_NAMES });
  const records = remembering(recordsOf(store, current, other, options), places, known);
  return {
    name: store.name,
    ...records,
    ...(store.replicated && { replicated: (key: string) => areReplicated(store, places, key) }),
    ...(store.inspect && { inspect: () => store.inspect!() }),
    ...(store.backplane && { backplane: namedBackplane(store.backplane, current, known) }),
    ...(store.lease && { lease: namedLease(store.lease, namings) }),
    ...(store.activity && { activity: nameActivity(store.activity, namings, options) }),
    ...(store.admin && { admin: namedAdmin(store, store.admin, inOrder(places, namings), options) }),
    ...(store.patienceMs !== undefined && { patienceMs: store.patienceMs }),
    ...(store.close && { close: () => store.close!() }),
  };
}

function recordsOf(
  store: Store,
  current: Place,
  other: Place | undefined,
  { namings: { moves }, runtime }: NamedStoreOptions,
): Records {
  if (!other) return recordsAt(store, current);
  const [old, next] = moves ? [other, current] : [current, other];
  return movingRecords(store, { old, next, moves, runtime });
}

/** What ended under one name must not come back under the other: as long as there are two, both are asked. */
async function areReplicated(
  store: Store,
  places: readonly Place[],
  key: string,
): Promise<boolean | undefined> {
  const answers = await Promise.all(places.map(async ({ name }) => store.replicated?.(name(key))));
  return answers.includes(false) ? false : answers.includes(true) || undefined;
}

/** What moves meanwhile is found in the second place, if not in the first. */
function inOrder(places: readonly Place[], { moves }: Namings): readonly Place[] {
  return moves ? places.toReversed() : places;
}

function remembering(records: Records, places: readonly Place[], known: LRUCache<string, string>): Records {
  function remember(key: string): void {
    for (const { name } of places) known.set(name(key), key);
  }
  return {
    ...records,
    get(key, options) {
      remember(key);
      return records.get(key, options);
    },
    put(key, bytes, options) {
      remember(key);
      return records.put(key, bytes, options);
    },
  };
}

/** Messages speak of names. What this process has never read, it has no copy of. */
function namedBackplane(backplane: Backplane, place: Place, known: LRUCache<string, string>): Backplane {
  return {
    changeCounter: () => backplane.changeCounter(),
    publish: ({ key, version }) => backplane.publish({ key: place.name(key), version }),
    subscribe: (listener) =>
      backplane.subscribe(({ key: name, version }) => {
        const key = known.get(name);
        if (key !== undefined) listener({ key, version });
      }),
  };
}

/** While names change, a lease is held under both: whoever knows one of them meets whoever knows the other. */
function namedLease(lease: RefreshLease, { current, other, moves }: Namings): RefreshLease {
  const namesOf = (key: string): readonly string[] => {
    if (!other) return [current.leaseName(key)];
    const names = [current.leaseName(key), other.leaseName(key)];
    // In one order, or two processes would wait for each other.
    return moves ? names.toReversed() : names;
  };
  return {
    async acquire(key, options) {
      const asked: string[] = [];
      const giveBack = async (): Promise<void> => {
        for (const name of asked) await lease.release(name, options).catch(() => undefined);
      };
      try {
        for (const name of namesOf(key)) {
          // An answer that is lost may have been a yes.
          asked.push(name);
          const result = await lease.acquire(name, options);
          if (result.held) continue;
          await giveBack();
          return result;
        }
        return { held: true };
      } catch (error) {
        await giveBack();
        throw error;
      }
    },
    async renew(key, options) {
      const renewed: boolean[] = [];
      for (const name of namesOf(key)) renewed.push(await lease.renew(name, options));
      return renewed.every(Boolean);
    },
    async release(key, options) {
      for (const name of namesOf(key).toReversed()) await lease.release(name, options);
    },
  };
}

interface Cursor {
  readonly at: number;
  readonly inner?: string | undefined;
}

const UNOPENED = Symbol("a label that does not open here");

/** Lists partition keys, out of the labels; what does not open here is left out, counted, and told by an event. */
function namedAdmin(
  store: Store,
  admin: BlobAdmin,
  places: readonly Place[],
  { namespace, emit }: NamedStoreOptions,
): BlobAdmin {
  async function keyOf(place: Place, name: string): Promise<string | undefined | typeof UNOPENED> {
    // Not looked at: a backend may keep other things among them. What has moved is found twice for a while.
    if (!place.naming.hides) return name.startsWith(hiddenPrefix(namespace)) ? undefined : name;
    const stored = await store.get(name);
    if (typeof stored !== "object" || movedFrom(stored)) return undefined;
    const found = await place.keyOf(name, stored);
    if ("key" in found) return found.key;
    emit({ type: "record-unreadable", partition: partitionLabel(name), reason: found.reason });
    return UNOPENED;
  }

  return {
    async keys({ prefix, limit, cursor }) {
      const from: Cursor = cursor === undefined ? { at: 0 } : (JSON.parse(cursor) as Cursor);
      const place = places[from.at]!;
      const asked = place.naming.hides ? place.naming.prefix : prefix;
      const inner = from.inner === undefined ? {} : { cursor: from.inner };
      const page = await admin.keys({ prefix: asked, limit, ...inner });
      const keys = await Promise.all(page.keys.map((name) => keyOf(place, name)));
      const isFound = (key: string | undefined | typeof UNOPENED): key is string =>
        typeof key === "string" && key.startsWith(prefix);
      const found = { keys: keys.filter(isFound), unopened: keys.filter((key) => key === UNOPENED).length };
      const to: Cursor | undefined =
        page.cursor === undefined ? nextPlace(from, places) : { at: from.at, inner: page.cursor };
      return to ? { ...found, cursor: JSON.stringify(to) } : found;
    },
    purgeExpired: (options) => admin.purgeExpired(options),
  };
}

function nextPlace({ at }: Cursor, places: readonly Place[]): Cursor | undefined {
  return at + 1 < places.length ? { at: at + 1 } : undefined;
}
