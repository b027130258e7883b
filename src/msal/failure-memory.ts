import { createHash } from "node:crypto";
import type { INetworkModule, NetworkRequestOptions, NetworkResponse } from "@azure/msal-node";
import { LRUCache } from "lru-cache";
import type { Runtime } from "../runtime.ts";

/**
 * What the identity provider has refused, shared by all operations of a process. MSAL keeps a little of it (a
 * `Retry-After`, msal-common `ThrottlingUtils`) in its client's memory, which a client per operation loses. A
 * request that would fail again gets the same answer without being sent:
 *
 * - for a `Retry-After`: the same request, until its time is up;
 * - for a refused refresh token or assertion: the same request, for {@link REFUSED_MS}. With another refresh token
 *   it is another request;
 * - for a refused client credential (`invalid_client`): every request of the application to that token endpoint
 *   with that credential, for a time that doubles. With another credential they are others.
 *
 * When the time is up one request is sent, while the others are still answered from memory.
 */
export interface FailureMemory {
  /** @returns the remembered refusal, or what the provider answers */
  post<T>(
    transport: INetworkModule,
    url: string,
    options: NetworkRequestOptions | undefined,
    watch: RequestWatch,
  ): Promise<NetworkResponse<T>>;
}

/** What became of one request. */
export interface RequestWatch {
  /** Runs right before the request is sent. */
  readonly onSend: () => void;
  /** Runs instead if the answer is remembered. */
  readonly onRemembered: () => void;
  /** The provider has asked not to be asked again for so long. */
  readonly onRetryAfter: (ms: number) => void;
}

/** As in MSAL: a server may ask for at most an hour. */
const MAX_THROTTLE_SECONDS = 3_600;
/** So soon is seen what somebody has mended at the provider without a new sign-in, e.g. an administrator's consent. */
const REFUSED_MS = 60_000;
const CREDENTIAL_FIRST_MS = 5_000;
const CREDENTIAL_MAX_MS = 300_000;
/** A trial that never ends, because a network client does not give up, keeps nobody else from trying for longer. */
const TRIAL_MS = 30_000;
const REMEMBERED = 5_000;

/**
 * What two token requests that ask for the same may differ in, beside MSAL's telemetry (`x-…`): who answers for the
 * application, and what a person types. Anything else, an application's own parameters too, makes another request.
 */
const PASSING_FIELDS = new Set([
  "client_secret",
  "client_assertion",
  "client_assertion_type",
  "client-request-id",
  "password",
]);
/** Grants whose refusal says: not with this token. A code is good for one try, and a device's is asked for again. */
const TOKEN_GRANTS = new Set(["refresh_token", "urn:ietf:params:oauth:grant-type:jwt-bearer"]);
/** RFC 6749 section 5.2; OpenID Connect Core section 3.1.2.6. */
const REFUSALS = new Set(["invalid_grant", "interaction_required", "consent_required", "login_required"]);

interface Failure {
  readonly response: NetworkResponse<unknown>;
  /** Monotonic. */
  readonly untilMs: number;
  /** So often in a row. */
  readonly times: number;
  /** True where the provider has named the time itself. */
  readonly isRetryAfter: boolean;
  /** Somebody is finding out whether it is over; monotonic, ms. */
  triedUntilMs: number;
}

/** An answer, and the refusals that were known when its request was sent. */
interface Answered {
  readonly response: NetworkResponse<unknown>;
  readonly tried: readonly Failure[];
}

interface Names {
  readonly request: string;
  readonly credential: string | undefined;
  readonly grant: string;
}

export function createFailureMemory(runtime: Runtime): FailureMemory {
  const failures = new LRUCache<string, Failure>({ max: REMEMBERED });

  /** The refusal that holds for a request; else those whose time is up are being tried from now on. */
  function recall({ request, credential }: Names): { readonly holds?: Failure; readonly tried: Failure[] } {
    const known = [credential, request].flatMap((name) => (name && failures.get(name)) || []);
    const holds = known.find(
      (failure) => Math.max(failure.untilMs, failure.triedUntilMs) > runtime.monotonicNow(),
    );
    if (holds) return { holds, tried: [] };
    for (const failure of known) failure.triedUntilMs = runtime.monotonicNow() + TRIAL_MS;
    return { tried: known };
  }

  function remember(
    name: string,
    { response, tried }: Answered,
    lastsMs: number | ((times: number) => number),
  ): void {
    const known = failures.get(name);
    // Of requests that were on their way at the same time the first one counts: a crowd is refused once.
    if (known && !tried.includes(known)) return;
    const times = (known?.times ?? 0) + 1;
    const isRetryAfter = typeof lastsMs === "number";
    const untilMs = runtime.monotonicNow() + (isRetryAfter ? lastsMs : lastsMs(times));
    failures.set(name, {
      response: structuredClone(response),
      untilMs,
      times,
      isRetryAfter,
      triedUntilMs: 0,
    });
  }

  function note(names: Names, answered: Answered, watch: RequestWatch): void {
    const { request, credential } = names;
    const { response } = answered;
    const retryAfterMs = retryAfterSeconds(response, runtime.now()) * 1000;
    if (retryAfterMs > 0) {
      watch.onRetryAfter(retryAfterMs);
      return remember(request, answered, retryAfterMs);
    }
    const error = errorOf(response);
    if (error === "invalid_client") {
      if (credential) remember(credential, answered, credentialPauseMs);
    } else if (error !== undefined && REFUSALS.has(error) && TOKEN_GRANTS.has(names.grant)) {
      if (credential) failures.delete(credential);
      remember(request, answered, () => REFUSED_MS);
    } else if (response.status < 400) {
      failures.delete(request);
      if (credential) failures.delete(credential);
    }
  }

  return {
    async post<T>(
      transport: INetworkModule,
      url: string,
      options: NetworkRequestOptions | undefined,
      watch: RequestWatch,
    ) {
      const names = namesOf(url, options?.body ?? "");
      const { holds, tried } = recall(names);
      if (holds) {
        watch.onRemembered();
        if (holds.isRetryAfter) watch.onRetryAfter(Math.max(holds.untilMs - runtime.monotonicNow(), 0));
        return structuredClone(holds.response) as NetworkResponse<T>;
      }
      try {
        watch.onSend();
        const response = await transport.sendPostRequestAsync<T>(url, options);
        note(names, { response, tried }, watch);
        return response;
      } finally {
        // Without an answer nothing is known: the next one tries.
        for (const failure of tried) failure.triedUntilMs = 0;
      }
    },
  };
}

function credentialPauseMs(times: number): number {
  return Math.min(CREDENTIAL_FIRST_MS * 2 ** Math.min(times - 1, 10), CREDENTIAL_MAX_MS);
}

/** Seconds, or a date (RFC 9110 section 10.2.3). */
function retryAfterSeconds(response: NetworkResponse<unknown>, nowMs: number): number {
  if (response.status !== 429 && response.status < 500) return 0;
  const header = Object.entries(response.headers).find(([name]) => name.toLowerCase() === "retry-after")?.[1];
  const given = Number(header);
  const seconds = Number.isNaN(given) ? (Date.parse(header ?? "") - nowMs) / 1000 : given;
  return Number.isFinite(seconds) ? Math.min(Math.max(seconds, 0), MAX_THROTTLE_SECONDS) : 0;
}

function errorOf({ status, body }: NetworkResponse<unknown>): string | undefined {
  if (status < 400 || status >= 500) return undefined;
  const error = (body as { error?: unknown } | null)?.error;
  return typeof error === "string" ? error : undefined;
}

/** Hashes, because the fields hold secrets and this is kept in memory for longer than the request. */
function namesOf(url: string, body: string): Names {
  const form = new URLSearchParams(body);
  const endpoint = url.split("?", 1)[0] ?? "";
  const asked = [...new URLSearchParams(url.slice(endpoint.length)), ...form].filter(
    ([name]) => !PASSING_FIELDS.has(name) && !name.toLowerCase().startsWith("x-"),
  );
  const hash = createHash("sha256").update(JSON.stringify([endpoint, asked]));
  return {
    request: hash.digest("base64url"),
    credential: credentialName(endpoint, form),
    grant: form.get("grant_type") ?? "",
  };
}

function credentialName(endpoint: string, form: URLSearchParams): string | undefined {
  const secret = form.get("client_secret");
  const assertion = form.get("client_assertion");
  if (!secret && !assertion) return undefined;
  const what = secret ?? signerOf(assertion ?? "");
  const hash = createHash("sha256").update(`credential\n${endpoint}\n${form.get("client_id")}\n${what}`);
  return hash.digest("base64url");
}

/** What stays the same from one assertion to the next (RFC 7523 section 3): the key, and who speaks of whom. */
function signerOf(assertion: string): string {
  const [header, payload] = assertion.split(".").map(decoded);
  if (!header || !payload) return assertion;
  const { kid, x5t, "x5t#S256": x5tS256 } = header;
  return JSON.stringify([kid, x5t, x5tS256, payload["iss"], payload["sub"]]);
}

function decoded(part: string): Record<string, unknown> | undefined {
  try {
    const value: unknown = JSON.parse(Buffer.from(part, "base64url").toString("utf8"));
    return typeof value === "object" && value !== null ? (value as Record<string, unknown>) : undefined;
  } catch {
    return undefined;
  }
}
