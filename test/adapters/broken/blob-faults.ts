import type { Store } from "../../../src/store/store.ts";
import type { Fault, MemoryStore } from "./fault.ts";

const hour = 3_600_000;

export const BLOB_FAULTS: readonly Fault[] = [
  ["ignores ifVersion", (store) => ({ put: overwrite(store) }), "put with a stale version loses"],
  ["ignores ifVersion", (store) => ({ put: overwrite(store) }), "creates the key only when it is absent"],
  ["ignores ifVersion", (store) => ({ put: overwrite(store) }), "creating one key at once exactly one wins"],
  [
    "ignores ifVersion",
    (store) => ({ put: overwrite(store) }),
    "replacing one version at once exactly one wins",
  ],
  [
    "takes any version over an absent key",
    (store) => ({ put: resurrect(store) }),
    "does not bring the key back",
  ],
  [
    "takes any version over an absent key",
    (store) => ({ put: resurrect(store) }),
    "over an absent key loses",
  ],
  [
    "takes any version over an absent key",
    (store) => ({ put: resurrect(store) }),
    "expired does not count as present",
  ],
  ["keeps the caller's own array", keepsInput, "if the caller changes its own array"],
  ["hands out its own array", handsOutItsOwn, "if a reader changes what it was handed"],
  [
    "ignores ttlMs",
    (store) => ({ put: (k, b, o) => store.put(k, b, { ...o, ttlMs: hour }) }),
    "an expired value is a miss",
  ],
  [
    "ignores ttlMs",
    (store) => ({ put: (k, b, o) => store.put(k, b, { ...o, ttlMs: hour }) }),
    "also shorten retention",
  ],
  ["counts ttlMs from the first write only", ttlOfFirstWrite, "counted from its last write"],
  ["touch shortens", touchShortens, "touch never shortens"],
  ["touch shortens", touchShortens, "never back by a touch"],
  [
    "touch does nothing",
    (store) => ({
      touch: async (k, { ifVersion }) => (await store.get(k, { unlessVersion: ifVersion })) === "unchanged",
    }),
    "touch renews retention",
  ],
  [
    "brings with a conflict what was there before the winner",
    bringsWhatWasThere,
    "it is never what they started from",
  ],
  ["touch writes back what it read a moment ago", touchClobbers, "does not undo it"],
  ["touch ignores the version", touchIgnoresVersion, "touch with another version"],
  ["touch changes the version", touchChangesVersion, "changes neither version nor bytes"],
  ["folds the case of keys", (store) => mapKeys(store, (key) => key.toLowerCase()), "only by case"],
  ["trims keys", (store) => mapKeys(store, (key) => key.trimEnd()), "only by case, spaces"],
  ["normalises keys", (store) => mapKeys(store, (key) => key.normalize("NFC")), "accents"],
  ["cuts keys at 255 characters", (store) => mapKeys(store, (key) => tooLong(key, 255)), "1,000 of them"],
  [
    "keeps text, not bytes",
    (store) => mapBytes(store, (bytes) => new TextEncoder().encode(new TextDecoder().decode(bytes))),
    "the bytes 0 to 255",
  ],
  [
    "takes an empty value for none",
    (store) => ({ get: async (k, o) => (isEmpty(await store.get(k, o)) ? undefined : store.get(k, o)) }),
    "it is not a miss",
  ],
  ["cuts values at 64 KiB", (store) => mapBytes(store, (bytes) => bytes.slice(0, 65_536)), "1 MiB"],
  [
    "answers a miss with null",
    (store) => ({ get: async (k, o) => (await store.get(k, o)) ?? (null as unknown as undefined) }),
    "a miss is undefined",
  ],
  ["ignores unlessVersion", (store) => ({ get: (k) => store.get(k) }), "unlessVersion answers"],
  [
    "makes versions of its own",
    (store) => ({ put: (k, b, o) => store.put(k, b, { ...o, version: `own ${o.version}` }) }),
    "with the version they were given",
  ],
  [
    "brings no conflicting value",
    (store) => ({ put: async (k, b, o) => ({ stored: (await store.put(k, b, o)).stored }) }),
    "creates the key only when it is absent",
  ],
  [
    "throws on conflict",
    (store) => ({ put: throwsOnConflict(store) }),
    "the conflict is an answer, not an error",
  ],
  [
    "delete ignores the version",
    (store) => ({ delete: deleteAny(store) }),
    "removes nothing and answers false",
  ],
  ["delete does nothing", () => ({ delete: async () => true }), "delete removes the value"],
  [
    "deletes what has expired",
    (store) => ({ delete: async (k, o) => (await store.delete(k, o)) || true }),
    "not there to be deleted",
  ],
  ["reads stale after a conflict", readsStale, "after a put that reported a conflict"],
  ["reads stale on another client", readsStale, "a second client reads what the first has written"],
  ["writes half of a value when aborted", halfWhenAborted, "whole or not at all"],
  ["says that it stored what it did not when aborted", liesWhenAborted, "whole or not at all"],
];

/** Writes whatever is there, as often as it takes. */
function overwrite(store: MemoryStore): Store["put"] {
  return async (key, bytes, options) => {
    for (;;) {
      const present = await store.get(key);
      const ifVersion = typeof present === "object" ? present.version : null;
      const answer = await store.put(key, bytes, { ...options, ifVersion });
      if (answer.stored) return answer;
    }
  };
}

function resurrect(store: MemoryStore): Store["put"] {
  return async (key, bytes, options) => {
    const absent = (await store.get(key)) === undefined;
    return store.put(key, bytes, absent ? { ...options, ifVersion: null } : options);
  };
}

function keepsInput(store: MemoryStore): Partial<MemoryStore> {
  const given = new Map<string, Uint8Array>();
  return {
    put(key, bytes, options) {
      given.set(options.version, bytes);
      return store.put(key, bytes, options);
    },
    async get(key, options) {
      const stored = await store.get(key, options);
      if (typeof stored !== "object") return stored;
      return { ...stored, bytes: new Uint8Array(given.get(stored.version) ?? stored.bytes) };
    },
  };
}

function handsOutItsOwn(store: MemoryStore): Partial<MemoryStore> {
  const own = new Map<string, Uint8Array>();
  return {
    async get(key, options) {
      const stored = await store.get(key, options);
      if (typeof stored !== "object") return stored;
      const bytes = own.get(stored.version) ?? stored.bytes;
      own.set(stored.version, bytes);
      return { ...stored, bytes };
    },
  };
}

function ttlOfFirstWrite(store: MemoryStore): Partial<MemoryStore> {
  return {
    async put(key, bytes, options) {
      const present = await store.get(key);
      const left = typeof present === "object" ? (present.expiresAtMs ?? 0) - Date.UTC(2024, 0, 1) : Infinity;
      return store.put(key, bytes, { ...options, ttlMs: Math.min(options.ttlMs, Math.max(left - 4_000, 1)) });
    },
  };
}

function touchShortens(store: MemoryStore): Partial<MemoryStore> {
  return {
    async touch(key, { ifVersion, ttlMs }) {
      const present = await store.get(key);
      if (typeof present !== "object") return false;
      return (await store.put(key, present.bytes, { version: ifVersion, ifVersion, ttlMs })).stored;
    },
  };
}

/** As a SELECT beside the UPDATE does, which sees the rows as they were when the statement began. */
function bringsWhatWasThere(store: MemoryStore): Partial<MemoryStore> {
  return {
    async put(key, bytes, options) {
      const before = await store.get(key);
      await Promise.resolve();
      const answer = await store.put(key, bytes, options);
      return answer.stored || typeof before !== "object" ? answer : { stored: false, current: before };
    },
  };
}

function touchClobbers(store: MemoryStore): Partial<MemoryStore> {
  return {
    async touch(key, { ifVersion, ttlMs }) {
      const read = await store.get(key);
      if (typeof read !== "object" || read.version !== ifVersion) return false;
      await Promise.resolve();
      const now = await store.get(key);
      const present = typeof now === "object" ? now.version : null;
      const longest = Math.max(ttlMs, (read.expiresAtMs ?? 0) - Date.UTC(2024, 0, 1));
      await store.put(key, read.bytes, { version: ifVersion, ifVersion: present, ttlMs: longest });
      return true;
    },
  };
}

function touchIgnoresVersion(store: MemoryStore): Partial<MemoryStore> {
  return {
    async touch(key, { ttlMs }) {
      const present = await store.get(key);
      return typeof present === "object" && store.touch(key, { ifVersion: present.version, ttlMs });
    },
  };
}

function touchChangesVersion(store: MemoryStore): Partial<MemoryStore> {
  const touch: Store["touch"] = async (key, { ifVersion, ttlMs }) => {
    const present = await store.get(key);
    if (typeof present !== "object") return false;
    return (await store.put(key, present.bytes, { version: `${ifVersion} touched`, ifVersion, ttlMs }))
      .stored;
  };
  return { touch };
}

function mapKeys(store: MemoryStore, map: (key: string) => string): Partial<MemoryStore> {
  return {
    get: (key, options) => store.get(map(key), options),
    put: (key, bytes, options) => store.put(map(key), bytes, options),
    touch: (key, options) => store.touch(map(key), options),
    delete: (key, options) => store.delete(map(key), options),
  };
}

function tooLong(key: string, limit: number): string {
  if (key.length > limit) throw new Error(`more than ${limit} characters`);
  return key;
}

function mapBytes(store: MemoryStore, map: (bytes: Uint8Array) => Uint8Array): Partial<MemoryStore> {
  return { put: (key, bytes, options) => store.put(key, map(bytes), options) };
}

function isEmpty(stored: Awaited<ReturnType<Store["get"]>>): boolean {
  return typeof stored === "object" && stored.bytes.length === 0;
}

function throwsOnConflict(store: MemoryStore): Store["put"] {
  return async (key, bytes, options) => {
    const answer = await store.put(key, bytes, options);
    if (!answer.stored) throw new Error("conflict");
    return answer;
  };
}

function deleteAny(store: MemoryStore): Store["delete"] {
  return async (key) => {
    const present = await store.get(key);
    return typeof present === "object" && store.delete(key, { ifVersion: present.version });
  };
}

/** Answers reads from what it read first, as a lagging replica does. */
function readsStale(store: MemoryStore): Partial<MemoryStore> {
  const seen = new Map<string, Awaited<ReturnType<Store["get"]>>>();
  return {
    async put(key, bytes, options) {
      const answer = await store.put(key, bytes, options);
      if (answer.stored) seen.set(key, { bytes, version: options.version });
      return answer;
    },
    get: async (key, options) => seen.get(key) ?? store.get(key, options),
  };
}

function halfWhenAborted(store: MemoryStore): Partial<MemoryStore> {
  return {
    put: (key, bytes, options) =>
      store.put(key, options.signal?.aborted === true ? bytes.slice(0, 2) : bytes, options),
  };
}

function liesWhenAborted(store: MemoryStore): Partial<MemoryStore> {
  return {
    put: async (key, bytes, options) =>
      options.signal?.aborted === true ? { stored: true } : store.put(key, bytes, options),
  };
}
