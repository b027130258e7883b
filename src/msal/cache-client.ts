/** The door for applications that stay on MSAL's own `DistributedCachePlugin`: an `ICacheClient` over the shared cache. */
import { LRUCache } from "lru-cache";
import { emptyBlob, serializeBlob, type CacheBlob } from "../blob/entities.ts";
import type { Change } from "../partitions/change.ts";
import type { Partition } from "../partitions/partition.ts";
import type { PartitionState } from "../partitions/partitions.ts";
import type { TokenRecord } from "../partitions/record.ts";
import type { SignOutOutcome } from "../partitions/sign-out.ts";
import { partitionLabel } from "../telemetry/emitter.ts";
import { holdsTokens, importBlob, ownEntries, type DoorContext } from "./import-blob.ts";
import { livesIn, withLife, withoutLives, type Life } from "./life-mark.ts";
import { blobOfMemory } from "./memory.ts";
import type { ICacheClient } from "./types.ts";

/** What `tokenCache.cacheClient(…)` is made from. */
export interface CacheClientOptions {
  /**
   * Whose tokens lie under a key of the application's partition manager, e.g.
   * `(homeAccountId) => userPartition(owner, homeAccountId)`. `undefined`: nobody's yet, as before a sign-in;
   * nothing is read or written then.
   */
  readonly partition: (key: string) => Partition | undefined;
  /**
   * The cache client used so far. Where the shared cache has nothing for a key, what lies there is taken over,
   * once; it is never written to.
   */
  readonly migrateFrom?: Pick<ICacheClient, "get">;
}

/** MSAL's `ICacheClient`, and the sign-out that it lacks. */
export interface CacheClient extends ICacheClient {
  /** The tokens of one partition as MSAL's JSON; empty if there are none. @throws retryable store errors */
  get(key: string): Promise<string>;
  /**
   * Merges what MSAL holds into the partition; entries of others are left out, with the event
   * `entries-refused`. What MSAL lacks is not removed.
   */
  set(key: string, value: string): Promise<string>;
  /** Signs out. MSAL's own `removeAccount` only ever leads to a `set`, from which nothing can be told. */
  removeAccount(key: string): Promise<SignOutOutcome>;
}

/** How many of the records handed out are remembered, to merge against; they are mostly those of L1. */
const REMEMBERED_READINGS = 1_000;

export function createCacheClient(context: DoorContext, options: CacheClientOptions): CacheClient {
  const { partitions, emit } = context;
  const handedOut = new LRUCache<string, TokenRecord>({ max: REMEMBERED_READINGS });

  async function get(key: string): Promise<string> {
    const partition = options.partition(key);
    if (!partition) return "";
    let state = await partitions.read(partition);
    if (state.status === "absent" && options.migrateFrom) {
      const text = await options.migrateFrom.get(key);
      if (!text) return "";
      await importBlob(context, partition, text);
      state = await partitions.read(partition);
    }
    if (state.status !== "present") return "";
    const { record } = state;
    handedOut.set(nameOf(record), record);
    return serializeBlob(withLife(record.blob, record));
  }

  async function set(key: string, value: string): Promise<string> {
    const partition = options.partition(key);
    if (!partition) return value;
    const memory = blobOfMemory(value);
    const mine = ownEntries(context, partition, withoutLives(memory));
    if (!holdsTokens(mine)) return value;
    const state = await partitions.read(partition, { fresh: true });
    const change = changeOf(partition, state, livesIn(memory), mine);
    if (change) await partitions.save(partition, change);
    else
      emit({
        type: "write-superseded",
        partition: partitionLabel(partitions.key(partition)),
        reason: "removed",
      });
    return value;
  }

  /** `undefined`: the life this memory comes from has been signed out. */
  function changeOf(
    partition: Partition,
    state: PartitionState,
    lives: readonly Life[],
    mine: CacheBlob,
  ): Change | undefined {
    const isNew = { mine, strengthens: false, base: undefined, creates: true } as const;
    if (state.status === "removed") {
      const { incarnation } = state.marker;
      const goesOn = incarnation === undefined ? lives.length > 0 : lives.some(isOf(incarnation));
      return goesOn ? undefined : { ...isNew, signsIn: partition.kind === "user" };
    }
    if (state.status !== "present") {
      return { ...isNew, signsIn: partition.kind === "user" && lives.length === 0 };
    }
    const life = lives.filter(isOf(state.record.incarnation)).reduce(later, undefined);
    if (!life) return { ...isNew, signsIn: partition.kind === "user" };
    const read = handedOut.get(nameOf(life));
    // Forgotten: all of it counts as changed, which is what a two-way merge means.
    const base = read ?? { ...state.record, blob: emptyBlob() };
    return { mine, strengthens: false, creates: false, signsIn: false, base };
  }

  return {
    get,
    set,
    async removeAccount(key) {
      const partition = options.partition(key);
      return partition ? partitions.signOut(partition) : { status: "done", durable: true };
    },
  };
}

function nameOf({ incarnation, seq }: Life): string {
  return `${incarnation} ${seq}`;
}

function isOf(incarnation: string): (life: Life) => boolean {
  return (life) => life.incarnation === incarnation;
}

function later(latest: Life | undefined, life: Life): Life {
  return latest && latest.seq > life.seq ? latest : life;
}
