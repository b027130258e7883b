/** A network client between MSAL and the local authority that a test can look into and change. */
import type { INetworkModule, NetworkResponse } from "@azure/msal-node";

export interface SentRequest {
  readonly url: string;
  readonly form: URLSearchParams;
}

export interface TappedNetwork extends INetworkModule {
  readonly posts: readonly SentRequest[];
  readonly gets: readonly string[];
  /** Changes the answers to token requests from now on; `undefined` passes them through. */
  answer: ((request: SentRequest, body: Record<string, unknown>) => Record<string, unknown>) | undefined;
  /** Changes token requests on their way, after they were noted. */
  rewrite: ((form: URLSearchParams) => void) | undefined;
}

export function tapNetwork(inner: INetworkModule): TappedNetwork {
  const posts: SentRequest[] = [];
  const gets: string[] = [];
  const tapped: TappedNetwork = {
    posts,
    gets,
    answer: undefined,
    rewrite: undefined,
    sendGetRequestAsync(url, options) {
      gets.push(url);
      return inner.sendGetRequestAsync(url, options);
    },
    async sendPostRequestAsync<T>(url: string, options?: { body?: string }): Promise<NetworkResponse<T>> {
      const request = { url, form: new URLSearchParams(options?.body ?? "") };
      posts.push(request);
      const form = new URLSearchParams(request.form);
      tapped.rewrite?.(form);
      const sent = tapped.rewrite ? { ...options, body: form.toString() } : options;
      const response = await inner.sendPostRequestAsync<T>(url, sent);
      if (!tapped.answer) return response;
      return { ...response, body: tapped.answer(request, response.body as Record<string, unknown>) as T };
    },
  };
  return tapped;
}

export function claimsOf(token: string): Record<string, unknown> {
  return JSON.parse(Buffer.from(token.split(".")[1] ?? "", "base64url").toString()) as Record<
    string,
    unknown
  >;
}
