import type { INetworkModule, NetworkRequestOptions, NetworkResponse } from "@azure/msal-node";
import type { Runtime } from "../runtime.ts";

/**
 * HTTP over the platform's `fetch`, for applications that bring no `system.networkClient` of their own (MSAL
 * does not export its own one). It never sends a request twice. A failure to connect, a timeout or an answer
 * that is not JSON rejects, which MSAL reports as `network_error`.
 */
export function createFetchTransport(runtime: Runtime, timeoutMs: number): INetworkModule {
  async function send<T>(
    url: string,
    init: { method: string; body?: string },
    options: NetworkRequestOptions | undefined,
    limitMs: number,
  ): Promise<NetworkResponse<T>> {
    const abort = new AbortController();
    const timer = runtime.setTimer(() => abort.abort(), limitMs);
    try {
      const response = await fetch(url, {
        ...init,
        headers: options?.headers ?? {},
        // A token endpoint does not move: following it would send the secret and the refresh token elsewhere.
        redirect: "error",
        signal: abort.signal,
      });
      return {
        headers: Object.fromEntries(response.headers),
        body: (await response.json()) as T,
        status: response.status,
      };
    } finally {
      runtime.clearTimer(timer);
    }
  }

  return {
    sendGetRequestAsync: (url, options, timeout) =>
      send(url, { method: "GET" }, options, timeout ?? timeoutMs),
    sendPostRequestAsync: (url, options) =>
      send(url, { method: "POST", body: options?.body ?? "" }, options, timeoutMs),
  };
}
