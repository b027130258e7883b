import { memoryStore, type MemoryStore } from "../../src/adapters/memory.ts";
import {
  createConfidentialClient,
  type ConfidentialClient,
  type ConfidentialClientOptions,
} from "../../src/client/confidential-client.ts";
import { createKeyRing, type KeyRing } from "../../src/envelope/key-ring.ts";
import type { TokenCacheOptions } from "../../src/options.ts";
import { systemRuntime, type Runtime } from "../../src/runtime.ts";
import type { Store } from "../../src/store/store.ts";
import type { TokenkeepEvent } from "../../src/telemetry/events.ts";
import { createLocalAuthority } from "../../src/testing/authority/index.ts";
import { createSigningKey } from "../../src/testing/authority/jwt.ts";
import type { LocalAuthorityOptions } from "../../src/testing/authority/options.ts";
import { DEFAULT_CLIENT_IDS } from "../../src/testing/authority/options.ts";
import { createTokenCache, type TokenCache } from "../../src/token-cache.ts";
import type { TokenResult } from "../../src/client/result.ts";

export const REDIRECT_URI = "http://127.0.0.1/redirect";
export const ADA = "ada@contoso.example";
export const BEN = "ben@contoso.example";
export const CLEO = "cleo@fabrikam.example";
export const READ = ["api://notes/read"];
export const WEB = DEFAULT_CLIENT_IDS.web;

/** A fixed key, so that several caches of one test share it. */
export function testKeys(id = "k1", fill = 7): KeyRing {
  return createKeyRing({ sealing: { id, key: new Uint8Array(32).fill(fill) } });
}

/** The system's runtime with a wall clock and monotonic clock that a test moves; timers stay real. */
export interface SteeredRuntime extends Runtime {
  advance(ms: number): void;
}

export function steeredRuntime(): SteeredRuntime {
  let offset = 0;
  return {
    ...systemRuntime,
    now: () => systemRuntime.now() + offset,
    monotonicNow: () => systemRuntime.monotonicNow() + offset,
    advance(ms) {
      offset += ms;
    },
  };
}

export type AcquisitionEvent = Extract<TokenkeepEvent, { readonly type: "acquisition" }>;

/** One process of an application: a cache, a client, and the events it reported. */
export interface Node {
  readonly cache: TokenCache<never>;
  readonly client: ConfidentialClient;
  /** All but those of single acquisitions. */
  readonly events: TokenkeepEvent[];
  readonly acquisitions: AcquisitionEvent[];
  /** Signs `user` in through the authority's page and redeems the code. */
  signIn(user: string, scopes?: string[]): Promise<TokenResult>;
}

export type Authority = ReturnType<typeof createLocalAuthority>;

export interface World {
  readonly authority: Authority;
  readonly store: MemoryStore;
  node(options?: Partial<TokenCacheOptions<never>>, client?: Partial<ConfidentialClientOptions>): Node;
}

let pem: string | undefined;

/** Making an RSA key takes longer than most tests: one for each test file. */
function signingKeyPem(): string {
  pem ??= createSigningKey().privateKey.export({ type: "pkcs8", format: "pem" }).toString();
  return pem;
}

/** One authority and one store, shared by as many nodes as a test likes. Nothing leaves the process. */
export function createWorld(options: LocalAuthorityOptions = {}): World {
  const authority = createLocalAuthority({ signingKeyPem: signingKeyPem(), ...options });
  const store = memoryStore(options.runtime ? { runtime: options.runtime } : {});
  return {
    authority,
    store,
    node: (cacheOptions, clientOptions) =>
      createNode(authority, { store, ...cacheOptions }, { ...clientOptions }),
  };
}

export function createNode(
  authority: Authority,
  cacheOptions: Partial<TokenCacheOptions<never>> & { store?: Store },
  clientOptions: Partial<ConfidentialClientOptions> = {},
): Node {
  const events: TokenkeepEvent[] = [];
  const acquisitions: AcquisitionEvent[] = [];
  const cache = createTokenCache<never>({
    keys: testKeys(),
    onEvent: (event) => void (event.type === "acquisition" ? acquisitions : events).push(event as never),
    ...cacheOptions,
  });
  const client = createConfidentialClient({
    auth: authority.msalAuth("contoso", WEB),
    system: { networkClient: authority.networkClient() },
    tokenCache: cache,
    ...clientOptions,
  });
  return {
    cache,
    client,
    events,
    acquisitions,
    async signIn(user, scopes = READ) {
      const url = await client.getAuthCodeUrl({ scopes, redirectUri: REDIRECT_URI });
      const answer = await authority.authorize(url, { user });
      const code = answer.params["code"];
      if (!code) throw new Error(`no code: ${answer.params["error"] ?? "nothing"}`);
      return client.acquireTokenByCode({ code, scopes, redirectUri: REDIRECT_URI });
    },
  };
}
