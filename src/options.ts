/** Options of `createTokenCache`: what they mean, their defaults, and the checks made on them once. */
import type { OnBeforeActivityWrite } from "./activity/activity.ts";
import {
  checkedChoice,
  checkedFunction,
  checkedPositive,
  checkedRuntime,
  checkMethods,
  checkOptionNames,
} from "./checks.ts";
import type { KeyRing } from "./envelope/key-ring.ts";
import { OptionsError } from "./errors.ts";
import type { RefreshTokenMode } from "./partitions/lease.ts";
import { defaultRetention, type Retention } from "./partitions/retention.ts";
import type { Runtime } from "./runtime.ts";
import type { AccountActivityStore } from "./store/account-activity-store.ts";
import type { Store } from "./store/store.ts";
import type { TokenkeepEventListener } from "./telemetry/events.ts";
import { defaultL1MaxBytes } from "./tiers/l1.ts";

/** What `createTokenCache` is made from. Everything has a default but `keys`, which a store requires. */
export interface TokenCacheOptions<Properties = unknown> {
  /** Where records are kept, e.g. `sqliteStore({ path })`. Without one the cache lives in memory only. */
  readonly store?: Store;
  /**
   * The keys that seal every record: `keysFromEnv(…)`, `keysFromFile(…)`, `createKeyRing(…)`. Required with a
   * store. `"unsealed"` stores tokens in clear, for debugging only; it says so in an event.
   */
  readonly keys?: KeyRing | "unsealed";
  /** Prefix of every key in the store, like Redis `InstanceName`: apps that share a backend differ in it. Default `tokenkeep`. */
  readonly namespace?: string;
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

export interface ResolvedOptions {
  readonly store: Store | undefined;
  readonly keys: KeyRing | "unsealed";
  readonly namespace: string;
  readonly l1MaxBytes: number | false;
  readonly coherenceBoundMs: number;
  readonly maxStaleMs: number;
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
  unsavedMaxBytes: 64_000_000,
});

const KNOWN_OPTIONS = new Set([
  "store",
  "keys",
  "namespace",
  "l1",
  "coherenceBoundMs",
  "failSafe",
  "maxStaleMs",
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
    namespace: checkedNamespace(options.namespace),
    l1MaxBytes: checkedL1(options.l1),
    ...checkedFreshness(options),
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

function checkedKeys(options: Pick<TokenCacheOptions, "keys" | "store">): KeyRing | "unsealed" {
  const { keys } = options;
  if (keys === "unsealed" || typeof (keys as Partial<KeyRing> | undefined)?.find === "function") {
    return keys as KeyRing | "unsealed";
  }
  // Nothing leaves the memory of the process, so there is nothing to seal.
  if (keys === undefined && options.store === undefined) return "unsealed";
  throw new OptionsError(
    "keys",
    keys === undefined
      ? 'is missing: tokens are stored sealed. Pass keysFromEnv(…), keysFromFile(…) or createKeyRing(…), or "unsealed" to store them in clear'
      : 'must be a key ring (keysFromEnv, keysFromFile, createKeyRing) or "unsealed"',
  );
}

function checkedNamespace(namespace: string | undefined): string {
  if (namespace === undefined) return defaults.namespace;
  if (typeof namespace !== "string" || !/^[A-Za-z0-9._-]{1,64}$/.test(namespace)) {
    throw new OptionsError("namespace", "must be 1 to 64 letters, digits, dots, underscores or hyphens");
  }
  return namespace;
}

function checkedL1(l1: TokenCacheOptions["l1"]): number | false {
  if (l1 === false) return false;
  if (l1 !== undefined) checkOptionNames(l1, L1, OWNER, "l1");
  return Math.ceil(checkedPositive(l1?.maxBytes, "l1.maxBytes", defaultL1MaxBytes()));
}

function checkedRetention(retention: Partial<Retention> | undefined): Retention {
  if (retention !== undefined) checkOptionNames(retention, RETENTION, OWNER, "retention");
  const checked = (name: keyof Retention): number =>
    checkedPositive(retention?.[name], `retention.${name}`, defaultRetention[name]);
  return { userTtlMs: checked("userTtlMs"), removalMarkerTtlMs: checked("removalMarkerTtlMs") };
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
