/** Keeps in the store what is in use: seldom, in the background, and never longer than the policy says. */
import { LRUCache } from "lru-cache";
import type { Runtime } from "../runtime.ts";
import type { BlobStore, Stored, Version } from "../store/blob-store.ts";
import { instantNow } from "./coherence.ts";
import type { Instant, Keep, L1Entry } from "./l1.ts";
import type { StoreCalls } from "./store-calls.ts";
import type { Codec, Lifetime } from "./tiers.ts";

const FOREVER = Number.POSITIVE_INFINITY;
/** After a renewal that failed: soon enough for the rest of the window, too seldom to trouble a store that is down. */
const RETRY_SHARE = 16;
/** Without copies in memory: how many records it is known of until when they are kept. */
const MAX_REMEMBERED = 10_000;

interface KeptVersion {
  readonly version: Version;
  readonly keep: Keep;
}

export interface Retain<V> {
  /** Of a value that has just been written for `ttlMs`. */
  afterPut(key: string, value: V, ttlMs: number): Keep;
  /** Of one that has been read. */
  afterLoad(key: string, value: V, stored: Pick<Stored, "version" | "expiresAtMs">): Keep;
  /** Renews the retention of a copy that is in use, in the background; announces nothing. */
  renew(key: string, entry: L1Entry<V>): void;
}

export interface RetainOptions<V> {
  readonly store: BlobStore;
  readonly calls: StoreCalls;
  readonly codec: Codec<V>;
  readonly runtime: Runtime;
  /** There are copies in memory. Without them every reading would be the first, and renew the retention. */
  readonly hasCopies: boolean;
  /** The store had that version when it was asked to keep it longer, which was sent at `at`. */
  readonly onKept: (key: string, entry: L1Entry<V>, at: Instant) => void;
  /** The store no longer has that version. */
  readonly onGone: (key: string, entry: L1Entry<V>) => void;
}

export function createRetain<V>({
  store,
  calls,
  codec,
  runtime,
  hasCopies,
  onKept,
  onGone,
}: RetainOptions<V>): Retain<V> {
  const renewed = hasCopies ? undefined : new LRUCache<string, KeptVersion>({ max: MAX_REMEMBERED });

  function keep(expiresAtMs: number, lifetime: Lifetime | undefined): Keep {
    const renewFromMs = lifetime?.slides ? expiresAtMs - lifetime.ttlMs / 2 : FOREVER;
    return { expiresAtMs, isAssumed: false, renewFromMs };
  }

  async function touch(key: string, entry: L1Entry<V>, ttlMs: number): Promise<void> {
    const sent = instantNow(runtime);
    const sentAtMs = sent.wallMs;
    try {
      const isThere = await calls.run("writes", "touch", () =>
        store.touch(key, { ifVersion: entry.version, ttlMs }),
      );
      if (!isThere) return onGone(key, entry);
      Object.assign(entry.keep, keep(sentAtMs + ttlMs, { ttlMs, slides: true }));
      onKept(key, entry, sent);
    } catch {
      entry.keep.renewFromMs = sentAtMs + ttlMs / RETRY_SHARE;
    }
  }

  return {
    afterPut: (key, value, ttlMs) =>
      keep(runtime.now() + ttlMs, codec.lifetime?.(key, value)?.slides ? { ttlMs, slides: true } : undefined),
    afterLoad(key, value, { version, expiresAtMs }) {
      const before = renewed?.get(key);
      if (before?.version === version) return before.keep;
      const lifetime = codec.lifetime?.(key, value);
      if (typeof expiresAtMs === "number" && Number.isFinite(expiresAtMs)) return keep(expiresAtMs, lifetime);
      if (!lifetime) return keep(FOREVER, undefined);
      // The store does not tell: no longer than from now on, and renewed before anybody relies on that.
      const nowMs = runtime.now();
      const renewFromMs = lifetime.slides ? nowMs : FOREVER;
      return { expiresAtMs: nowMs + lifetime.ttlMs, isAssumed: true, renewFromMs };
    },
    renew(key, entry) {
      const { keep: kept, version } = entry;
      renewed?.set(key, { version, keep: kept });
      const lifetime = codec.lifetime?.(key, entry.value);
      // Nobody else asks while this is on its way.
      kept.renewFromMs = FOREVER;
      if (!lifetime?.slides) return;
      // An absolute limit leaves nothing to renew.
      if (!kept.isAssumed && runtime.now() + lifetime.ttlMs <= kept.expiresAtMs) return;
      void touch(key, entry, lifetime.ttlMs);
    },
  };
}
