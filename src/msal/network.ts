import type { INetworkModule, NetworkRequestOptions, NetworkResponse } from "@azure/msal-node";
import { LRUCache } from "lru-cache";
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
  /** The provider's `error`, if its last answer was one. */
  errorCode: string | undefined;
  /** Why MSAL asked, as it tells the provider; undefined where it does not. */
  refreshReason: StatedReason | undefined;
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
    errorCode: undefined,
    refreshReason: undefined,
  };
}

/** Discovery documents change rarely; MSAL itself keeps them for a day. */
const METADATA_TTL_MS = 24 * 60 * 60 * 1000;
/** As many authorities, e.g. tenants with a host of their own, as an application may serve. */
const METADATA_LIMIT = 1_000;

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
  const metadata = new LRUCache<string, Remembered>({ max: METADATA_LIMIT });

  function getMetadata<T>(
    url: string,
    options?: NetworkRequestOptions,
    timeout?: number,
  ): Promise<NetworkResponse<T>> {
    const known = metadata.get(url);
    if (known && known.until > runtime.now()) return known.response as Promise<NetworkResponse<T>>;
    const response = transport.sendGetRequestAsync<T>(url, options, timeout);
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
          trace.refreshReason = statedReason(options?.body ?? "");
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
          const { error } = (response.body ?? {}) as { error?: unknown };
          trace.errorCode = typeof error === "string" ? error : undefined;
          // MSAL would hand out, and keep, a token that is empty; as it is, it reports a network error.
          if (!isProvidersAnswer(response)) throw new Error("the answer is no identity provider's");
          return response;
        },
      };
    },
  };
}

/** What a token or device code endpoint answers with; B2C gives an id token alone where no API was asked for. */
const ANSWERS = ["access_token", "id_token", "refresh_token", "device_code"] as const;

/** A proxy, a gateway or a captive portal answers in a provider's place with JSON of its own. */
function isProvidersAnswer({ status, body }: NetworkResponse<unknown>): boolean {
  if (typeof body !== "object" || body === null) return false;
  const fields = body as Readonly<Record<string, unknown>>;
  if (typeof fields["error"] === "string") return true;
  return status < 400 && ANSWERS.some((field) => typeof fields[field] === "string");
}

/** What MSAL writes into a token request about its cache (msal-common `CacheOutcome`, 16.16.1). */
const STATED_REASONS = {
  "1": "force-refresh-or-claims",
  "2": "no-cached-access-token",
  "3": "expired",
  "4": "proactively-refreshed",
} as const;

export type StatedReason = (typeof STATED_REASONS)[keyof typeof STATED_REASONS];

/** `x-client-current-telemetry` is `version|api id,cache outcome,…|platform fields`. Not every protocol has it. */
function statedReason(body: string): StatedReason | undefined {
  const stated = new URLSearchParams(body).get("x-client-current-telemetry") ?? "";
  const outcome = /^\d+\|\d+,(\d)/.exec(stated)?.[1] ?? "";
  return (STATED_REASONS as Readonly<Record<string, StatedReason | undefined>>)[outcome];
}

/** MSAL writes into the bodies it is given; a remembered one must stay as it came. */
async function copyOf<T>(response: Promise<NetworkResponse<T>>): Promise<NetworkResponse<T>> {
  return structuredClone(await response);
}
