/** Options of `createTokenCache`: what they mean, their defaults, and the checks made on them once. */
import type { OnBeforeActivityWrite } from "./activity/activity.ts";
import type { KeyRing } from "./envelope/key-ring.ts";
import { OptionsError } from "./errors.ts";
import type { RefreshTokenMode } from "./partitions/lease.ts";
import { defaultRetention, type Retention } from "./partitions/retention.ts";
import { systemRuntime, type Runtime } from "./runtime.ts";
import type { AccountActivityStore } from "./store/account-activity-store.ts";
import type { Store } from "./store/store.ts";
import type { EventListener } from "./telemetry/events.ts";
import { defaultL1MaxBytes } from "./tiers/l1.ts";

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
  readonly onEvent?: EventListener;
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
  readonly onEvent: EventListener | undefined;
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

/** @throws {OptionsError} naming the first option that is missing, misspelt or wrong. */
export function resolveOptions<P>(options: TokenCacheOptions<P>): ResolvedOptions {
  if (typeof options !== "object" || options === null) throw new OptionsError("options", "must be an object");
  for (const name of Object.keys(options)) {
    if (!KNOWN_OPTIONS.has(name)) throw new OptionsError(name, "is not an option of createTokenCache");
  }
  const coherenceBoundMs = positive(options.coherenceBoundMs, "coherenceBoundMs", defaults.coherenceBoundMs);
  const maxStaleMs = positive(options.maxStaleMs, "maxStaleMs", defaults.maxStaleMs);
  return {
    store: checkedStore(options.store),
    keys: checkedKeys(options),
    namespace: checkedNamespace(options.namespace),
    l1MaxBytes: checkedL1(options.l1),
    coherenceBoundMs,
    maxStaleMs: options.failSafe === false ? coherenceBoundMs : Math.max(maxStaleMs, coherenceBoundMs),
    unsavedMaxBytes: positive(options.unsavedMaxBytes, "unsavedMaxBytes", defaults.unsavedMaxBytes),
    spillFolder: checkedFolder(options.spillFolder),
    refreshLease: oneOf(options.refreshLease, "refreshLease", ["advisory", "off"]),
    refreshTokens: oneOf(options.refreshTokens, "refreshTokens", ["reusable", "one-time"]),
    retention: checkedRetention(options.retention),
    activityStore: options.activity?.store ?? options.store?.activity,
    onBeforeActivityWrite: checkedFunction(options.activity?.onBeforeWrite, "activity.onBeforeWrite") as
      OnBeforeActivityWrite<unknown> | undefined,
    onEvent: checkedFunction(options.onEvent, "onEvent"),
    runtime: options.runtime ?? systemRuntime,
  };
}

function checkedFolder(folder: string | undefined): string | undefined {
  if (folder === undefined || (typeof folder === "string" && folder !== "")) return folder;
  throw new OptionsError("spillFolder", "must be the path of a folder");
}

function checkedStore(store: Store | undefined): Store | undefined {
  if (store === undefined) return undefined;
  for (const method of ["get", "put", "touch", "delete"] as const) {
    if (typeof (store as Partial<Store>)[method] !== "function") {
      throw new OptionsError("store", `must be a store; it has no method ${method}()`);
    }
  }
  return store;
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
  if (l1 !== undefined && (typeof l1 !== "object" || l1 === null)) {
    throw new OptionsError("l1", "must be false or { maxBytes }");
  }
  return Math.ceil(positive(l1?.maxBytes, "l1.maxBytes", defaultL1MaxBytes()));
}

function checkedRetention(retention: Partial<Retention> | undefined): Retention {
  const { userTtlMs, removalMarkerTtlMs } = retention ?? {};
  return {
    userTtlMs: positive(userTtlMs, "retention.userTtlMs", defaultRetention.userTtlMs),
    removalMarkerTtlMs: positive(
      removalMarkerTtlMs,
      "retention.removalMarkerTtlMs",
      defaultRetention.removalMarkerTtlMs,
    ),
  };
}

/** The first choice is the default. */
function oneOf<T extends string>(value: T | undefined, option: string, choices: readonly [T, ...T[]]): T {
  if (value === undefined) return choices[0];
  if (choices.includes(value)) return value;
  throw new OptionsError(option, `must be one of: ${choices.join(", ")}`);
}

function positive(value: number | undefined, option: string, fallback: number): number {
  if (value === undefined) return fallback;
  if (typeof value !== "number" || !Number.isFinite(value) || value <= 0) {
    throw new OptionsError(option, "must be a number greater than 0");
  }
  return value;
}

function checkedFunction<F>(value: F | undefined, option: string): F | undefined {
  if (value !== undefined && typeof value !== "function")
    throw new OptionsError(option, "must be a function");
  return value;
}
