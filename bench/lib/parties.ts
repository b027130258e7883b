/** The contestants of the token benchmarks, each set up as its documentation shows, over the same blob. */
import {
  ConfidentialClientApplication,
  DistributedCachePlugin,
  type AccountInfo,
  type Configuration,
  type ICacheClient,
  type IPartitionManager,
} from "@azure/msal-node";
import { createConfidentialClient, createTokenCache, createKeyRing, userPartition } from "../../src/index.ts";
import type { ConfidentialClient, Store, TokenCache, TokenCacheOptions } from "../../src/index.ts";
import { createLocalAuthority, DEFAULT_CLIENT_IDS } from "../../src/testing/index.ts";
import { createBlob, homeAccountIdOf, scopeOf, uidOf, type BlobOptions, type Owner } from "./blob.ts";
import type { nodeRedis } from "./redis.ts";

const CLIENT_ID = DEFAULT_CLIENT_IDS.web;

/** An application at a provider that nobody has to ask: every token is in the cache. */
export interface Application {
  readonly auth: Configuration["auth"];
  readonly system: NonNullable<Configuration["system"]>;
  blob(index: number, options: Pick<BlobOptions, "accessTokens"> & Partial<BlobOptions>): string;
  account(index: number): AccountInfo;
  owner(uid: string): Owner;
}

export function createApplication(): Application {
  const authority = createLocalAuthority();
  const auth = authority.msalAuth("contoso", CLIENT_ID);
  const environment = authority.authorityHost;
  const tenantId = auth.authority.split("/").at(-1) ?? "";
  return {
    auth,
    system: { networkClient: authority.networkClient() },
    blob: (index, options) =>
      JSON.stringify(
        createBlob({ uid: uidOf(index), tenantId, clientId: CLIENT_ID, environment, ...options }),
      ),
    owner: (uid) => ({ uid, tenantId, clientId: CLIENT_ID }),
    account: (index) => ({
      homeAccountId: homeAccountIdOf({ uid: uidOf(index), tenantId }),
      environment,
      tenantId,
      username: `user-${uidOf(index)}@contoso.example`,
      localAccountId: uidOf(index),
    }),
  };
}

export interface Ours {
  readonly cache: TokenCache;
  readonly client: ConfidentialClient;
  /** Puts a user's blob into the cache. */
  bring(index: number, json: string): Promise<void>;
}

/** tokenkeep over a store, sealed, with its defaults. */
export function ours(
  { auth, system, account }: Application,
  store: Store | undefined,
  options: Partial<TokenCacheOptions> = {},
): Ours {
  const keys = createKeyRing({ sealing: { id: "bench", key: new Uint8Array(32).fill(7) } });
  const cache = createTokenCache({ ...(store && { store, keys }), ...options });
  const client = createConfidentialClient({ auth, system, tokenCache: cache });
  const scope = { clientId: CLIENT_ID, authority: auth.authority ?? "" };
  return {
    cache,
    client,
    async bring(index, json) {
      const outcome = await cache.importBlob(userPartition(scope, account(index).homeAccountId), json);
      if (outcome.taken === 0) throw new Error("the blob was not taken");
    },
  };
}

/** MSAL by itself: one client, everything in its memory. */
export function msalAlone(
  { auth, system }: Application,
  blobs: readonly string[],
): ConfidentialClientApplication {
  const client = new ConfidentialClientApplication({ auth, system });
  for (const blob of blobs) client.getTokenCache().deserialize(blob);
  return client;
}

/** MSAL with its own plugin; the partition is known beforehand, which is the best case. */
export function msalWithPlugin(
  { auth, system }: Application,
  cacheClient: ICacheClient,
  key: string,
): ConfidentialClientApplication {
  const partitions: IPartitionManager = {
    getKey: () => Promise.resolve(key),
    extractKey: (account) => Promise.resolve(account.homeAccountId),
  };
  return new ConfidentialClientApplication({
    auth,
    system,
    cache: { cachePlugin: new DistributedCachePlugin(cacheClient, partitions) },
  });
}

/** The cache client of the vendor's documentation, over a Map instead of Redis. */
export function mapClient(values: Map<string, string>): ICacheClient {
  return {
    get: (key) => Promise.resolve(values.get(key) ?? ""),
    set(key, value) {
      values.set(key, value);
      return Promise.resolve(value);
    },
  };
}

/** The same over Redis, by node-redis. */
export function redisClient(node: Awaited<ReturnType<typeof nodeRedis>>): ICacheClient {
  const strings = node.withTypeMapping({});
  return {
    get: async (key) => (await strings.get(key)) ?? "",
    async set(key, value) {
      await strings.set(key, value);
      return value;
    },
  };
}

/** What is asked for, and whether what came is a token from the cache. */
export const SCOPES = [scopeOf(0)];

export async function mustHit(silent: () => Promise<unknown>): Promise<void> {
  const result = (await silent()) as { fromCache?: boolean; accessToken?: string } | null;
  if (result?.fromCache !== true || !result.accessToken) throw new Error("no token from the cache");
}
