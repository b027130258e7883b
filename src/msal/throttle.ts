import { createHash } from "node:crypto";
import type { INetworkModule, NetworkRequestOptions, NetworkResponse } from "@azure/msal-node";
import type { Runtime } from "../runtime.ts";

/**
 * MSAL keeps to a `Retry-After` by a note in its client's memory (msal-common `ThrottlingUtils`), which a
 * client per operation loses. This is that note, shared by all operations of one client: until its time is
 * up, the same request gets the same answer without being sent.
 */
export interface Throttle {
  /** @returns the remembered refusal, or what the provider answers */
  post<T>(
    url: string,
    options: NetworkRequestOptions | undefined,
    watch: ThrottleWatch,
  ): Promise<NetworkResponse<T>>;
}

/** What became of one request. */
export interface ThrottleWatch {
  /** Runs right before the request is sent; not at all if the answer is remembered. */
  readonly onSend: () => void;
  /** The provider has asked not to be asked again for so long. */
  readonly onRetryAfter: (ms: number) => void;
}

/** As in MSAL: a server may ask for at most an hour. */
const MAX_THROTTLE_SECONDS = 3_600;
const REMEMBERED_REFUSALS = 1_000;
/** What makes two token requests the same; the rest of the form is telemetry and signatures of the moment. */
const IDENTIFYING_FIELDS = [
  "client_id",
  "grant_type",
  "scope",
  "claims",
  "refresh_token",
  "assertion",
  "code",
  "username",
  "device_code",
];

interface Refusal {
  readonly untilMs: number;
  readonly response: NetworkResponse<unknown>;
}

export function createThrottle(transport: INetworkModule, runtime: Runtime): Throttle {
  const refusals = new Map<string, Refusal>();

  function remembered(name: string, watch: ThrottleWatch): NetworkResponse<unknown> | undefined {
    const refusal = refusals.get(name);
    const leftMs = refusal ? refusal.untilMs - runtime.now() : 0;
    if (refusal && leftMs > 0) {
      watch.onRetryAfter(leftMs);
      return structuredClone(refusal.response);
    }
    refusals.delete(name);
    return undefined;
  }

  return {
    async post<T>(url: string, options: NetworkRequestOptions | undefined, watch: ThrottleWatch) {
      const name = requestName(url, options?.body ?? "");
      const known = remembered(name, watch);
      if (known) return known as NetworkResponse<T>;
      watch.onSend();
      const response = await transport.sendPostRequestAsync<T>(url, options);
      const seconds = retryAfterSeconds(response);
      if (seconds > 0) {
        watch.onRetryAfter(seconds * 1000);
        if (refusals.size >= REMEMBERED_REFUSALS) refusals.clear();
        refusals.set(name, { untilMs: runtime.now() + seconds * 1000, response: structuredClone(response) });
      }
      return response;
    },
  };
}

function retryAfterSeconds(response: NetworkResponse<unknown>): number {
  if (response.status !== 429 && response.status < 500) return 0;
  const header = Object.entries(response.headers).find(([name]) => name.toLowerCase() === "retry-after");
  const seconds = Number(header?.[1]);
  return Number.isFinite(seconds) ? Math.min(Math.max(seconds, 0), MAX_THROTTLE_SECONDS) : 0;
}

/** A hash, because the fields hold secrets and this is kept in memory for longer than the request. */
function requestName(url: string, body: string): string {
  const form = new URLSearchParams(body);
  const hash = createHash("sha256").update(url.split("?", 1)[0] ?? "");
  for (const field of IDENTIFYING_FIELDS) hash.update(`\n${field}=${form.get(field) ?? ""}`);
  return hash.digest("base64url");
}
