/** A store in this process's own memory, for tests and for applications of a single process. */
import { createListeners } from "./shared/listeners.ts";
import { checkLimit, expiryAt } from "./shared/arguments.ts";
import { memoryActivity } from "./memory-activity.ts";
import { memoryLease, type MemoryLease } from "./memory-lease.ts";
import { checkedRuntime, checkOptionNames } from "../checks.ts";
import type { Runtime } from "../runtime.ts";
import type { Backplane } from "../store/backplane.ts";
import type { BlobAdmin } from "../store/blob-admin.ts";
import type { PutOptions, PutResult, Stored } from "../store/blob-store.ts";
import type { Store } from "../store/store.ts";

/** What {@link memoryStore} is made from. */
export interface MemoryStoreOptions {
  /** The clock that values expire by. Default: the system's. */
  readonly runtime?: Runtime;
}

/** What {@link memoryStore} makes: a store with every optional capability. */
export type MemoryStore = Store & Required<Pick<Store, "backplane" | "activity" | "admin" | "lease">>;

interface Entry {
  readonly bytes: Uint8Array;
  readonly version: string;
  readonly expiresAtMs: number;
}

/** The live entries; an expired one is dropped by whoever meets it. */
interface Entries {
  readonly all: Map<string, Entry>;
  live(key: string): Entry | undefined;
  now(): number;
}

const KNOWN_OPTIONS = new Set(["runtime"]);
const MAX_PAGE = 10_000;

/**
 * Keeps everything in this process's memory; gone when the process ends. For tests and single-process use.
 *
 * Two token caches given the same object share it, as two processes share a database. Bytes are copied on
 * their way in and out. Expired values and leases are dropped when somebody asks for them and by
 * `admin.purgeExpired`; nothing else bounds the memory.
 * @throws {OptionsError} naming the option.
 */
export function memoryStore(options: MemoryStoreOptions = {}): MemoryStore {
  checkOptionNames(options, KNOWN_OPTIONS, "memoryStore");
  const runtime = checkedRuntime(options.runtime);
  const entries = createEntries(runtime);
  const leases = memoryLease(runtime);
  return {
    name: "memory",
    async get(key, { unlessVersion } = {}) {
      const entry = entries.live(key);
      if (entry === undefined) return undefined;
      return entry.version === unlessVersion ? "unchanged" : handOut(entry);
    },
    put: async (key, bytes, putOptions) => put(entries, key, bytes, putOptions),
    async touch(key, { ifVersion, ttlMs }) {
      const wanted = expiryAt(entries.now(), ttlMs);
      const entry = entries.live(key);
      if (entry?.version !== ifVersion) return false;
      entries.all.set(key, { ...entry, expiresAtMs: Math.max(entry.expiresAtMs, wanted) });
      return true;
    },
    async delete(key, { ifVersion }) {
      return entries.live(key)?.version === ifVersion && entries.all.delete(key);
    },
    backplane: memoryBackplane(),
    activity: memoryActivity(),
    lease: leases.lease,
    admin: memoryAdmin(entries, leases),
  };
}

function createEntries(runtime: Runtime): Entries {
  const all = new Map<string, Entry>();
  return {
    all,
    now: () => runtime.now(),
    live(key) {
      const entry = all.get(key);
      if (entry === undefined || entry.expiresAtMs > runtime.now()) return entry;
      all.delete(key);
      return undefined;
    },
  };
}

function put(entries: Entries, key: string, bytes: Uint8Array, options: PutOptions): PutResult {
  const expiresAtMs = expiryAt(entries.now(), options.ttlMs);
  const present = entries.live(key);
  if ((present?.version ?? null) !== options.ifVersion) {
    return present === undefined ? { stored: false } : { stored: false, current: handOut(present) };
  }
  // Not `bytes.slice()`: on a Buffer that is a view of the caller's memory, not a copy.
  entries.all.set(key, { bytes: new Uint8Array(bytes), version: options.version, expiresAtMs });
  return { stored: true };
}

function handOut(entry: Entry): Stored {
  return { ...entry, bytes: new Uint8Array(entry.bytes) };
}

function memoryBackplane(): Backplane {
  const listeners = createListeners();
  return {
    changeCounter: async () => String(listeners.told()),
    publish: async (message) => listeners.tell(message),
    subscribe: (listener) => listeners.add(listener),
  };
}

function memoryAdmin(entries: Entries, leases: MemoryLease): BlobAdmin {
  return {
    async keys({ prefix, limit, cursor }) {
      checkLimit(limit, MAX_PAGE);
      const after = (key: string): boolean => cursor === undefined || key > cursor;
      const found = [...entries.all.keys()]
        .filter((key) => key.startsWith(prefix) && after(key) && entries.live(key) !== undefined)
        .toSorted();
      const keys = found.slice(0, limit);
      const last = keys.at(-1);
      return last === undefined || found.length <= limit ? { keys } : { keys, cursor: last };
    },
    async purgeExpired({ limit }) {
      checkLimit(limit, MAX_PAGE);
      let purged = 0;
      for (const key of entries.all.keys()) {
        if (purged === limit) break;
        if (entries.live(key) === undefined) purged += 1;
      }
      return purged + leases.purgeExpired(limit - purged);
    },
  };
}
