/** The one store that all nodes share, and what can befall it. Everything in it happens at one moment. */
import { memoryActivity } from "../src/adapters/memory-activity.ts";
import type { AccountActivityStore } from "../src/store/account-activity-store.ts";
import type { BlobAdmin } from "../src/store/blob-admin.ts";
import type { BackplaneMessage } from "../src/store/backplane.ts";
import type { PutOptions, PutResult, Stored } from "../src/store/blob-store.ts";
import type { LeaseOptions, LeaseResult } from "../src/store/refresh-lease.ts";

export interface StoreRecord extends Stored {
  readonly expiresAtMs: number;
  /** Set while something is planted in its place. */
  readonly genuine?: StoreRecord;
}

/** Told of every change, before it counts as done. */
export interface StoreObserver {
  written(key: string, before: StoreRecord | undefined, after: StoreRecord, who: number): void;
  /** The store no longer has what it had acknowledged. */
  lost(
    key: string,
    why: "evicted" | "restored" | "expired" | "deleted" | "tampered",
    before: StoreRecord | undefined,
  ): void;
}

export interface SimulatedStore {
  readonly records: ReadonlyMap<string, StoreRecord>;
  readonly activity: AccountActivityStore;
  get(key: string, unlessVersion: string | undefined): Stored | "unchanged" | undefined;
  put(key: string, bytes: Uint8Array, options: PutOptions, who: number): PutResult;
  touch(key: string, ifVersion: string, ttlMs: number): boolean;
  delete(key: string, ifVersion: string): boolean;
  keys(options: Parameters<BlobAdmin["keys"]>[0]): Awaited<ReturnType<BlobAdmin["keys"]>>;
  changeCounter(): string;
  /** Raises the counter and gives whoever listens; delivering is the network's business. */
  publish(message: BackplaneMessage): void;
  acquire(key: string, options: LeaseOptions): LeaseResult;
  renew(key: string, options: LeaseOptions): boolean;
  release(key: string, owner: string): void;
  // --- what can befall it ---
  evict(key: string): void;
  /**
   * Puts bytes in the place of a record, past everything that compares. `planted`: its text is not lost, but out of
   * reach. @returns the new version
   */
  tamper(key: string, bytes: Uint8Array, why?: "tampered" | "planted"): string;
  snapshot(): void;
  /** Goes back to the last snapshot; leases and the counter's meaning do not survive. */
  restore(): void;
  /** While true, every write fails for want of room. */
  full: boolean;
}

interface SimulatedStoreOptions {
  readonly nowMs: () => number;
  readonly observer: StoreObserver;
  /** Records lie under their keys, whatever they are called by those who ask. */
  readonly nameOf: (key: string) => string;
  /** Switched off by `--break compare-and-swap`. */
  readonly comparesVersions: boolean;
}

export function createSimulatedStore(options: SimulatedStoreOptions): SimulatedStore {
  const { nowMs, observer } = options;
  const leases = new Map<string, { readonly owner: string; readonly until: number }>();
  let records = new Map<string, StoreRecord>();
  let saved: ReadonlyMap<string, StoreRecord> = new Map();
  let epoch = 0;
  let published = 0;
  let tampered = 0;

  function live(key: string): StoreRecord | undefined {
    const record = records.get(key);
    if (!record || record.expiresAtMs > nowMs()) return record;
    records.delete(key);
    observer.lost(key, "expired", record);
    return undefined;
  }

  function holder(key: string): { readonly owner: string; readonly until: number } | undefined {
    const lease = leases.get(key);
    return lease && lease.until > nowMs() ? lease : undefined;
  }

  return {
    get records() {
      return records;
    },
    full: false,
    activity: memoryActivity(),
    get(key, unlessVersion) {
      const record = live(key);
      return record && record.version === unlessVersion ? "unchanged" : record;
    },
    put(key, bytes, { version, ifVersion, ttlMs }, who) {
      const before = live(key);
      if (options.comparesVersions && (before?.version ?? null) !== ifVersion) {
        return before ? { stored: false, current: before } : { stored: false };
      }
      const after = { bytes: new Uint8Array(bytes), version, expiresAtMs: nowMs() + ttlMs };
      records.set(key, after);
      observer.written(key, before, after, who);
      return { stored: true };
    },
    touch(key, ifVersion, ttlMs) {
      const record = live(key);
      if (record?.version !== ifVersion) return false;
      records.set(key, { ...record, expiresAtMs: Math.max(record.expiresAtMs, nowMs() + ttlMs) });
      return true;
    },
    delete(key, ifVersion) {
      const record = live(key);
      if (record?.version !== ifVersion) return false;
      records.delete(key);
      observer.lost(key, "deleted", record);
      return true;
    },
    keys({ prefix, limit, cursor = "" }) {
      const names = [...records.keys()].map(options.nameOf);
      const all = names.filter((name) => name.startsWith(prefix) && name > cursor).toSorted();
      const page = all.slice(0, limit);
      return all.length > limit ? { keys: page, cursor: page.at(-1) ?? "" } : { keys: page };
    },
    changeCounter: () => `${epoch}:${published}`,
    publish() {
      published += 1;
    },
    acquire(key, { owner, ttlMs }) {
      const held = holder(key);
      if (held) return { held: false, remainingMs: held.until - nowMs() };
      leases.set(key, { owner, until: nowMs() + ttlMs });
      return { held: true };
    },
    renew(key, { owner, ttlMs }) {
      if (holder(key)?.owner !== owner) return false;
      leases.set(key, { owner, until: nowMs() + ttlMs });
      return true;
    },
    release(key, owner) {
      if (leases.get(key)?.owner === owner) leases.delete(key);
    },
    evict(key) {
      const before = records.get(key);
      records.delete(key);
      observer.lost(key, "evicted", before);
    },
    tamper(key, bytes, why = "tampered") {
      const before = records.get(key);
      if (!before) throw new Error("there is nothing to tamper with");
      const version = `tampered-${(tampered += 1)}`;
      const { genuine, ...rest } = before;
      const isPlanted = why === "planted" && !genuine;
      records.set(key, { ...rest, bytes, version, ...(isPlanted && { genuine: before }) });
      if (why === "tampered") observer.lost(key, why, before);
      return version;
    },
    snapshot() {
      // What is planted goes after a while: coming back with an older state it would stay for ever.
      saved = new Map([...records].map(([key, record]) => [key, record.genuine ?? record]));
    },
    restore() {
      const before = records;
      records = new Map(saved);
      epoch += 1;
      leases.clear();
      for (const key of new Set([...before.keys(), ...records.keys()])) {
        if (before.get(key)?.version !== records.get(key)?.version)
          observer.lost(key, "restored", before.get(key));
      }
    },
  };
}
