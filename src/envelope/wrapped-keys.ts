/**
 * A key ring of wrapped keys. Each is unwrapped once and kept; kept keys are confirmed now and then, so that
 * who takes the right to unwrap away ends their use, and an outage of the provider does not.
 */
import type { KeyObject } from "node:crypto";

import { checkOptionNames, checkedPositive, checkedRuntime } from "../checks.ts";
import { TokenkeepError } from "../errors.ts";
import type { Runtime } from "../runtime.ts";
import type { KeyRing } from "./key-ring.ts";
import { formatWrappedKey, parseWrappedKeys } from "./key-wrapper.ts";
import type { KeyWrapper, WrappedKey } from "./key-wrapper.ts";
import { callProvider, checkedBudget, checkWrapper, refusal, unwrapKey } from "./wrapper-calls.ts";
import type { WrapperCalls } from "./wrapper-calls.ts";

const KNOWN_OPTIONS = new Set(["wrapper", "keys", "budgetMs", "refreshMs", "graceMs", "runtime"]);
const DEFAULT_REFRESH_MS = 3_600_000;
const DEFAULT_GRACE_MS = 86_400_000;

/** The options of {@link keysFromWrapped}. */
export interface WrappedKeysOptions {
  /** Who unwraps, e.g. `azureKeyVault(…)`. */
  readonly wrapper: KeyWrapper;
  /**
   * The wrapped keys: entries `id:version:wrapped` as {@link newWrappedKey} makes them, separated by commas or
   * white space, the sealing key first. No secret. A function is called at every load, so that a rotation needs
   * no restart.
   */
  readonly keys: string | (() => string | Promise<string>);
  /** How long a call to the provider may take, retries of its client included. Default 5 seconds. */
  readonly budgetMs?: number;
  /** How long a key is kept before a load asks the provider for it again. Default 1 hour. */
  readonly refreshMs?: number;
  /** How much longer kept keys serve while the provider does not answer. Default 24 hours. */
  readonly graceMs?: number;
  /** For tests. Default: the system's. */
  readonly runtime?: Runtime;
}

/** The options of {@link KeySource.load}. */
export interface LoadOptions {
  /** Told where kept keys serve, because the provider, or the text of the keys, cannot be had. */
  readonly onGrace?: (problem: GraceProblem) => void;
}

/** What {@link LoadOptions.onGrace} is told. */
export interface GraceProblem {
  /** `ERR_KEYS_UNAVAILABLE`. */
  readonly error: TokenkeepError;
  /** After this the keys are gone, unless the provider answers. */
  readonly remainingMs: number;
}

/** Where a key ring comes from that takes time to get. */
export interface KeySource {
  /**
   * The key ring as it is now. Calls that overlap share one load.
   *
   * Throws a {@link TokenkeepError}: `ERR_KEYS_UNAVAILABLE` (retryable) or `ERR_KEYS_REFUSED`; and an
   * {@link OptionsError} where the keys are not of the right form.
   */
  load(options?: LoadOptions): Promise<KeyRing>;
}

/**
 * The key ring of data keys that a key service has wrapped.
 *
 * A load unwraps what it has not yet, and asks again for what it has had for longer than `refreshMs`. Where the
 * provider does not answer, kept keys serve for `graceMs` more; where it refuses, that key is dropped at once.
 * The rings that were handed out before follow: what a load has dropped they do not find any more. So load now
 * and then; a ring that is never loaded anew stays as it is.
 */
export function keysFromWrapped(options: WrappedKeysOptions): KeySource {
  const load = wrappedRing(checkedOptions(options));
  let loading: Promise<Loaded> | undefined;
  return Object.freeze({
    async load({ onGrace }: LoadOptions = {}) {
      loading ??= load().finally(() => (loading = undefined));
      const { ring, problem } = await loading;
      if (problem !== undefined) onGrace?.(problem);
      return ring;
    },
  });
}

interface Loaded {
  readonly ring: KeyRing;
  readonly problem: GraceProblem | undefined;
}

/** What a load has met so far. */
interface Problems {
  /** For these kept keys, or the last text, serve. */
  readonly outages: TokenkeepError[];
  /** For these no ring comes of it. */
  readonly failures: unknown[];
  providerIsDown?: TokenkeepError;
}

interface Settings extends WrapperCalls {
  readonly keys: () => string | Promise<string>;
  readonly refreshMs: number;
  readonly graceMs: number;
}

/** A key that has been unwrapped. Rings share it, so that its end is the end of it in all of them. */
interface Held {
  /** Absent while the provider refuses it, and after the grace. */
  key: KeyObject | undefined;
  confirmedAt: Moment;
}

/** A machine that sleeps, or is copied, stops the one clock, and somebody may set the other: both count. */
interface Moment {
  readonly wallMs: number;
  readonly monotonicMs: number;
}

function wrappedRing(settings: Settings): () => Promise<Loaded> {
  const { runtime, refreshMs, graceMs } = settings;
  let entries: readonly WrappedKey[] | undefined;
  const heldKeys = new Map<string, Held>();

  const now = (): Moment => ({ wallMs: runtime.now(), monotonicMs: runtime.monotonicNow() });
  const ageOf = ({ confirmedAt: then }: Held): number =>
    Math.max(runtime.monotonicNow() - then.monotonicMs, runtime.now() - then.wallMs);
  const remainingOf = (held: Held | undefined): number =>
    held?.key === undefined ? 0 : refreshMs + graceMs - ageOf(held);

  async function load(): Promise<Loaded> {
    const problems: Problems = { outages: [], failures: [] };
    const wanted = await readEntries(problems);
    const names = wanted.map(formatWrappedKey);
    // All of them, whatever has failed before: a mistake in one entry must neither keep a refusal of another from
    // being heard, nor let the others grow old.
    for (const [index, entry] of wanted.entries()) await confirmDue(names[index]!, entry, problems);
    if (problems.failures.length > 0) {
      dropOverdue();
      throw problems.failures[0];
    }
    for (const name of heldKeys.keys()) if (!names.includes(name)) heldKeys.delete(name);
    const keys = names.map((name) => heldKeys.get(name)!);
    const [error] = problems.outages;
    const problem = error && { error, remainingMs: Math.min(...keys.map(remainingOf)) };
    const ids = wanted.map(({ id }) => id);
    return { ring: ringOf(ids, keys), problem };
  }

  /** Where the text cannot be read, or is wrong, the last one tells which keys to confirm. */
  async function readEntries({ outages, failures }: Problems): Promise<readonly WrappedKey[]> {
    try {
      const text = await callProvider(settings, "reading the wrapped keys", async () => settings.keys());
      entries = parseWrappedKeys(text, "keys");
    } catch (error) {
      if (entries === undefined) throw error;
      if (isUnavailable(error)) outages.push(error);
      else failures.push(error);
    }
    return entries;
  }

  async function confirmDue(name: string, entry: WrappedKey, problems: Problems): Promise<void> {
    const held = heldKeys.get(name);
    if (held?.key !== undefined && ageOf(held) < refreshMs) return;
    const { providerIsDown } = problems;
    try {
      // One after the other: a provider that has just not answered is not waited for again.
      if (providerIsDown !== undefined) throw providerIsDown;
      heldKeys.set(name, await confirm(entry, held));
    } catch (error) {
      if (isUnavailable(error)) problems.providerIsDown = error;
      if (!isUnavailable(error) || remainingOf(held) <= 0) problems.failures.push(error);
      else if (providerIsDown === undefined) problems.outages.push(error);
    }
  }

  /** Not by the clock alone: a ring that nobody loads anew would end in the midst of its use. */
  function dropOverdue(): void {
    for (const held of heldKeys.values()) if (remainingOf(held) <= 0) held.key = undefined;
  }

  async function confirm(entry: WrappedKey, held: Held | undefined): Promise<Held> {
    const confirmedAt = now();
    try {
      const key = await unwrapKey(settings, entry);
      if (held === undefined) return { key, confirmedAt };
      if (held.key?.equals(key) !== false) return Object.assign(held, { key, confirmedAt });
      throw refusal(settings.wrapper, `unwrapping key ${entry.id}`, "gave another key than before");
    } catch (error) {
      if (held !== undefined && !isUnavailable(error)) held.key = undefined;
      throw error;
    }
  }

  function ringOf(ids: readonly string[], keys: readonly Held[]): KeyRing {
    const byId = new Map(ids.map((id, index) => [id, keys[index]!]));
    return Object.freeze({
      sealingKeyId: ids[0]!,
      keyIds: Object.freeze([...ids]),
      find: (keyId: string) => byId.get(keyId)?.key,
    });
  }

  return load;
}

function isUnavailable(error: unknown): error is TokenkeepError {
  return error instanceof TokenkeepError && error.code === "ERR_KEYS_UNAVAILABLE";
}

function checkedOptions(options: WrappedKeysOptions): Settings {
  const given: Partial<WrappedKeysOptions> = options ?? {};
  checkOptionNames(given, KNOWN_OPTIONS, "keysFromWrapped");
  const { wrapper, keys, refreshMs, graceMs } = given;
  checkWrapper(wrapper, "wrapper");
  // A text that is wrong is wrong at once, where the mistake is.
  if (typeof keys !== "function") parseWrappedKeys(keys as string, "keys");
  return {
    wrapper,
    keys: typeof keys === "function" ? keys : () => keys as string,
    budgetMs: checkedBudget(given.budgetMs),
    refreshMs: checkedPositive(refreshMs, "refreshMs", DEFAULT_REFRESH_MS),
    graceMs: checkedPositive(graceMs, "graceMs", DEFAULT_GRACE_MS),
    runtime: checkedRuntime(given.runtime),
  };
}
