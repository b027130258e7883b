/** Tells the listener of a cache about each acquisition of its clients. */
import type { CacheParts } from "../cache-parts.ts";
import type { TokenkeepEvent } from "../telemetry/events.ts";
import type { TokenResult } from "./result.ts";

type AcquisitionEvent = Extract<TokenkeepEvent, { readonly type: "acquisition" }>;
type Acquire = (...args: unknown[]) => Promise<TokenResult | null>;

/** Methods that acquire a token. */
const ACQUIRES = /^(acquireToken|initiateLongRunningProcess)/;

/** Without a listener the client itself, so that an answer from memory costs nothing more. */
export function observed<C extends object>(parts: CacheParts, client: C): C {
  if (!parts.isObserved) return client;
  const methods = Object.entries(client).filter(([name, value]) => {
    return ACQUIRES.test(name) && typeof value === "function";
  }) as [string, Acquire][];
  return {
    ...client,
    ...Object.fromEntries(methods.map(([api, method]) => [api, watched(parts, api, method)])),
  };
}

function watched({ emit, runtime }: CacheParts, api: string, method: Acquire): Acquire {
  return async (...args) => {
    const startedAt = runtime.monotonicNow();
    const tookMs = (): number => runtime.monotonicNow() - startedAt;
    try {
      const result = await method(...args);
      emit(acquired(api, result, tookMs()));
      return result;
    } catch (error) {
      emit(notAcquired(api, error, tookMs()));
      throw error;
    }
  };
}

/** @param isBackground nobody waits for it: renewed ahead of time */
export function acquired(
  api: string,
  result: TokenResult | null,
  durationTotalInMs: number,
  isBackground = false,
): AcquisitionEvent {
  const { metadata } = result ?? {};
  return {
    type: "acquisition",
    api,
    outcome: "ok",
    isBackground,
    tokenSource: metadata?.tokenSource,
    cacheLevel: metadata?.cacheLevel,
    cacheRefreshReason: metadata?.cacheRefreshReason,
    saved: metadata?.saved,
    nearExpiry: metadata?.nearExpiry,
    durationTotalInMs,
    durationInCacheInMs: metadata?.durationInCacheInMs,
    durationInHttpInMs: metadata?.durationInHttpInMs,
    code: undefined,
    errorCode: undefined,
  };
}

export function notAcquired(
  api: string,
  error: unknown,
  durationTotalInMs: number,
  isBackground = false,
): AcquisitionEvent {
  const { code, errorCode } = (error ?? {}) as { code?: unknown; errorCode?: unknown };
  return {
    ...acquired(api, null, durationTotalInMs, isBackground),
    outcome: "failed",
    code: textOf(code),
    errorCode: textOf(errorCode),
  };
}

const textOf = (value: unknown): string | undefined => (typeof value === "string" ? value : undefined);
