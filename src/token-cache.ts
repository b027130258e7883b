/** `createTokenCache`: the face of a token cache, in front of its parts. */
import { createParts, type CacheParts } from "./cache-parts.ts";
import type { AccountActivity } from "./activity/account-activity.ts";
import { checkedFilter } from "./activity/accounts-filter.ts";
import type { AccountsFilter, IsGone } from "./activity/activity.ts";
import { memoryStore } from "./adapters/memory.ts";
import { checkMethods, checkObject, checkOptionNames } from "./checks.ts";
import { acceptingPlaintext } from "./envelope/accept-plaintext.ts";
import type { KeyRing } from "./envelope/key-ring.ts";
import { createLiveRing } from "./envelope/live-ring.ts";
import { isReloading } from "./envelope/reloading-keys.ts";
import { createSealer } from "./envelope/sealer.ts";
import { OptionsError } from "./errors.ts";
import { createCacheClient, type CacheClient, type CacheClientOptions } from "./msal/cache-client.ts";
import { importBlob, type DoorContext, type ImportOutcome } from "./msal/import-blob.ts";
import { createPartitionPlugin } from "./msal/partition-plugin.ts";
import type { ICachePlugin } from "./msal/types.ts";
import { withNames } from "./names/with-names.ts";
import { closedError } from "./partitions/operations.ts";
import { resolveOptions, type TokenCacheOptions } from "./options.ts";
import type { RekeyOptions, RekeyResult } from "./partitions/rekey.ts";
import {
  canonicalHomeAccountId,
  canonicalTenantId,
  partitionFromId,
  type Partition,
} from "./partitions/partition.ts";
import { purgeTenant, type PurgeTenantOptions, type PurgeTenantResult } from "./partitions/purge-tenant.ts";
import type { Finding } from "./store/blob-store.ts";
import { createEmit } from "./telemetry/emitter.ts";

/**
 * Keeps the tokens of an application: sealed, shared by every process that uses the same store, keys and
 * namespace, and right under concurrency. Hand it to `createConfidentialClient`, which does the rest.
 */
export interface TokenCache<Properties = unknown> {
  /**
   * The accounts the cache has tokens for, for background workers and administration. Pages through the index;
   * an account that exists all the while is listed exactly once. May list one whose sign-in never finished.
   * @throws {OptionsError} at once, naming the filter.
   */
  accounts(filter?: AccountsFilter): AsyncIterableIterator<AccountActivity<Properties>>;
  /**
   * A cache plugin for people who keep their own MSAL client: it reads and writes the one partition it is
   * given. Use one client object per partition; docs/own-client.md says what a plugin cannot protect.
   */
  plugin(partition: Partition): ICachePlugin;
  /**
   * The cache client for people who stay on MSAL's own `DistributedCachePlugin`, in place of a plain Redis
   * wrapper. It protects less than {@link plugin} does; docs/own-client.md says what.
   * @throws {OptionsError} naming the option
   */
  cacheClient(options: CacheClientOptions): CacheClient;
  /**
   * Takes over what another cache has kept for one partition: MSAL's JSON, in any of its SDKs. What is there
   * already stays, a sign-out is not undone, entries of others are left out. The user's activity row is made too.
   * @throws `ERR_BLOB_INVALID`, and retryable store errors
   */
  importBlob(partition: Partition, json: string): Promise<ImportOutcome>;
  /** What an operator should know about the store. */
  inspect(): Promise<Finding[]>;
  /** How much waits in memory for a store that does not answer, and how many were given up for want of room. */
  unsaved(): { readonly entries: number; readonly bytes: number; readonly dropped: number };
  /**
   * Deletes what has expired, for stores that do not do so by themselves, and activity rows that a sign-in made and
   * never confirmed. To be run now and then, by one process, e.g. once an hour. Works in batches.
   * @returns how many records (and leases) and rows were deleted.
   * @throws retryable `TokenkeepError`; what was deleted until then stays deleted.
   */
  purgeExpired(): Promise<{ readonly records: number; readonly accounts: number }>;
  /**
   * Ends every account of a tenant whose activity row names it, on every node, as `signOutEverywhere` does: for a
   * customer who leaves. Keep the tenant's users from signing in first (`tenants`). What was done stays done, and
   * another call goes on with what is left. The application's own tokens of the tenant stay until they expire.
   * @returns how many were ended, and how many wait for the store.
   * @throws retryable `TokenkeepError`
   */
  purgeTenant(tenantId: string, options?: PurgeTenantOptions): Promise<PurgeTenantResult>;
  /**
   * Loads the keys anew at once, e.g. on SIGHUP, where they are such as can be: `reloadingKeys(…)`.
   * @returns whether other keys came of it. @throws what the loading throws, mostly retryable
   * `ERR_KEYS_UNAVAILABLE`; those from before stay in use.
   */
  reloadKeys(): Promise<boolean>;
  /**
   * Seals everything anew that is sealed under another key than today's sealing key: records of every kind, removal
   * markers, and the properties of activity rows. Each by compare-and-swap, and for as long as it had left to be
   * kept; users notice nothing. Run it after a rotation, when every process seals under the new key; once it has
   * nothing left to do the old key can go. Slowly, and page by page: see {@link RekeyOptions}.
   * @throws `ERR_NOT_SUPPORTED` if the store cannot list its keys, or the cache is unsealed; retryable store errors:
   * what was done until then is done, and the cursor of the last `onProgress` goes on from there.
   */
  rekey(options?: RekeyOptions): Promise<RekeyResult>;
  /**
   * Waits for the operations under way, tries once more to store what waits, then closes what tokenkeep itself
   * opened. New calls of this cache's clients fail with `ERR_CLOSED` from now on. May be called twice.
   * @returns how many results could not be stored and are lost.
   */
  close(): Promise<{ readonly lost: number }>;
  /** @internal */
  readonly parts: CacheParts;
}

/**
 * Makes a token cache.
 * @throws {OptionsError} (a `TypeError`) that names the option.
 */
export function createTokenCache<Properties = unknown>(
  options: TokenCacheOptions<Properties> = {},
): TokenCache<Properties> {
  const given = resolveOptions(options);
  const { runtime } = given;
  const emit = createEmit(given.onEvent);
  const patienceMs = given.storeBudgets.read;
  const liveRing = isReloading(given.keys)
    ? createLiveRing(given.keys, { runtime, emit, patienceMs })
    : undefined;
  const keys = liveRing ?? (given.keys as KeyRing | "unsealed");
  const sealer = createSealer(keys, runtime);
  const resolved = withNames(given, sealer, emit);
  const { store = memoryStore({ runtime }) } = resolved;
  const { acceptPlaintextUntilMs: untilMs = 0 } = resolved;
  const acceptsPlaintext = untilMs > runtime.now();
  if (!sealer.sealed && resolved.store) emit({ type: "unsealed" });
  if (acceptsPlaintext) emit({ type: "plaintext-accepted", untilMs });
  // What browsers carry is neither packed nor taken in clear.
  const packing = createSealer(keys, runtime, { compression: given.compression });
  const atRest = acceptsPlaintext ? acceptingPlaintext(packing, untilMs, runtime) : packing;
  const parts = createParts(resolved, store, { sealer, atRest }, emit);
  liveRing?.start();
  let closing: Promise<{ readonly lost: number }> | undefined;
  const ending = new AbortController();

  function open(): CacheParts {
    if (closing) throw closedError();
    return parts.value;
  }

  async function close(): Promise<{ readonly lost: number }> {
    ending.abort();
    await parts.settled();
    const lost = await parts.value.partitions.drain();
    parts.close();
    liveRing?.close();
    await store.close?.();
    return { lost };
  }

  return {
    accounts: (filter = {}) =>
      listAccounts(open(), asStored(checkedFilter(filter))) as AsyncIterableIterator<
        AccountActivity<Properties>
      >,
    plugin: (partition) => createPartitionPlugin(open().partitions, checkedPartition(partition), emit),
    cacheClient: (client) => createCacheClient(doorOf(open()), checkedCacheClient(client)),
    importBlob(partition, json) {
      const parts = open();
      return parts.run(() => importBlob(doorOf(parts), checkedPartition(partition), json));
    },
    inspect: async () => (await store.inspect?.()) ?? [],
    async purgeExpired() {
      const records = await open().purgeRecords();
      return { records, accounts: await open().activity.tidy(isGoneFor(open())) };
    },
    purgeTenant(tenantId, options = {}) {
      const { partitions, activity: index, run } = open();
      return run(() => purgeTenant({ partitions, namespace: resolved.namespace, index }, tenantId, options));
    },
    async reloadKeys() {
      open();
      return (await liveRing?.reload()) ?? false;
    },
    rekey: (options = {}) => open().run(() => parts.value.rekey(options, ending.signal)),
    unsaved() {
      const { size: entries, bytes, dropped } = parts.value.partitions.unsaved;
      return { entries, bytes, dropped };
    },
    close() {
      closing ??= close();
      return closing;
    },
    get parts() {
      return open();
    },
  };
}

function listAccounts(parts: CacheParts, filter: AccountsFilter): AsyncIterableIterator<AccountActivity> {
  return parts.activity.list({ ...filter, kind: filter.kind ?? "user" }, isGoneFor(parts));
}

/** Only "absent" and "signed out" mean that an account has no tokens; a store that fails says neither. */
function isGoneFor({ partitions, namespace }: CacheParts): IsGone {
  return async (account, accountKey) => {
    const id = accountKey.slice(namespace.length + 1);
    try {
      const state = await partitions.read(partitionFromId(id, account.homeAccountId), { fresh: true });
      return state.status === "absent" || state.status === "removed";
    } catch {
      return false;
    }
  };
}

function doorOf({ partitions, activity, runtime, emit }: CacheParts): DoorContext {
  return { partitions, activity, runtime, emit };
}

function checkedCacheClient(options: CacheClientOptions): CacheClientOptions {
  checkObject(options, "options");
  checkOptionNames(options, CACHE_CLIENT, "cacheClient");
  const { partition, migrateFrom } = options;
  if (typeof partition !== "function") throw new OptionsError("partition", "must be a function");
  if (migrateFrom !== undefined) checkMethods(migrateFrom, "migrateFrom", ["get"], "a cache client");
  return {
    ...options,
    partition(key) {
      const found = partition(key);
      return found === undefined ? undefined : checkedPartition(found);
    },
  };
}

const CACHE_CLIENT = new Set(["partition", "migrateFrom"]);

/** A partition of another make might be the key of somebody else's tokens. */
function checkedPartition(partition: Partition): Partition {
  const { kind, id } = (partition ?? {}) as Partial<Partition>;
  if (typeof id === "string" && kind !== undefined && id.startsWith(`${kind}:`)) return partition;
  throw new OptionsError(
    "partition",
    "must be what userPartition(…), appPartition(…) or oboPartition(…) returns",
  );
}

/** The filter in the spelling that rows have: a tenant in upper case would list nobody. */
function asStored(filter: AccountsFilter): AccountsFilter {
  const { tenantId, homeAccountId } = filter;
  return {
    ...filter,
    ...(tenantId !== undefined && { tenantId: canonicalTenantId(tenantId) }),
    ...(homeAccountId !== undefined && { homeAccountId: canonicalHomeAccountId(homeAccountId) }),
  };
}
