import type { INetworkModule, NetworkRequestOptions, NetworkResponse } from "@azure/msal-node";
import type { RequestGuard } from "../partitions/lease.ts";
import type { FailureMemory } from "./failure-memory.ts";
import type { Runtime } from "../runtime.ts";

/** What one operation did on the network, filled in while it runs. */
export interface NetworkTrace {
  /** Requests to a token endpoint. */
  tokenRequests: number;
  /** Time spent waiting for any answer, ms. */
  durationMs: number;
  /** The token endpoint last asked, without its query. */
  tokenEndpoint: string | undefined;
  /** Why a request was not sent. MSAL would report it as a network error. */
  refusal: unknown;
  /** True if the answer was a refusal from before (`FailureMemory`), and nothing was sent for it. */
  remembered: boolean;
  /** How long the provider has asked to be left alone (`Retry-After`), ms. */
  retryAfterMs: number | undefined;
  /** HTTP status of the last answer of a token endpoint, also a remembered one. MSAL's errors have it not always. */
  httpStatus: number | undefined;
}

export function createNetworkTrace(): NetworkTrace {
  return {
    tokenRequests: 0,
    durationMs: 0,
    tokenEndpoint: undefined,
    refusal: undefined,
    remembered: false,
    retryAfterMs: undefined,
    httpStatus: undefined,
  };
}

/** Discovery documents change rarely; MSAL itself keeps them for a day. */
const METADATA_TTL_MS = 24 * 60 * 60 * 1000;
const METADATA_LIMIT = 256;

/**
 * The network seam shared by all operations of one client: it remembers discovery documents (a client per
 * operation would fetch them each time) and lets each operation trace what it did.
 */
export interface SharedNetwork {
  forOperation(trace: NetworkTrace, guard: RequestGuard | undefined): INetworkModule;
}

interface Remembered {
  readonly until: number;
  readonly response: Promise<NetworkResponse<unknown>>;
}

/** @param failures what the provider has refused; may be shared by several clients */
export function createSharedNetwork(
  transport: INetworkModule,
  runtime: Runtime,
  failures: FailureMemory,
): SharedNetwork {
  const metadata = new Map<string, Remembered>();

  function getMetadata<T>(
    url: string,
    options?: NetworkRequestOptions,
    timeout?: number,
  ): Promise<NetworkResponse<T>> {
    const known = metadata.get(url);
    if (known && known.until > runtime.now()) return known.response as Promise<NetworkResponse<T>>;
    const response = transport.sendGetRequestAsync<T>(url, options, timeout);
    if (metadata.size >= METADATA_LIMIT) metadata.clear();
    metadata.set(url, { until: runtime.now() + METADATA_TTL_MS, response });
    const forget = (): void => {
      if (metadata.get(url)?.response === response) metadata.delete(url);
    };
    // Only good answers are worth remembering.
    response.then((answer) => answer.status !== 200 && forget(), forget);
    return response;
  }

  return {
    forOperation(trace, guard) {
      async function traced<R>(work: () => Promise<R>): Promise<R> {
        const startedAt = runtime.monotonicNow();
        try {
          return await work();
        } finally {
          trace.durationMs += runtime.monotonicNow() - startedAt;
        }
      }
      return {
        sendGetRequestAsync: (url, options, timeout) =>
          traced(() => copyOf(getMetadata(url, options, timeout))),
        async sendPostRequestAsync(url, options) {
          try {
            await guard?.();
          } catch (error) {
            trace.refusal = error;
            throw error;
          }
          const response = await traced(() =>
            failures.post<never>(transport, url, options, {
              onSend() {
                trace.tokenRequests += 1;
                trace.tokenEndpoint = url.split("?", 1)[0];
              },
              onRemembered() {
                trace.remembered = true;
              },
              onRetryAfter(ms) {
                trace.retryAfterMs = ms;
              },
            }),
          );
          trace.httpStatus = response.status;
          return response;
        },
      };
    },
  };
}

/** MSAL writes into the bodies it is given; a remembered one must stay as it came. */
async function copyOf<T>(response: Promise<NetworkResponse<T>>): Promise<NetworkResponse<T>> {
  return structuredClone(await response);
}
