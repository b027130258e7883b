import { TokenkeepError } from "../errors.ts";
import { randomId } from "../runtime.ts";
import type { Stored, Version } from "../store/blob-store.ts";
import {
  after,
  ageMs,
  CLOCK_STEP_MS,
  createClock,
  createCoherenceLease,
  isBefore,
  isLater,
} from "./coherence.ts";
import { createFills, type FillToken } from "./fills.ts";
import {
  createSlots,
  weighEntry,
  type Instant,
  type Keep,
  type L1Entry,
  type Place,
  type Slot,
} from "./l1.ts";
import { createRecordCalls } from "./record-calls.ts";
import { createRetain } from "./retain.ts";
import { createSingleFlight } from "./single-flight.ts";
import type { Read, TierPutOptions, TierPutResult, Tiers, TiersOptions } from "./tiers.ts";

/** A key that changes under every one of so many readings is contended: the last one is as good as any. */
const MAX_LOADS = 3;

/** No store's: the counter is asked for, and does not make the copy trusted. */
const NO_COUNTER = "\0";

/** When a request was sent, and the change counter at that time. */
interface Sent {
  readonly at: Instant;
  readonly counter: string | undefined;
}

interface LoadOptions {
  /** Default: that of every reading. */
  readonly budgetMs?: number;
  /** Default: only where memory has nothing to answer with instead. */
  readonly isPatient?: boolean | undefined;
}

/** L1 in this process, L2 in a store. */
export function createTwoTier<V>(options: TiersOptions<V>): Tiers<V> {
  const { store, calls, codec, runtime, coherenceBoundMs: boundMs, maxStaleMs } = options;
  const l1 = options.l1MaxBytes === false ? undefined : createSlots<V>(options.l1MaxBytes);
  const lease = createCoherenceLease(store.backplane, { runtime, calls, boundMs });
  const retain = createRetain({ store, calls, codec, runtime, hasCopies: l1 !== undefined, onKept, onGone });
  const records = createRecordCalls(store, calls);
  const clock = createClock(runtime);
  const loads = createSingleFlight();
  const fills = createFills();
  const unsubscribe = store.backplane?.subscribe((message) => {
    if (l1?.peek(message.key)?.version !== message.version) forget(message.key);
  });

  // --- trust ---

  /** The way of a hit: a few comparisons of numbers, and what is due is only started. */
  function trusted(key: string, nowMs?: number): L1Entry<V> | undefined {
    const slot = l1?.slot(key);
    return slot && check(key, slot, nowMs) ? slot.entry : undefined;
  }

  function check(key: string, slot: Slot<V>, nowMs: number | undefined): boolean {
    const entry = slot.entry as L1Entry<V>;
    clock.tick(nowMs);
    lease.keepAlive(clock);
    const { keep } = entry;
    if (clock.wallMs >= keep.expiresAtMs || !isConfirmed(slot)) return false;
    if (clock.wallMs >= keep.renewFromMs) retain.renew(key, entry);
    const second = secondOf(clock.wallMs);
    if (second < secondOf(Math.min(keep.expiresAtMs, keep.renewFromMs))) slot.checkedSecond = second;
    return true;
  }

  /** The same for whoever asks again and again: how long it is kept, and that it is used, is seen to once a second. */
  function peekAt(place: Place<V>, nowMs: number): V | undefined {
    const { slot } = place;
    if (slot?.value !== undefined && slot.checkedSecond === secondOf(nowMs)) {
      clock.tick(nowMs);
      lease.keepAlive(clock);
      return isConfirmed(slot) ? slot.value : undefined;
    }
    const current = (place.slot = l1?.slot(place.key));
    return current && check(place.key, current, nowMs) ? current.value : undefined;
  }

  /** The counter first: it is one for all. */
  function isConfirmed({ counter, entry }: Slot<V>): boolean {
    return lease.covers(counter, clock) || (entry !== undefined && isBefore(clock, entry.trustedUntil));
  }

  /** Waits for the counter where that alone would make the copy trusted, but not for all of a reading's budget. */
  async function trustedAfterRenewal(key: string): Promise<L1Entry<V> | undefined> {
    await calls.waitFor(lease.renew(), calls.budgets.read / 2);
    return trusted(key);
  }

  function entryOf(
    value: V,
    version: Version,
    more: { readonly sent: Sent; readonly keep: Keep; readonly weight: number },
  ): L1Entry<V> {
    const { sent, keep, weight } = more;
    const trustedUntil = after(sent.at, boundMs - CLOCK_STEP_MS);
    const { at: confirmedAt, counter } = sent;
    return { value, version, level: "L1", confirmedAt, trustedUntil, counter, keep, weight };
  }

  // --- fills ---

  function forget(key: string): void {
    l1?.delete(key);
    loads.detach(key);
    fills.spoil(key);
  }

  /**
   * Who seals it anew just now writes it again for the time it had left, and tells nobody: no counter shows that it
   * is kept no longer. So it is trusted for the bound and then read once, which shows another version if that is so.
   */
  function onKept(key: string, entry: L1Entry<V>, at: Instant): void {
    const held = l1?.peek(key);
    // Meanwhile it may have been confirmed, as another entry; not by whoever seals it anew.
    if (held?.version !== entry.version) return;
    const confirmedAt = isLater(held.confirmedAt, at) ? held.confirmedAt : at;
    const trustedUntil = after(confirmedAt, boundMs - CLOCK_STEP_MS);
    l1?.set(key, { ...held, confirmedAt, trustedUntil, counter: NO_COUNTER });
  }

  function onGone(key: string, entry: L1Entry<V>): void {
    if (l1?.peek(key)?.version === entry.version) l1.delete(key);
  }

  /** Of two loads that overlap, the one that was sent later knows more, whichever answers first. */
  function fillLoaded(token: FillToken, key: string, entry: L1Entry<V>): void {
    const there = l1?.peek(key);
    if (token.spoiled || (there && isLater(there.confirmedAt, entry.confirmedAt))) return;
    l1?.set(key, entry);
  }

  function sending(): Sent {
    clock.tick();
    // The clock may be behind by the rest of a millisecond: it was sent no earlier than that.
    const at = { monotonicMs: clock.monotonicMs, wallMs: clock.wallMs };
    return { at, counter: lease.counter(clock) };
  }

  // --- reading ---

  function read(key: string, { fresh = false } = {}): Promise<Read<V> | undefined> {
    // Whoever insists on the store's word waits while somebody tries whether it is back.
    if (fresh) return load(key, { isPatient: true });
    const entry = trusted(key);
    if (entry) return Promise.resolve(entry);
    return l1?.peek(key)?.counter === undefined ? loadShared(key, calls.budgets.read) : readPastTrust(key);
  }

  async function readPastTrust(key: string): Promise<Read<V> | undefined> {
    const startedAt = runtime.monotonicNow();
    const entry = await trustedAfterRenewal(key);
    if (entry) return entry;
    return loadShared(key, calls.budgets.read - (runtime.monotonicNow() - startedAt));
  }

  function loadShared(key: string, budgetMs: number): Promise<Read<V> | undefined> {
    return loads.run(key, key, () => load(key, { budgetMs }));
  }

  /** What was removed or replaced while it was on its way is out of date: it is read again, not handed out. */
  async function load(key: string, how: LoadOptions): Promise<Read<V> | undefined> {
    let { budgetMs = calls.budgets.read } = how;
    const until = runtime.monotonicNow() + budgetMs;
    for (let attempt = 1; ; attempt++) {
      const token = fills.begin(key);
      try {
        const found = await loadWith(token, key, { budgetMs, isPatient: how.isPatient });
        if (!token.spoiled || attempt === MAX_LOADS) return found;
      } finally {
        fills.end(key, token);
      }
      budgetMs = until - runtime.monotonicNow();
    }
  }

  async function loadWith(token: FillToken, key: string, how: LoadOptions): Promise<Read<V> | undefined> {
    const held = l1?.peek(key);
    const sent = sending();
    // Without copies there is nothing to trust.
    if (l1 && sent.counter === undefined) lease.keepAlive(clock);
    let stored: Stored | "unchanged" | undefined;
    try {
      const { isPatient = !(mayServe(held) && (codec.answers?.(held.value) ?? true)) } = how;
      stored = await records.get(key, { unlessVersion: held?.version, ...how, isPatient });
    } catch (error) {
      return failSafe(key, error);
    }
    if (stored === undefined) {
      if (!token.spoiled) l1?.delete(key);
      return undefined;
    }
    if (stored !== "unchanged") {
      const leftMs = (how.budgetMs ?? calls.budgets.read) - (runtime.monotonicNow() - sent.at.monotonicMs);
      const opened = decodedWithin(key, stored.bytes, leftMs);
      const decoded = opened instanceof Promise ? await opened : opened;
      return accept(token, key, { stored, decoded }, { sent, held });
    }
    const { value, version, keep, weight } = held as L1Entry<V>;
    const copy = entryOf(value, version, { sent, keep, weight });
    fillLoaded(token, key, copy);
    if (sent.at.wallMs >= keep.renewFromMs) retain.renew(key, copy);
    return { value, version, level: "L2" };
  }

  /** What has to be asked for is waited for as long as the store itself would be. */
  function decodedWithin(key: string, bytes: Uint8Array, budgetMs: number): V | Promise<V> {
    const decoded = codec.decode(key, bytes);
    if (!(decoded instanceof Promise)) return decoded;
    const timeIsUp = async (): Promise<never> => {
      await calls.waitFor(decoded, budgetMs);
      throw new TokenkeepError("ERR_STORE_UNAVAILABLE", "what a record is opened with did not come in time", {
        retryable: true,
      });
    };
    return Promise.race([decoded, timeIsUp()]);
  }

  function accept(
    token: FillToken,
    key: string,
    { stored, decoded }: { readonly stored: Stored; readonly decoded: V },
    { sent, held }: { readonly sent: Sent; readonly held: L1Entry<V> | undefined },
  ): Read<V> {
    const value = held && codec.reconcile ? codec.reconcile(key, held.value, decoded) : decoded;
    const { version } = stored;
    const keep = retain.afterLoad(key, value, stored);
    // What is due from now on the next hit renews; without copies there is none.
    const isDue = (l1 ? sent.at.wallMs : runtime.now()) >= keep.renewFromMs;
    if (l1 || isDue) {
      const entry = entryOf(value, version, { sent, keep, weight: weighEntry(key, stored.bytes.length) });
      fillLoaded(token, key, entry);
      if (isDue) retain.renew(key, entry);
    }
    return { value, version, level: "L2" };
  }

  /** What L1 holds *now*: a removal may have come in while the store was failing. */
  function failSafe(key: string, error: unknown): Read<V> {
    const held = l1?.peek(key);
    if (!mayServe(held)) throw error;
    return { value: held.value, version: held.version, level: "stale" };
  }

  function mayServe(held: L1Entry<V> | undefined): held is L1Entry<V> {
    if (!held || runtime.now() >= held.keep.expiresAtMs) return false;
    // A counter that had not moved when it was last read has confirmed the copy as much as a reading of it.
    const confirmedAt = lease.confirmedAt(held.counter) ?? held.confirmedAt;
    return Math.min(ageMs(runtime, confirmedAt), ageMs(runtime, held.confirmedAt)) < maxStaleMs;
  }

  // --- writing ---

  async function put(key: string, value: V, how: TierPutOptions): Promise<TierPutResult<V>> {
    const token = fills.begin(key);
    try {
      return await putWith(token, key, value, how);
    } finally {
      fills.end(key, token);
    }
  }

  async function putWith(
    token: FillToken,
    key: string,
    value: V,
    how: TierPutOptions,
  ): Promise<TierPutResult<V>> {
    const bytes = codec.encode(key, value);
    const version = randomId(runtime);
    const sent = sending();
    const { ifVersion, ttlMs } = how;
    const { current, uncertain } = await records.put(key, bytes, { ifVersion, ttlMs, version });
    if (current?.version === version) {
      // Whatever began before this write may carry what it replaced.
      fills.spoil(key, token);
      if (!l1) return { stored: true, version };
      const keep = retain.afterPut(key, value, ttlMs);
      // Spoiled: another write may have landed after ours, so what L1 holds may be the older of the two.
      if (token.spoiled) l1.delete(key);
      else l1.set(key, entryOf(value, version, { sent, keep, weight: weighEntry(key, bytes.length) }));
      return { stored: true, version };
    }
    const held = l1?.peek(key);
    l1?.delete(key);
    const doubt = uncertain ? { uncertain } : {};
    if (!current) return { stored: false, current: undefined, ...doubt };
    const opened = decodedWithin(key, current.bytes, calls.budgets.read);
    const decoded = opened instanceof Promise ? await opened : opened;
    const found = accept(token, key, { stored: current, decoded }, { sent, held });
    return { stored: false, current: found, ...doubt };
  }

  async function remove(key: string, ifVersion: Version): Promise<boolean> {
    forget(key);
    try {
      return await calls.run("writes", "delete", () => store.delete(key, { ifVersion }));
    } finally {
      // A load that was sent before the deletion landed must not bring the value back.
      forget(key);
    }
  }

  async function announce(key: string, version: Version): Promise<void> {
    const { backplane } = store;
    if (backplane) await calls.run("writes", "publish", () => backplane.publish({ key, version }));
  }

  async function replicated(key: string): Promise<boolean | undefined> {
    if (!store.replicated) return undefined;
    try {
      return await calls.run("writes", "replicated", async () => store.replicated?.(key));
    } catch {
      // It has been reported like any call that failed; what is asked for is whether a replica is known to have it.
      return false;
    }
  }

  return {
    peek: (key) => trusted(key)?.value,
    peekAt,
    read,
    put,
    announce,
    replicated,
    forget,
    delete: remove,
    prune: () => l1?.prune(runtime.now()) ?? 0,
    endPause: () => calls.endPause(),
    clear: () => l1?.clear(),
    close() {
      unsubscribe?.();
      calls.close();
    },
  };
}

/** Small enough a number to lie in its object until 2038. */
function secondOf(ms: number): number {
  return Math.floor(ms / 1_000);
}
