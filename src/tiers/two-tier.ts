import { storeFailure, type TokenkeepError } from "../errors.ts";
import { randomId } from "../runtime.ts";
import type { Stored, Version } from "../store/blob-store.ts";
import { ageMs, createCoherenceLease, instantNow, isLater } from "./coherence.ts";
import { createL1, weighEntry, type Instant, type L1Entry } from "./l1.ts";
import { createSingleFlight } from "./single-flight.ts";
import type { Read, TierPutOptions, TierPutResult, Tiers, TiersOptions } from "./tiers.ts";

/** Handed to every load and write: an invalidation meanwhile spoils it, and its result is not cached. */
interface FillToken {
  spoiled: boolean;
}

/** A key that changes under every one of so many readings is contended: the last one is as good as any. */
const MAX_LOADS = 3;

/** L1 in this process, L2 in a store. */
export function createTwoTier<V>(options: TiersOptions<V>): Tiers<V> {
  const { store, codec, runtime, coherenceBoundMs, maxStaleMs } = options;
  const l1 = options.l1MaxBytes === false ? undefined : createL1<V>(options.l1MaxBytes);
  const lease = createCoherenceLease(store.backplane, runtime, coherenceBoundMs);
  const loads = createSingleFlight();
  const inFlight = new Map<string, Set<FillToken>>();
  const unsubscribe = store.backplane?.subscribe((message) => {
    if (l1?.peek(message.key)?.version !== message.version) forget(message.key);
  });

  // --- trust ---

  function isTrusted(entry: L1Entry<V>): boolean {
    if (ageMs(runtime, entry.confirmedAt) < coherenceBoundMs) return true;
    return entry.counter !== undefined && entry.counter === lease.counter();
  }

  function peek(key: string): V | undefined {
    const entry = l1?.get(key);
    if (!entry || !isTrusted(entry)) return undefined;
    lease.keepAlive();
    return entry.value;
  }

  async function trustedEntry(key: string): Promise<L1Entry<V> | undefined> {
    const entry = l1?.get(key);
    if (!entry) return undefined;
    lease.keepAlive();
    if (isTrusted(entry)) return entry;
    if (entry.counter === undefined) return undefined;
    await lease.renew();
    // The entry may have been replaced or dropped while we waited.
    const now = l1?.get(key);
    return now && isTrusted(now) ? now : undefined;
  }

  // --- fills ---

  function forget(key: string): void {
    l1?.delete(key);
    loads.detach(key);
    for (const token of inFlight.get(key) ?? []) token.spoiled = true;
  }

  async function withToken<R>(key: string, work: (token: FillToken) => Promise<R>): Promise<R> {
    const token: FillToken = { spoiled: false };
    const tokens = inFlight.get(key) ?? new Set<FillToken>();
    inFlight.set(key, tokens.add(token));
    try {
      return await work(token);
    } finally {
      tokens.delete(token);
      if (tokens.size === 0) inFlight.delete(key);
    }
  }

  /** Of two loads that overlap, the one that was sent later knows more, whichever answers first. */
  function fillLoaded(token: FillToken, key: string, entry: L1Entry<V>): void {
    const there = l1?.peek(key);
    if (token.spoiled || (there && isLater(there.confirmedAt, entry.confirmedAt))) return;
    l1?.set(key, entry);
  }

  // --- reading ---

  async function read(key: string, { fresh = false } = {}): Promise<Read<V> | undefined> {
    if (fresh) return load(key);
    const entry = await trustedEntry(key);
    if (entry) return { value: entry.value, version: entry.version, level: "L1" };
    return loads.run(key, key, () => load(key));
  }

  /** What was removed or replaced while it was on its way is out of date: it is read again, not handed out. */
  async function load(key: string): Promise<Read<V> | undefined> {
    for (let attempt = 1; ; attempt++) {
      const { found, overtaken } = await loadOnce(key);
      if (!overtaken || attempt === MAX_LOADS) return found;
    }
  }

  async function loadOnce(
    key: string,
  ): Promise<{ readonly found: Read<V> | undefined; readonly overtaken: boolean }> {
    return withToken(key, async (token) => ({
      found: await loadWith(token, key),
      overtaken: token.spoiled,
    }));
  }

  async function loadWith(token: FillToken, key: string): Promise<Read<V> | undefined> {
    const held = l1?.peek(key);
    const sentAt = instantNow(runtime);
    const counter = lease.counter();
    if (counter === undefined) lease.keepAlive();
    let stored: Stored | "unchanged" | undefined;
    try {
      stored = checkedAnswer(
        await store.get(key, held ? { unlessVersion: held.version } : {}),
        held?.version,
      );
    } catch (error) {
      return failSafe(key, failed("get", error));
    }
    if (stored === undefined) {
      if (!token.spoiled) l1?.delete(key);
      return undefined;
    }
    if (stored === "unchanged") {
      const copy = held as L1Entry<V>;
      fillLoaded(token, key, { ...copy, confirmedAt: sentAt, counter });
      return { value: copy.value, version: copy.version, level: "L2" };
    }
    return accept(token, key, stored, { sentAt, counter, held });
  }

  function accept(
    token: FillToken,
    key: string,
    stored: Stored,
    from: { sentAt: Instant; counter: string | undefined; held: L1Entry<V> | undefined },
  ): Read<V> {
    const decoded = codec.decode(key, stored.bytes);
    const value = from.held && codec.reconcile ? codec.reconcile(key, from.held.value, decoded) : decoded;
    const weight = weighEntry(key, stored.bytes.length);
    const { sentAt: confirmedAt, counter } = from;
    fillLoaded(token, key, { value, version: stored.version, confirmedAt, counter, weight });
    return { value, version: stored.version, level: "L2" };
  }

  /** What L1 holds *now*: a removal may have come in while the store was failing. */
  function failSafe(key: string, error: TokenkeepError): Read<V> {
    const held = l1?.peek(key);
    if (!held) throw error;
    // A counter that had not moved when it was last read has confirmed the copy as much as a reading of it.
    const confirmedAt = lease.confirmedAt(held.counter) ?? held.confirmedAt;
    if (Math.min(ageMs(runtime, confirmedAt), ageMs(runtime, held.confirmedAt)) >= maxStaleMs) throw error;
    return { value: held.value, version: held.version, level: "stale" };
  }

  function failed(operation: string, error: unknown): TokenkeepError {
    options.onStoreFailure(operation, error);
    return storeFailure(store.name, operation, error);
  }

  // --- writing ---

  function put(key: string, value: V, { ifVersion, ttlMs }: TierPutOptions): Promise<TierPutResult<V>> {
    return withToken(key, async (token): Promise<TierPutResult<V>> => {
      const bytes = codec.encode(key, value);
      const version = randomId(runtime);
      const sentAt = instantNow(runtime);
      const counter = lease.counter();
      let current: Stored | undefined;
      let uncertain: { readonly uncertain?: true } = {};
      try {
        const result = await store.put(key, bytes, { version, ifVersion, ttlMs });
        current = result.stored ? { bytes, version } : (result.current ?? (await readStored(key)));
      } catch (error) {
        const failure = failed("put", error);
        // The write may have landed although its answer did not: only the version that is there can tell.
        current = await readStored(key).catch(() => Promise.reject(failure));
        if ((current?.version ?? null) === ifVersion) throw failure;
        uncertain = { uncertain: true };
      }
      if (current?.version === version) {
        // Whatever began before this write may carry what it replaced.
        for (const other of inFlight.get(key) ?? []) if (other !== token) other.spoiled = true;
        const entry = { value, version, confirmedAt: sentAt, counter, weight: weighEntry(key, bytes.length) };
        // Spoiled: another write may have landed after ours, so what L1 holds may be the older of the two.
        if (token.spoiled) l1?.delete(key);
        else l1?.set(key, entry);
        return { stored: true, version };
      }
      const held = l1?.peek(key);
      l1?.delete(key);
      if (!current) return { stored: false, current: undefined, ...uncertain };
      const found = accept(token, key, current, { sentAt, counter, held });
      return { stored: false, current: found, ...uncertain };
    });
  }

  async function readStored(key: string): Promise<Stored | undefined> {
    try {
      return checkedAnswer(await store.get(key), undefined) as Stored | undefined;
    } catch (error) {
      throw failed("get", error);
    }
  }

  async function remove(key: string, ifVersion: Version): Promise<boolean> {
    forget(key);
    try {
      return await store.delete(key, { ifVersion });
    } catch (error) {
      throw failed("delete", error);
    } finally {
      // A load that was sent before the deletion landed must not bring the value back.
      forget(key);
    }
  }

  async function announce(key: string, version: Version): Promise<void> {
    try {
      await store.backplane?.publish({ key, version });
    } catch (error) {
      throw failed("publish", error);
    }
  }

  return {
    peek,
    read,
    put,
    announce,
    forget,
    delete: remove,
    clear: () => l1?.clear(),
    close: () => unsubscribe?.(),
  };
}

/** A stranger's adapter may answer anything; what is neither a record nor a miss is a failure, not a miss. */
function checkedAnswer(answer: unknown, unlessVersion: string | undefined): Stored | "unchanged" | undefined {
  if (answer === undefined || answer === null) return undefined;
  if (answer === "unchanged" && unlessVersion !== undefined) return answer;
  const { bytes, version } = answer as Partial<Stored>;
  if (bytes instanceof Uint8Array && typeof version === "string") return answer as Stored;
  throw new TypeError("the store answered something that is neither a record nor a miss");
}
