/** The key ring of one cache, while its keys are loaded anew now and then. */
import { OptionsError, TokenkeepError } from "../errors.ts";
import type { Runtime, Timer } from "../runtime.ts";
import type { Emit } from "../telemetry/emitter.ts";
import type { KeyRing } from "./key-ring.ts";
import { checkedRing, LOAD_BUDGET_MS } from "./reloading-keys.ts";
import type { ReloadingKeys } from "./reloading-keys.ts";
import { callProvider } from "./wrapper-calls.ts";
import type { GraceProblem } from "./wrapped-keys.ts";

/** A ring that changes. What it says of itself is of the ring it is at that moment. */
export interface LiveKeyRing extends KeyRing {
  /**
   * Asks for the keys because one is not there: with whoever else asks, and no oftener than is allowed for all
   * of them together. Waits for no load that has lasted longer than its patience. Never rejects.
   * @returns whether the key is there now.
   */
  learn(keyId: string): Promise<boolean>;
  /**
   * Loads the keys now, whatever is under way or allowed; not once it is closed.
   * @returns whether other keys came of it. @throws retryable `ERR_KEYS_UNAVAILABLE`, or what tells more
   */
  reload(): Promise<boolean>;
  /** Begins the periodic loads; their timer keeps no process alive. */
  start(): void;
  /** Ends them, and the waiting for one that is under way: its timer would keep the process alive. */
  close(): void;
}

/** So many loads for the sake of unknown ids at once … */
const ASKS_AT_ONCE = 4;
/** … and one more after each such time: anybody who can write to the store can make up ids. */
const ASK_EVERY_MS = 5_000;
/** Processes that started together shall not load together for ever. */
const SPREAD = 0.2;

export interface LiveRingOptions {
  readonly runtime: Runtime;
  readonly emit: Emit;
  /** How long whoever asks for a key waits for a load, ms. Default: as long as it may take. */
  readonly patienceMs?: number;
}

/** The keys as they were first loaded; nothing runs before {@link LiveKeyRing.start}. */
export function createLiveRing(keys: ReloadingKeys, options: LiveRingOptions): LiveKeyRing {
  const { runtime, emit, patienceMs = LOAD_BUDGET_MS } = options;
  let ring = keys.ring;
  let loading: Promise<boolean> | undefined;
  /** Resolves with the load under way, or when that has lasted too long: for all who ask meanwhile. */
  let patience: Promise<void> | undefined;
  let timer: Timer;
  const closing = new AbortController();
  const mayAsk = createAllowance(runtime);

  function schedule(): void {
    runtime.clearTimer(timer);
    if (closing.signal.aborted) return;
    timer = runtime.setTimer(
      () => void begin().catch(noMore),
      keys.everyMs * (1 - SPREAD * runtime.jitter()),
    );
  }

  function begin(): Promise<boolean> {
    if (loading) return loading;
    loading = loadOnce().finally(() => {
      loading = undefined;
      schedule();
    });
    patience = settledWithin(runtime, loading, patienceMs);
    return loading;
  }

  async function loadOnce(): Promise<boolean> {
    try {
      return take(checkedRing(await loaded(keys, { runtime, emit }, closing.signal), "load"));
    } catch (error) {
      if (!closing.signal.aborted) emit({ type: "keys-not-reloaded", error });
      throw error;
    }
  }

  function take(next: KeyRing): boolean {
    for (const id of next.keyIds) {
      // An id that means two keys would make records of one of them look forged.
      if (ring.find(id)?.equals(next.find(id) ?? ring.find(id)!) === false) {
        throw new OptionsError(
          "load",
          "gives another key under an id than before: one id, one key, for ever",
        );
      }
    }
    const before = [ring.sealingKeyId, ...ring.keyIds].join();
    ring = next;
    if (before === [ring.sealingKeyId, ...ring.keyIds].join()) return false;
    emit({ type: "keys-reloaded", sealingKeyId: ring.sealingKeyId, keyIds: ring.keyIds });
    return true;
  }

  async function joinLoad(): Promise<void> {
    await loading?.catch(noMore);
  }

  return Object.freeze({
    get sealingKeyId() {
      return ring.sealingKeyId;
    },
    get keyIds() {
      return ring.keyIds;
    },
    find: (keyId: string) => ring.find(keyId),
    async learn(keyId: string) {
      // A load under way may have begun before the key was there.
      if (loading) await patience;
      const isKnown = (): boolean => ring.find(keyId) !== undefined;
      if (isKnown() || closing.signal.aborted) return isKnown();
      if (!loading && mayAsk()) void begin().catch(noMore);
      if (loading) await patience;
      return isKnown();
    },
    async reload() {
      await joinLoad();
      return begin();
    },
    start: schedule,
    close() {
      closing.abort();
      runtime.clearTimer(timer);
    },
  });
}

/** Within a budget, and with an error that can be shown: whoever keeps keys may have put some into theirs. */
async function loaded(
  keys: ReloadingKeys,
  { runtime, emit }: LiveRingOptions,
  ending: AbortSignal,
): Promise<KeyRing> {
  const calls = { wrapper: { name: "reload" }, budgetMs: LOAD_BUDGET_MS, runtime, ending };
  const answer = await callProvider(calls, "loading the keys", async () => {
    try {
      const onGrace = (problem: GraceProblem): void => emit({ type: "keys-in-grace", ...problem });
      return { ring: await keys.load({ onGrace }) };
    } catch (error) {
      if (error instanceof OptionsError || error instanceof TokenkeepError) return { error };
      throw error;
    }
  });
  if ("error" in answer) throw answer.error;
  return answer.ring;
}

function settledWithin(runtime: Runtime, work: Promise<unknown>, ms: number): Promise<void> {
  return new Promise((resolve) => {
    const timer = runtime.setTimer(resolve, ms, { keepAlive: true });
    const settled = (): void => {
      runtime.clearTimer(timer);
      resolve();
    };
    work.then(settled, settled);
  });
}

/** A bucket that fills with time. */
function createAllowance(runtime: Runtime): () => boolean {
  let left = ASKS_AT_ONCE;
  let countedAtMs = runtime.monotonicNow();
  return () => {
    const nowMs = runtime.monotonicNow();
    left = Math.min(ASKS_AT_ONCE, left + (nowMs - countedAtMs) / ASK_EVERY_MS);
    countedAtMs = nowMs;
    if (left < 1) return false;
    left -= 1;
    return true;
  };
}

function noMore(): undefined {
  return undefined;
}
