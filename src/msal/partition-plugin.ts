import { emptyBlob, type CacheBlob } from "../blob/entities.ts";
import { TokenkeepError } from "../errors.ts";
import type { Partition } from "../partitions/partition.ts";
import type { Partitions, PartitionState } from "../partitions/partitions.ts";
import { partitionLabel, type Emit } from "../telemetry/emitter.ts";
import { readMemory, replaceMemory } from "./memory.ts";
import { assertOwnEntries } from "./ownership.ts";
import type { ICachePlugin, TokenCacheContext } from "./types.ts";

/** What lies between one `beforeCacheAccess` and its `afterCacheAccess`. */
interface Access {
  readonly state: PartitionState;
  readonly release: () => void;
  /** Another operation emptied MSAL's memory meanwhile: what this one saved there may be gone. */
  disturbed: boolean;
}

/**
 * The door for applications that keep their own MSAL client: a plugin bound to one partition.
 *
 * - Accesses of one client are serialised from `beforeCacheAccess` to `afterCacheAccess`.
 * - `acquireTokenSilent` empties MSAL's memory *before* it asks the plugin (msal-node 7.2.1, `overwriteCache`).
 *   The plugin puts the last known state back in that same turn, so that an overlapping call finds its tokens.
 * - What it cannot protect: a result being saved while another call empties the memory. That is reported as
 *   `client-overlap`. A client object per operation, as `createConfidentialClient` uses, has no such window.
 */
export function createPartitionPlugin(
  partitions: Partitions,
  partition: Partition,
  emit: Emit,
): ICachePlugin {
  const accesses = new WeakMap<TokenCacheContext, Access>();
  let queue: Promise<void> = Promise.resolve();
  let writing: Access | undefined;
  let lastPresented: CacheBlob = emptyBlob();

  /** Waits for the accesses before this one; the returned function lets the next one in. */
  async function enter(): Promise<() => void> {
    const before = queue;
    let release = (): void => undefined;
    queue = new Promise((resolve) => {
      release = resolve;
    });
    await before;
    return release;
  }

  async function beforeCacheAccess(context: TokenCacheContext): Promise<void> {
    restore(context);
    const release = await enter();
    try {
      const state = await partitions.read(partition, { fresh: context.cacheHasChanged });
      lastPresented = state.status === "present" ? state.record.blob : emptyBlob();
      replaceMemory(context.tokenCache, lastPresented);
      const access: Access = { state, release, disturbed: false };
      accesses.set(context, access);
      if (context.cacheHasChanged) writing = access;
    } catch (error) {
      release();
      throw error;
    }
  }

  /** Synchronous, and first of all: MSAL's memory may have been emptied a moment ago in this very turn. */
  function restore(context: TokenCacheContext): void {
    const wasEmptied = !Object.keys(
      (context.tokenCache as { getKVStore?(): object }).getKVStore?.() ?? {},
    ).some((key) => !key.startsWith("authority-metadata"));
    if (!wasEmptied) return;
    if (writing) writing.disturbed = true;
    replaceMemory(context.tokenCache, lastPresented);
  }

  async function afterCacheAccess(context: TokenCacheContext): Promise<void> {
    const access = accesses.get(context);
    // No access: the load failed. MSAL calls this all the same, and writing now would destroy what is there.
    if (!access) return;
    accesses.delete(context);
    try {
      if (context.cacheHasChanged) await write(context, access);
    } finally {
      if (writing === access) writing = undefined;
      access.release();
    }
  }

  async function write(context: TokenCacheContext, access: Access): Promise<void> {
    const mine = readMemory(context.tokenCache);
    if (access.disturbed)
      emit({ type: "client-overlap", partition: partitionLabel(partitions.key(partition)) });
    const base = access.state.status === "present" ? access.state : undefined;
    assertOwnEntries(partition, base?.record.blob ?? emptyBlob(), mine);
    if (base && !access.disturbed && hasLostAccount(base.record.blob, mine)) {
      // `removeAccount`, or MSAL's own sign-out: the only way an account leaves MSAL's memory.
      const { status } = await partitions.signOut(partition);
      if (status === "pending") {
        throw new TokenkeepError("ERR_STORE_UNAVAILABLE", "the sign-out has not reached the store yet", {
          retryable: true,
        });
      }
      return;
    }
    const outcome = await partitions.save(partition, {
      creates: isCreation(base?.record.blob, mine),
      signsIn: base === undefined && partition.kind === "user",
      base: base?.record,
      baseVersion: base?.version,
      mine,
      strengthens: false,
    });
    if (outcome.record) lastPresented = outcome.record.blob;
  }

  return { beforeCacheAccess, afterCacheAccess };
}

/** Without a base whatever was saved began a life; with one, an operation of MSAL's has refreshed it. */
function isCreation(base: CacheBlob | undefined, mine: CacheBlob): boolean {
  return (
    base === undefined && Object.keys(mine.AccessToken).length + Object.keys(mine.RefreshToken).length > 0
  );
}

function hasLostAccount(base: CacheBlob, mine: CacheBlob): boolean {
  return Object.keys(base.Account).length > 0 && Object.keys(mine.Account).length === 0;
}
