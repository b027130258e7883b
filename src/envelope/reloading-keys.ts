/** Key rings that a running process gets anew, so that a rotation needs no restart. */
import { checkOptionNames, checkedPositive, MAX_TIMER_MS } from "../checks.ts";
import { OptionsError } from "../errors.ts";
import { systemRuntime } from "../runtime.ts";
import { checkRingKeys } from "./key-ring.ts";
import type { KeyRing } from "./key-ring.ts";
import { keysFromFile } from "./providers.ts";
import type { LoadOptions } from "./wrapped-keys.ts";
import { callProvider } from "./wrapper-calls.ts";

const KNOWN_OPTIONS = new Set(["load", "everyMs"]);
const KNOWN_FILE_OPTIONS = new Set(["everyMs"]);
const DEFAULT_EVERY_MS = 60_000;
/** How long a load is waited for. */
export const LOAD_BUDGET_MS = 30_000;

/** What {@link reloadingKeys} is made from. A `KeySource`, e.g. of `keysFromWrapped`, fits. */
export interface ReloadingKeysOptions {
  /**
   * The key ring as it is now. May throw: then the last one serves on. Waited for no longer than 30 seconds.
   * What `onGrace` is told becomes the event `keys-in-grace`.
   */
  readonly load: (options: LoadOptions) => KeyRing | Promise<KeyRing>;
  /** How long after a load the next one is made, at most, ms. Default one minute. */
  readonly everyMs?: number;
}

/**
 * Keys that a cache loads anew: every `everyMs`, at `tokenCache.reloadKeys()`, and where a record names a key
 * id that it does not know. That last is limited over all ids together, so that made-up ones cannot flood
 * whoever keeps the keys: four loads at once, then one in five seconds.
 */
export interface ReloadingKeys {
  /** As they were first loaded. */
  readonly ring: KeyRing;
  /** Loads the keys as they are now. */
  readonly load: (options: LoadOptions) => KeyRing | Promise<KeyRing>;
  /** How often that is done unasked, ms. */
  readonly everyMs: number;
}

/**
 * Loads keys for the first time, and again while a cache uses them. Throws what that first load throws, and
 * retryable `ERR_KEYS_UNAVAILABLE` where it does not end: a process without keys does not start.
 */
export async function reloadingKeys(options: ReloadingKeysOptions): Promise<ReloadingKeys> {
  checkOptionNames(options, KNOWN_OPTIONS, "reloadingKeys");
  const { load } = options;
  if (typeof load !== "function") throw new OptionsError("load", "must be a function");
  const everyMs = checkedEvery(options.everyMs);
  // Called as a method: a source may be an object of somebody's own.
  const loadAgain = (how: LoadOptions): KeyRing | Promise<KeyRing> => options.load(how);
  return Object.freeze({
    ring: checkedRing(await loadedAtStart(loadAgain), "load"),
    load: loadAgain,
    everyMs,
  });
}

/** What it throws is the caller's own, and is told as it is. */
async function loadedAtStart(load: ReloadingKeys["load"]): Promise<KeyRing> {
  const calls = { wrapper: { name: "reload" }, budgetMs: LOAD_BUDGET_MS, runtime: systemRuntime };
  const loaded = await callProvider(calls, "loading the keys", async () => {
    try {
      return { ring: await load({}) };
    } catch (error) {
      return { error };
    }
  });
  if ("error" in loaded) throw loaded.error;
  return loaded.ring;
}

/**
 * The keys in a file, as `keysFromFile` reads them, and again every `everyMs`: write a new file and rename it
 * over the old one. A file that cannot be read, or is wrong, changes nothing.
 *
 * Throws {@link OptionsError} where the first reading fails.
 */
export function reloadingKeysFromFile(
  path: string,
  options: Pick<ReloadingKeysOptions, "everyMs"> = {},
): ReloadingKeys {
  checkOptionNames(options, KNOWN_FILE_OPTIONS, "reloadingKeysFromFile");
  const everyMs = checkedEvery(options.everyMs);
  const load = (): KeyRing => keysFromFile(path);
  return Object.freeze({ ring: load(), load, everyMs });
}

/** Whether these are keys that can be loaded anew. */
export function isReloading(keys: unknown): keys is ReloadingKeys {
  const { ring, load, everyMs } = (keys ?? {}) as Partial<ReloadingKeys>;
  return isRing(ring) && typeof load === "function" && typeof everyMs === "number";
}

/** A ring with its own sealing key. Throws {@link OptionsError}, named `option`. */
export function checkedRing(ring: unknown, option: string): KeyRing {
  if (!isRing(ring)) throw new OptionsError(option, "must give a key ring");
  checkRingKeys(ring, option);
  return ring;
}

function isRing(ring: unknown): ring is KeyRing {
  const { find, sealingKeyId, keyIds } = (ring ?? {}) as Partial<KeyRing>;
  return typeof find === "function" && typeof sealingKeyId === "string" && Array.isArray(keyIds);
}

function checkedEvery(everyMs: number | undefined): number {
  return checkedPositive(everyMs, "everyMs", DEFAULT_EVERY_MS, MAX_TIMER_MS);
}
