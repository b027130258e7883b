/** What a token cache is made of, and how its parts are put together. */
import { createActivity, type Activity } from "./activity/activity.ts";
import { createRowsPass } from "./activity/rekey-rows.ts";
import { memoryActivity } from "./adapters/memory-activity.ts";
import { createKeyRing, type KeyRing } from "./envelope/key-ring.ts";
import { createSealer, type Sealer } from "./envelope/sealer.ts";
import { TokenkeepError } from "./errors.ts";
import { createFailureMemory, type FailureMemory } from "./msal/failure-memory.ts";
import { namingsOf } from "./names/namings.ts";
import { createOperations } from "./partitions/operations.ts";
import type { OnStoreFailure, ResolvedOptions } from "./options.ts";
import { createRecordsPass } from "./partitions/rekey-records.ts";
import { rekey, type RekeyOptions, type RekeyResult } from "./partitions/rekey.ts";
import { createRecordCodec } from "./partitions/codec.ts";
import type { KeptLeases, RefreshTokenMode } from "./partitions/lease.ts";
import { createPartitions, type Partitions } from "./partitions/partitions.ts";
import type { PartitionRecord } from "./partitions/record.ts";
import { createSpill, type Spill } from "./partitions/spill.ts";
import type { Runtime } from "./runtime.ts";
import type { AccountActivityStore } from "./store/account-activity-store.ts";
import type { Store } from "./store/store.ts";
import type { Emit } from "./telemetry/emitter.ts";
import type { BreakerState } from "./tiers/breaker.ts";
import { guardActivity, guardLease, type GuardedLease } from "./tiers/guarded.ts";
import { defaultL1MaxBytes } from "./tiers/l1.ts";
import { createOneTier } from "./tiers/one-tier.ts";
import { purgeExpired } from "./tiers/purge.ts";
import { createStoreCalls, type StoreCalls, type StoreOperation } from "./tiers/store-calls.ts";
import type { Codec, Tiers } from "./tiers/tiers.ts";
import { createTwoTier } from "./tiers/two-tier.ts";

/** What clients and the sign-in need of a cache; not for applications, and not exported from the package. */
export interface CacheParts {
  readonly partitions: Partitions;
  readonly activity: Activity;
  readonly sealer: Sealer;
  /** Seals what a browser carries. Always sealed: without keys by one that only this process has. */
  readonly flowSealer: Sealer;
  readonly namespace: string;
  readonly runtime: Runtime;
  readonly emit: Emit;
  /** Whether anybody listens. */
  readonly isObserved: boolean;
  /** Lets one process renew at a time; absent where the store cannot, or the application does not want it. */
  readonly lease: GuardedLease | undefined;
  readonly keptLeases: KeptLeases;
  readonly refreshTokens: RefreshTokenMode;
  /** What the identity provider has refused of late, to any client of this cache. */
  readonly failures: FailureMemory;
  /**
   * Runs one operation of a client. `close()` waits for it: an answer of the provider must still be stored.
   * @throws `ERR_CLOSED` once the cache is closing
   */
  readonly run: <R>(operation: () => Promise<R>) => Promise<R>;
  /** False once the cache is closing. */
  readonly isOpen: () => boolean;
  /** Empties L1: what MSAL's `clearCache` means where memory is only a copy. */
  readonly forgetAll: () => void;
  /** Deletes records whose time has passed. @returns how many. */
  readonly purgeRecords: () => Promise<number>;
  /** See `TokenCache.rekey`; ends early if `closing` is aborted. */
  readonly rekey: (options: RekeyOptions, closing: AbortSignal) => Promise<RekeyResult>;
}

/** The parts, and how they end. */
export interface MadeParts {
  readonly value: CacheParts;
  /** Resolves when no operation is under way any more; from the call on none begins. */
  settled(): Promise<void>;
  close(): void;
}

/** Puts together what a cache is made of, in the order in which things depend on each other. */
export function createParts(
  options: ResolvedOptions,
  store: Store,
  { sealer, atRest }: { readonly sealer: Sealer; readonly atRest: Sealer },
  emit: Emit,
): MadeParts {
  const { runtime, namespace, retention, unsavedMaxBytes, maxClockSkewMs } = options;
  const operations = createOperations();
  const codec = createRecordCodec({ sealer: atRest, namespace, runtime, retention, emit });
  const calls = createCalls(options, store.name, emit, (state) => {
    if (state === "closed") partitions.storeIsBack();
  });
  const tiers = createTiers(options, codec, calls);
  const spill = createCacheSpill(options, atRest, emit);
  const partitions = createPartitions({
    tiers,
    namespace,
    runtime,
    retention,
    unsavedMaxBytes,
    maxClockSkewMs,
    spill,
    emit,
  });
  const rows = activityStoreOf(options, store, calls, emit);
  const activity = createActivity({
    store: rows,
    sealer: atRest,
    namespace,
    runtime,
    emit,
    onBeforeWrite: options.onBeforeActivityWrite,
    mayRepeat: options.names?.next !== undefined || options.names?.previous !== undefined,
  });
  return {
    value: {
      partitions,
      activity,
      sealer,
      flowSealer: sealer.sealed ? sealer : createSealer(ephemeralKeys(runtime), runtime),
      namespace,
      runtime,
      emit,
      isObserved: options.onEvent !== undefined,
      lease: options.refreshLease === "off" || !store.lease ? undefined : guardLease(store.lease, calls),
      keptLeases: new Map(),
      refreshTokens: options.refreshTokens,
      failures: createFailureMemory(runtime),
      run: operations.run,
      isOpen: operations.isOpen,
      forgetAll: () => tiers.clear(),
      purgeRecords: async () =>
        tiers.prune() + (options.store?.admin ? await purgeExpired(options.store.admin, calls) : 0),
      async rekey(how, closing) {
        if (!sealer.sealed) throw nothingToSeal();
        const common = { sealer: atRest, namespace, runtime, emit };
        const rowsPass = createRowsPass({ ...common, store: rows });
        // Without a store no record lies anywhere as bytes.
        const recordsPasses = options.store
          ? [createRecordsPass({ ...common, store: options.store, calls, codec, retention })]
          : [];
        return rekey({ ...common, passes: [...recordsPasses, rowsPass], closing }, how);
      },
    },
    settled: operations.settled,
    close() {
      partitions.close();
      tiers.close();
      tiers.clear();
    },
  };
}

/** One backend's calls share their budgets and their breaker. */
function createCalls(
  options: ResolvedOptions,
  name: string,
  emit: Emit,
  onReads?: (state: BreakerState) => void,
): StoreCalls {
  return createStoreCalls({
    name,
    runtime: options.runtime,
    budgets: options.storeBudgets,
    breaker: options.storeBreaker,
    onFailure(operation, error) {
      // Leases and activity report their failures themselves, as what they are to their callers.
      if (!/^(lease|activity) /.test(operation))
        emit({ type: "store-failed", store: name, operation, error });
      return asksForRetry(options.onStoreFailure, operation, error);
    },
    onBreaker(calls, state) {
      emit({ type: "store-breaker", store: name, calls, state });
      onReads?.(state);
    },
  });
}

function asksForRetry(
  hook: OnStoreFailure | undefined,
  operation: StoreOperation,
  error: TokenkeepError,
): boolean {
  try {
    return hook?.(error, operation) === true;
  } catch {
    return false;
  }
}

/** Without a store memory is not in front of anything, and holds the tokens themselves. */
function createTiers(
  options: ResolvedOptions,
  codec: Codec<PartitionRecord>,
  calls: StoreCalls,
): Tiers<PartitionRecord> {
  const { store, runtime, l1MaxBytes, coherenceBoundMs, maxStaleMs } = options;
  if (!store) return createOneTier({ codec, runtime, maxBytes: l1MaxBytes || defaultL1MaxBytes() });
  return createTwoTier({ store, calls, codec, runtime, l1MaxBytes, coherenceBoundMs, maxStaleMs });
}

/** Rows may lie in another database, which fails by itself. */
function activityStoreOf(
  options: ResolvedOptions,
  store: Store,
  calls: StoreCalls,
  emit: Emit,
): AccountActivityStore {
  const own = options.activityStore;
  if (own && own !== store.activity) return guardActivity(own, createCalls(options, own.name, emit));
  return store.activity ? guardActivity(store.activity, calls) : memoryActivity();
}

function createCacheSpill(options: ResolvedOptions, sealer: Sealer, emit: Emit): Spill | undefined {
  const { spillFolder: folder, namespace, names } = options;
  if (folder === undefined) return undefined;
  const onFailure = (operation: string, error: unknown): void =>
    emit({ type: "store-failed", store: "spill", operation, error });
  const nameOf = names && namingsOf(namespace, names).current.name;
  return createSpill({ folder, sealer, namespace, onFailure, ...(nameOf && { nameOf }) });
}

function nothingToSeal(): TokenkeepError {
  return new TokenkeepError("ERR_NOT_SUPPORTED", "this cache is unsealed: it has no key to seal under");
}

function ephemeralKeys(runtime: Runtime): KeyRing {
  return createKeyRing({ sealing: { id: "process", key: runtime.randomBytes(32) } });
}
