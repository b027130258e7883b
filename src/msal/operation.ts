import type { Logger } from "@azure/msal-node";
import { emptyBlob, type CacheBlob } from "../blob/entities.ts";
import { readMemory, replaceMemory } from "./memory.ts";
import type { RequestGuard } from "../partitions/lease.ts";
import { createNetworkTrace, type NetworkTrace, type SharedNetwork } from "./network.ts";
import type { Configuration, ICachePlugin, MsalClient, TokenCacheContext } from "./types.ts";

/** What all operations of one client share. */
export interface OperationSettings<C extends MsalClient = MsalClient> {
  readonly auth: Configuration["auth"];
  readonly system: Configuration["system"];
  readonly telemetry: Configuration["telemetry"];
  readonly network: SharedNetwork;
  readonly logger: Logger | undefined;
  /** Makes the client of one operation: MSAL's confidential one, or its public one. */
  readonly createClient: (configuration: Configuration) => C;
}

/** The outcome of one operation in a client of its own. */
export interface OperationOutcome<R> {
  readonly result: R;
  /** What MSAL's memory became, if it saved anything. */
  readonly saved: CacheBlob | undefined;
  readonly trace: NetworkTrace;
}

/** An operation that failed, with what MSAL had saved before it did. */
export interface OperationFailure {
  readonly error: unknown;
  /** An answer may have been saved before something else went wrong: it must not be lost. */
  readonly saved: CacheBlob | undefined;
  readonly trace: NetworkTrace;
}

/**
 * Runs one operation in a fresh MSAL client that holds `base` and nothing else. A client object never serves
 * two partitions, nor two operations at a time (design, invariant 1); making one costs microseconds.
 */
export async function runOperation<R, C extends MsalClient>(
  settings: OperationSettings<C>,
  base: CacheBlob | undefined,
  work: (client: C) => Promise<R>,
  guard?: RequestGuard,
): Promise<({ readonly ok: true } & OperationOutcome<R>) | ({ readonly ok: false } & OperationFailure)> {
  const trace = createNetworkTrace();
  const binding = bindPlugin(base ?? emptyBlob());
  const client = settings.createClient({
    auth: settings.auth,
    system: { ...settings.system, networkClient: settings.network.forOperation(trace, guard) },
    ...(settings.telemetry && { telemetry: settings.telemetry }),
    cache: { cachePlugin: binding.plugin },
  });
  if (settings.logger) client.setLogger(settings.logger);
  try {
    return { ok: true, result: await work(client), saved: binding.saved(), trace };
  } catch (error) {
    return { ok: false, error: trace.refusal ?? error, saved: binding.saved(), trace };
  }
}

/**
 * A plugin without any I/O: it presents the base, and takes what MSAL saves. It never throws, because MSAL
 * calls `afterCacheAccess` in a `finally` where an error of ours would hide its own.
 */
function bindPlugin(base: CacheBlob): { plugin: ICachePlugin; saved: () => CacheBlob | undefined } {
  let saved: CacheBlob | undefined;
  return {
    saved: () => saved,
    plugin: {
      beforeCacheAccess(context: TokenCacheContext): Promise<void> {
        // Presented again before the save: MSAL drops a rotated refresh token if the account is gone then.
        replaceMemory(context.tokenCache, saved ?? base);
        return Promise.resolve();
      },
      afterCacheAccess(context: TokenCacheContext): Promise<void> {
        // `cacheHasChanged` is only MSAL's intent to write; what really changed is found by comparing.
        if (context.cacheHasChanged) saved = readMemoryOr(saved, context);
        return Promise.resolve();
      },
    },
  };
}

function readMemoryOr(fallback: CacheBlob | undefined, context: TokenCacheContext): CacheBlob | undefined {
  try {
    return readMemory(context.tokenCache);
  } catch {
    // An answer so odd that it is no cache blob: the caller still gets its token, only nothing is stored.
    return fallback;
  }
}
