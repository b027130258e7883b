/** Memory only: what L1 holds is all there is, and nothing is kept twice. */
import { TokenkeepError } from "../errors.ts";
import { randomId, type Runtime } from "../runtime.ts";
import type { Version } from "../store/blob-store.ts";
import { createL1, weighEntry } from "./l1.ts";
import type { Codec, Read, Tiers } from "./tiers.ts";

interface Entry<V> {
  readonly value: V;
  readonly version: Version;
  readonly level: "L1";
  readonly weight: number;
  expiresAtMs: number;
  /** From then on a use renews the retention. */
  renewFromMs: number;
}

export interface OneTierOptions<V> {
  /** Its bytes are only weighed. */
  readonly codec: Codec<V>;
  readonly runtime: Runtime;
  /** Bytes that may be held; beyond them what was used least recently is lost. */
  readonly maxBytes: number;
}

/** For applications of a single process: no store, no bytes, no second copy. */
export function createOneTier<V>({ codec, runtime, maxBytes }: OneTierOptions<V>): Tiers<V> {
  const entries = createL1<Entry<V>>(maxBytes);
  const neverRenewed = Number.POSITIVE_INFINITY;

  function live(key: string, nowMs = runtime.now()): Entry<V> | undefined {
    const entry = entries.get(key);
    if (entry === undefined) return undefined;
    if (nowMs >= entry.expiresAtMs) {
      entries.delete(key);
      return undefined;
    }
    if (nowMs >= entry.renewFromMs) renew(key, entry, nowMs);
    return entry;
  }

  function renew(key: string, entry: Entry<V>, nowMs: number): void {
    const ttlMs = codec.lifetime?.(key, entry.value).ttlMs ?? 0;
    entry.expiresAtMs = Math.max(entry.expiresAtMs, nowMs + ttlMs);
    entry.renewFromMs = nowMs + ttlMs / 2;
  }

  function prune(): number {
    const nowMs = runtime.now();
    const expired = [...entries.entries()].filter(([, { expiresAtMs }]) => nowMs >= expiresAtMs);
    for (const [key] of expired) entries.delete(key);
    return expired.length;
  }

  return {
    peek: (key) => live(key)?.value,
    peekAt: ({ key }, nowMs) => live(key, nowMs)?.value,
    read: (key): Promise<Read<V> | undefined> => Promise.resolve(live(key)),
    async put(key, value, { ifVersion, ttlMs }) {
      const weight = weighEntry(key, codec.encode(key, value).length);
      if (weight > maxBytes) throw tooLarge();
      const there = live(key);
      if ((there?.version ?? null) !== ifVersion) return { stored: false, current: there };
      const version = randomId(runtime);
      const expiresAtMs = runtime.now() + ttlMs;
      const slides = codec.lifetime?.(key, value).slides ?? false;
      const renewFromMs = slides ? expiresAtMs - ttlMs / 2 : neverRenewed;
      entries.set(key, { value, version, level: "L1", weight, expiresAtMs, renewFromMs });
      return { stored: true, version };
    },
    async delete(key, ifVersion) {
      return live(key)?.version === ifVersion && entries.delete(key);
    },
    // Nobody else has a copy, and what is held here is no copy either.
    announce: () => Promise.resolve(),
    replicated: () => Promise.resolve(undefined),
    forget: () => undefined,
    clear: () => undefined,
    prune,
    endPause: () => undefined,
    close: () => entries.clear(),
  };
}

function tooLarge(): TokenkeepError {
  const message = "a record is larger than all the memory that `l1.maxBytes` allows";
  return new TokenkeepError("ERR_STORE_FULL", message, { retryable: true });
}
