/** Options of `createTokenCache`: what they mean, their defaults, and the checks made on them once. */
import type { OnBeforeActivityWrite } from "./activity/activity.ts";
import {
  checkedChoice,
  checkedFunction,
  checkedPositive,
  checkedRuntime,
  checkMethods,
  checkOptionNames,
  MAX_TIMER_MS,
} from "./checks.ts";
import type { Compression } from "./envelope/compression.ts";
import type { KeyRing } from "./envelope/key-ring.ts";
import { isReloading } from "./envelope/reloading-keys.ts";
import type { ReloadingKeys } from "./envelope/reloading-keys.ts";
import { OptionsError, type TokenkeepError } from "./errors.ts";
import { nameKeyObject, type NameKey } from "./names/naming.ts";
import type { NameKeyObject, NameKeys } from "./names/namings.ts";
import type { RefreshTokenMode } from "./partitions/lease.ts";
import { defaultRetention, type Retention } from "./partitions/retention.ts";
import type { Runtime } from "./runtime.ts";
import type { AccountActivityStore } from "./store/account-activity-store.ts";
import type { Store } from "./store/store.ts";
import type { TokenkeepEventListener } from "./telemetry/events.ts";
import type { BreakerOptions } from "./tiers/breaker.ts";
import { defaultL1MaxBytes } from "./tiers/l1.ts";
import type { StoreBudgets, StoreOperation } from "./tiers/store-calls.ts";

/** What `createTokenCache` is made from. Everything has a default but `keys`, which a store requires. */
export interface TokenCacheOptions<Properties = unknown> {
  /** Where records are kept, e.g. `sqliteStore({ path })`. Without one the cache lives in memory only. */
  readonly store?: Store;
  /**
   * The keys that seal every record: `keysFromEnv(…)`, `keysFromFile(…)`, `createKeyRing(…)`, or such as are
   * loaded anew while the cache runs: `reloadingKeysFromFile(…)`, `await reloadingKeys(…)`. Required with a store.
   * `"unsealed"` stores tokens in clear, for debugging only; it says so in an event.
   */
  readonly keys?: KeyRing | ReloadingKeys | "unsealed";
  /**
   * Until then records that a cache with `keys: "unsealed"` wrote are read, and sealed when they are written; after
   * it they are refused. A `Date`, or ms since the epoch; at most 90 days ahead. Needs keys. Default: never.
   */
  readonly acceptPlaintextUntil?: Date | number;
  /** Prefix of every key in the store, like Redis `InstanceName`: apps that share a backend differ in it. Default `tokenkeep`. */
  readonly namespace?: string;
  /**
   * Makes records from 4 KB on smaller before they are sealed. `"auto"`: zstd where this Node has it (22.15), else
   * deflate; a Node without zstd does not open what one with it wrote. `"deflate"`: what every Node opens.
   * Default `"off"`.
   */
  readonly compression?: Compression;
  /**
   * Keeps names out of the store: keys of records, leases, messages and activity rows become HMACs under a key of
   * their own, and what else would name somebody is sealed. Needs `keys`. Default: names stand in clear.
   */
  readonly names?: NamesOptions;
  /** L1, the copy in this process. `false` turns it off. */
  readonly l1?:
    | false
    | {
        /** Bytes it may hold. Default: the smaller of 500 MB and a tenth of the memory the process may use. */ readonly maxBytes?: number;
      };
  /** Bound on how long a sign-out on another node may go unseen here, ms. Default 5,000. */
  readonly coherenceBoundMs?: number;
  /** Serve copies from memory while the store fails. Default true; false makes `coherenceBoundMs` the bound. */
  readonly failSafe?: boolean;
  /** With fail-safe: how long after the store's last confirmation, ms. Default one hour. */
  readonly maxStaleMs?: number;
  /**
   * How far apart the wall clocks of two processes may be, ms. Default 10,000. Decides only between a sign-in and a
   * sign-out of one user of which one had to wait for the store and neither knew of the other: closer together
   * than this, the user is signed out.
   */
  readonly maxClockSkewMs?: number;
  /**
   * How long one call to the store may take, ms; after that its caller gets a retryable error, or a copy that
   * fail-safe allows. Default 1,000 for a reading and 2,000 for a write, or what the store needs to wait for a
   * lock (`patienceMs`), if that is more.
   */
  readonly storeBudgetMs?: Partial<StoreBudgets>;
  /**
   * When to stop asking a store that fails: after `afterFailures` in a row (default 3) for `pauseMs` (default
   * 500), then one call tries. `false`: every call is made.
   */
  readonly storeBreaker?: false | Partial<BreakerOptions>;
  /**
   * Told of every failed call to the store, as `onEvent` is; `true` asks for one more try, within the budget of
   * the call. Must not block.
   */
  readonly onStoreFailure?: OnStoreFailure;
  /** Bytes of results that may wait in memory while the store fails. Default 64 MB. */
  readonly unsavedMaxBytes?: number;
  /**
   * A folder of this host's own, mode 0700, where such results are kept too, sealed, so that a crash of the
   * process does not lose them: the next process that starts stores them. Default: they are in memory only.
   */
  readonly spillFolder?: string;
  /**
   * Whether processes take turns at renewing a token (cache synchronization). `advisory`, the default: one
   * renews, the others wait for what it gets; without a store that can lease, or with one that is down, each
   * renews by itself. `off`: each does.
   */
  readonly refreshLease?: "advisory" | "off";
  /**
   * What a refresh token is worth after its use. `reusable`, the default: still valid for a while (Entra ID).
   * `one-time`: a second use is refused, so only one request per user is under way at a time.
   */
  readonly refreshTokens?: RefreshTokenMode;
  /** How long records are kept; see {@link Retention}. */
  readonly retention?: Partial<Retention>;
  /** Who was active when: where that is kept, and what is added to it. */
  readonly activity?: {
    /** Where activity rows are kept, if not beside the records. */
    readonly store?: AccountActivityStore;
    /** Adds the application's own properties to a row. */
    readonly onBeforeWrite?: OnBeforeActivityWrite<Properties>;
  };
  /** Told what happens; see {@link TokenkeepEvent}. Must not block. */
  readonly onEvent?: TokenkeepEventListener;
  /** Time, timers and randomness. For tests and simulations. */
  readonly runtime?: Runtime;
}

/**
 * See {@link TokenCacheOptions.names}. `"clear"` stands for names without a key. A key is changed in two steps, each
 * on every process before the next begins: `{ key: old, next }`, then `{ key: next, previous: old }`.
 */
export interface NamesOptions {
  /** 32 bytes, their base64 or base64url text, or what `generateKey()` gives. `"clear"` only with one of the others. */
  readonly key: NameKey;
  /** The key that will be used: names made with it are understood, and records that have moved are followed. */
  readonly next?: NameKey;
  /** The key that was used: what is found under such a name is read, and moves when it is written. */
  readonly previous?: NameKey;
}

/** See {@link TokenCacheOptions.onStoreFailure}. What it throws counts as no. */
export type OnStoreFailure = (error: TokenkeepError, operation: StoreOperation) => boolean | undefined | void;

export interface ResolvedOptions {
  readonly store: Store | undefined;
  readonly keys: KeyRing | ReloadingKeys | "unsealed";
  readonly acceptPlaintextUntilMs: number | undefined;
  readonly namespace: string;
  readonly compression: Compression;
  readonly names: NameKeys | undefined;
  readonly l1MaxBytes: number | false;
  readonly coherenceBoundMs: number;
  readonly maxStaleMs: number;
  readonly storeBudgets: StoreBudgets;
  readonly storeBreaker: BreakerOptions | false;
  readonly onStoreFailure: OnStoreFailure | undefined;
  readonly maxClockSkewMs: number;
  readonly unsavedMaxBytes: number;
  readonly spillFolder: string | undefined;
  readonly refreshLease: "advisory" | "off";
  readonly refreshTokens: RefreshTokenMode;
  readonly retention: Retention;
  readonly activityStore: AccountActivityStore | undefined;
  readonly onBeforeActivityWrite: OnBeforeActivityWrite<unknown> | undefined;
  readonly onEvent: TokenkeepEventListener | undefined;
  readonly runtime: Runtime;
}

const defaults = Object.freeze({
  namespace: "tokenkeep",
  coherenceBoundMs: 5_000,
  maxStaleMs: 3_600_000,
  maxClockSkewMs: 10_000,
  unsavedMaxBytes: 64_000_000,
  readBudgetMs: 1_000,
  writeBudgetMs: 2_000,
  afterFailures: 3,
  pauseMs: 500,
});

const KNOWN_OPTIONS = new Set([
  "store",
  "keys",
  "acceptPlaintextUntil",
  "namespace",
  "compression",
  "names",
  "l1",
  "coherenceBoundMs",
  "failSafe",
  "maxStaleMs",
  "storeBudgetMs",
  "storeBreaker",
  "onStoreFailure",
  "maxClockSkewMs",
  "unsavedMaxBytes",
  "spillFolder",
  "refreshLease",
  "refreshTokens",
  "retention",
  "activity",
  "onEvent",
  "runtime",
]);
const OWNER = "createTokenCache";
const BUDGETS = new Set(["read", "write"]);
const BREAKER = new Set(["afterFailures", "pauseMs"]);
const NAMES = new Set(["key", "next", "previous"]);
const L1 = new Set(["maxBytes"]);
const ACTIVITY = new Set(["store", "onBeforeWrite"]);
const RETENTION = new Set(Object.keys(defaultRetention));
const STORE_METHODS = ["get", "put", "touch", "delete"];
const ACTIVITY_STORE_METHODS = ["get", "put", "delete", "list"];

/** @throws {OptionsError} naming the first option that is missing, misspelt or wrong. */
export function resolveOptions<P>(options: TokenCacheOptions<P>): ResolvedOptions {
  checkOptionNames(options, KNOWN_OPTIONS, OWNER);
  return {
    store: checkedStore(options.store),
    keys: checkedKeys(options),
    acceptPlaintextUntilMs: checkedPlaintext(options),
    namespace: checkedNamespace(options.namespace),
    compression: checkedChoice(options.compression, "compression", ["off", "auto", "deflate"]),
    names: checkedNames(options),
    l1MaxBytes: checkedL1(options),
    ...checkedFreshness(options),
    storeBudgets: checkedBudgets(options),
    storeBreaker: checkedBreaker(options.storeBreaker),
    onStoreFailure: checkedFunction(options.onStoreFailure, "onStoreFailure"),
    maxClockSkewMs: checkedPositive(options.maxClockSkewMs, "maxClockSkewMs", defaults.maxClockSkewMs),
    unsavedMaxBytes: checkedPositive(options.unsavedMaxBytes, "unsavedMaxBytes", defaults.unsavedMaxBytes),
    spillFolder: checkedFolder(options.spillFolder),
    refreshLease: checkedChoice(options.refreshLease, "refreshLease", ["advisory", "off"]),
    refreshTokens: checkedChoice(options.refreshTokens, "refreshTokens", ["reusable", "one-time"]),
    retention: checkedRetention(options.retention),
    ...checkedActivity(options),
    onEvent: checkedFunction(options.onEvent, "onEvent"),
    runtime: checkedRuntime(options.runtime),
  };
}

function checkedFreshness(
  options: Pick<TokenCacheOptions, "coherenceBoundMs" | "maxStaleMs" | "failSafe">,
): Pick<ResolvedOptions, "coherenceBoundMs" | "maxStaleMs"> {
  const boundMs = checkedPositive(options.coherenceBoundMs, "coherenceBoundMs", defaults.coherenceBoundMs);
  const staleMs = checkedPositive(options.maxStaleMs, "maxStaleMs", defaults.maxStaleMs);
  const failSafe = checkedChoice(options.failSafe, "failSafe", [true, false]);
  return { coherenceBoundMs: boundMs, maxStaleMs: failSafe ? Math.max(staleMs, boundMs) : boundMs };
}

function checkedStore(store: Store | undefined): Store | undefined {
  if (store !== undefined) checkMethods(store, "store", STORE_METHODS, "a store, e.g. sqliteStore({ path })");
  return store;
}

function checkedFolder(folder: string | undefined): string | undefined {
  if (folder === undefined || (typeof folder === "string" && folder !== "")) return folder;
  throw new OptionsError("spillFolder", "must be the path of a folder");
}

function checkedKeys(options: Pick<TokenCacheOptions, "keys" | "store">): ResolvedOptions["keys"] {
  const { keys } = options;
  if (keys === "unsealed" || isReloading(keys)) return keys;
  if (typeof (keys as Partial<KeyRing> | undefined)?.find === "function") return keys as KeyRing;
  // Nothing leaves the memory of the process, so there is nothing to seal.
  if (keys === undefined && options.store === undefined) return "unsealed";
  throw new OptionsError(
    "keys",
    keys === undefined
      ? 'is missing: tokens are stored sealed. Pass keysFromEnv(…), keysFromFile(…) or createKeyRing(…), or "unsealed" to store them in clear'
      : 'must be a key ring (keysFromEnv, keysFromFile, createKeyRing, or await reloadingKeys(…)) or "unsealed"',
  );
}

/** A way back to clear text that is left open by mistake closes by itself. */
const LONGEST_PLAINTEXT_MS = 90 * 24 * 3_600_000;

function checkedPlaintext(
  options: Pick<TokenCacheOptions, "acceptPlaintextUntil" | "keys" | "runtime">,
): number | undefined {
  const { acceptPlaintextUntil: until, keys } = options;
  if (until === undefined) return undefined;
  const untilMs = until instanceof Date ? until.getTime() : until;
  if (typeof untilMs !== "number" || !Number.isFinite(untilMs)) {
    throw new OptionsError("acceptPlaintextUntil", "must be a Date, or ms since the epoch");
  }
  if (keys === undefined || keys === "unsealed") {
    throw new OptionsError("acceptPlaintextUntil", "needs `keys`, for what is written from now on");
  }
  if (untilMs > checkedRuntime(options.runtime).now() + LONGEST_PLAINTEXT_MS) {
    throw new OptionsError("acceptPlaintextUntil", "must be at most 90 days ahead");
  }
  return untilMs;
}

function checkedNamespace(namespace: string | undefined): string {
  if (namespace === undefined) return defaults.namespace;
  if (typeof namespace !== "string" || !/^[A-Za-z0-9._-]{1,64}$/.test(namespace)) {
    throw new OptionsError("namespace", "must be 1 to 64 letters, digits, dots, underscores or hyphens");
  }
  return namespace;
}

function checkedNames({ names, keys }: Pick<TokenCacheOptions, "names" | "keys">): NameKeys | undefined {
  if (names === undefined) return undefined;
  checkOptionNames(names, NAMES, OWNER, "names");
  if (keys === undefined || keys === "unsealed") {
    throw new OptionsError("names", "needs `keys`: what names do not say any more is kept sealed");
  }
  const checked = (name: keyof NamesOptions): NameKeyObject | undefined => {
    const key = names[name];
    return key === undefined || key === "clear" ? key : nameKeyObject(key, `names.${name}`);
  };
  const [key, next, previous] = [checked("key"), checked("next"), checked("previous")];
  if (key === undefined) throw new OptionsError("names.key", "is missing");
  if (next !== undefined && previous !== undefined) {
    throw new OptionsError(
      "names",
      "has both `next` and `previous`: these are two steps, one after the other",
    );
  }
  const other = next ?? previous;
  if (key === "clear" && other === undefined) {
    throw new OptionsError("names.key", 'is "clear" without `next` or `previous`: leave `names` out');
  }
  if (other !== undefined && isSameKey(key, other)) {
    throw new OptionsError(next === undefined ? "names.previous" : "names.next", "is the key itself");
  }
  return { key, next, previous };
}

function isSameKey(one: NameKeyObject, other: NameKeyObject): boolean {
  if (one === "clear" || other === "clear") return one === other;
  return one.equals(other);
}

function checkedBudgets({
  storeBudgetMs,
  store,
}: Pick<TokenCacheOptions, "storeBudgetMs" | "store">): StoreBudgets {
  if (storeBudgetMs !== undefined) checkOptionNames(storeBudgetMs, BUDGETS, OWNER, "storeBudgetMs");
  const patienceMs = checkedPositive(store?.patienceMs, "store.patienceMs", 1);
  const checked = (name: keyof StoreBudgets, fallback: number): number =>
    checkedPositive(
      storeBudgetMs?.[name],
      `storeBudgetMs.${name}`,
      Math.min(MAX_TIMER_MS, Math.max(fallback, patienceMs)),
      MAX_TIMER_MS,
    );
  return { read: checked("read", defaults.readBudgetMs), write: checked("write", defaults.writeBudgetMs) };
}

function checkedBreaker(breaker: TokenCacheOptions["storeBreaker"]): BreakerOptions | false {
  if (breaker === false) return false;
  if (breaker !== undefined) checkOptionNames(breaker, BREAKER, OWNER, "storeBreaker");
  const { afterFailures, pauseMs } = breaker ?? {};
  return {
    afterFailures: checkedPositive(afterFailures, "storeBreaker.afterFailures", defaults.afterFailures),
    pauseMs: checkedPositive(pauseMs, "storeBreaker.pauseMs", defaults.pauseMs),
  };
}

function checkedL1({ l1, store }: Pick<TokenCacheOptions, "l1" | "store">): number | false {
  if (l1 === false && store === undefined) {
    throw new OptionsError(
      "l1",
      "must not be false without a store: memory is the only place for tokens then",
    );
  }
  if (l1 === false) return false;
  if (l1 !== undefined) checkOptionNames(l1, L1, OWNER, "l1");
  return Math.ceil(checkedPositive(l1?.maxBytes, "l1.maxBytes", defaultL1MaxBytes()));
}

function checkedRetention(retention: Partial<Retention> | undefined): Retention {
  if (retention !== undefined) checkOptionNames(retention, RETENTION, OWNER, "retention");
  const checked = (name: Exclude<keyof Retention, "sliding">): number =>
    checkedPositive(retention?.[name], `retention.${name}`, defaultRetention[name]);
  return {
    userTtlMs: checked("userTtlMs"),
    longRunningTtlMs: checked("longRunningTtlMs"),
    sessionTtlMs: checked("sessionTtlMs"),
    sliding: checkedChoice(retention?.sliding, "retention.sliding", [true, false]),
    absoluteTtlMs: checked("absoluteTtlMs"),
    removalMarkerTtlMs: checked("removalMarkerTtlMs"),
  };
}

function checkedActivity<P>({
  activity,
  store,
}: TokenCacheOptions<P>): Pick<ResolvedOptions, "activityStore" | "onBeforeActivityWrite"> {
  if (activity !== undefined) checkOptionNames(activity, ACTIVITY, OWNER, "activity");
  if (activity?.store !== undefined) {
    checkMethods(activity.store, "activity.store", ACTIVITY_STORE_METHODS, "an account activity store");
  }
  const hook = checkedFunction(activity?.onBeforeWrite, "activity.onBeforeWrite");
  return {
    activityStore: activity?.store ?? store?.activity,
    onBeforeActivityWrite: hook as OnBeforeActivityWrite<unknown> | undefined,
  };
}
