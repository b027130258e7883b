/** The vendor's half: `DistributedCachePlugin` over a plain store, used as its documentation shows. */
import { AsyncLocalStorage } from "node:async_hooks";
import {
  ConfidentialClientApplication,
  DistributedCachePlugin,
  type AccountInfo,
  type Configuration,
  type ICacheClient,
  type ICachePlugin,
  type IPartitionManager,
} from "@azure/msal-node";
import { READ, REDIRECT_URI, WEB, type Authority } from "../support/world.ts";

/** Strings under keys, as a small wrapper of a Redis client would be, with the faults a test asks for. */
export interface VendorStore extends ICacheClient {
  readonly values: Map<string, string>;
  /** Bytes of all values. */
  size(): number;
  /** While set, calls fail with it. */
  getError: Error | undefined;
  setError: Error | undefined;
}

/** @param mostTurns calls take from none to so many turns of the event loop, as network hops of uneven length do */
export function vendorStore(mostTurns = 0): VendorStore {
  const values = new Map<string, string>();
  let calls = 0;
  const hop = (): Promise<void> => eventLoopTurns((calls += 3) % (mostTurns + 1));
  const store: VendorStore = {
    values,
    size: () => [...values.values()].reduce((sum, text) => sum + text.length, 0),
    getError: undefined,
    setError: undefined,
    async get(key) {
      await hop();
      if (store.getError) throw store.getError;
      return values.get(key) ?? "";
    },
    async set(key, value) {
      await hop();
      if (store.setError) throw store.setError;
      values.set(key, value);
      return value;
    },
  };
  return store;
}

/**
 * A plugin whose first access waits once, as one does that reports how long it took, until it is released:
 * behind the load, or in the callback that ends the access.
 */
export function stoppedOnce(
  plugin: ICachePlugin,
  where: "behind the load" | "at the end",
): { readonly plugin: ICachePlugin; readonly stopped: Promise<void>; readonly release: () => void } {
  const stop = Promise.withResolvers<void>();
  const gate = Promise.withResolvers<void>();
  let left = 1;
  const waitOnce = async (): Promise<void> => {
    if ((left -= 1) < 0) return;
    stop.resolve();
    await gate.promise;
  };
  return {
    stopped: stop.promise,
    release: gate.resolve,
    plugin: {
      async beforeCacheAccess(context) {
        await plugin.beforeCacheAccess(context);
        if (where === "behind the load") await waitOnce();
      },
      async afterCacheAccess(context) {
        await plugin.afterCacheAccess(context);
        if (where === "at the end") await waitOnce();
      },
    },
  };
}

export async function eventLoopTurns(turns: number): Promise<void> {
  for (let turn = 0; turn < turns; turn += 1) await new Promise((resolve) => setImmediate(resolve));
}

/** The partition manager of the vendor's samples: reads by the session, writes by the account. */
export function bySession(session: { key: string }): IPartitionManager {
  return {
    getKey: () => Promise.resolve(session.key),
    extractKey: (account) => Promise.resolve(account.homeAccountId),
  };
}

/** A fixed partition, for a client per request. */
export function byKey(key: string): IPartitionManager {
  return bySession({ key });
}

/** Knows the partition of the request it runs in, for reading and for writing: the best that can be done. */
export function byRequest(): IPartitionManager & { run<R>(key: string, work: () => R): R } {
  const requests = new AsyncLocalStorage<string>();
  const key = (): Promise<string> => Promise.resolve(requests.getStore() ?? "");
  return { getKey: key, extractKey: key, run: (name, work) => requests.run(name, work) };
}

export interface VendorOptions {
  readonly auth?: Configuration["auth"];
  readonly system?: Configuration["system"];
}

export function vendorClient(
  authority: Authority,
  cachePlugin: ICachePlugin,
  options: VendorOptions = {},
): ConfidentialClientApplication {
  return new ConfidentialClientApplication({
    auth: options.auth ?? authority.msalAuth("contoso", WEB),
    system: { networkClient: authority.networkClient(), ...options.system },
    cache: { cachePlugin },
  });
}

/** A client per request, bound to one partition: what the vendor recommends for many users. */
export function perRequest(
  authority: Authority,
  store: ICacheClient,
  key: string,
  options: VendorOptions = {},
): ConfidentialClientApplication {
  return vendorClient(authority, new DistributedCachePlugin(store, byKey(key)), options);
}

/** One client with the vendor's plugin, shared by every request. */
export function sharedClient(
  authority: Authority,
  store: ICacheClient,
  partitions: IPartitionManager,
): ConfidentialClientApplication {
  return vendorClient(authority, new DistributedCachePlugin(store, partitions));
}

/** Opens the sign-in page as `user`, and redeems the code. */
export async function vendorSignIn(
  client: ConfidentialClientApplication,
  authority: Authority,
  user: string,
  scopes: string[] = READ,
): Promise<AccountInfo> {
  const url = await client.getAuthCodeUrl({ scopes, redirectUri: REDIRECT_URI });
  const { params } = await authority.authorize(url, { user });
  const result = await client.acquireTokenByCode({
    code: params["code"] ?? "",
    scopes,
    redirectUri: REDIRECT_URI,
  });
  if (!result.account) throw new Error("no account");
  return result.account;
}

/** Signs `user` in with a client of their own, so that the store begins in good order. */
export function seed(
  authority: Authority,
  store: ICacheClient,
  user: string,
  scopes: string[] = READ,
): Promise<AccountInfo> {
  return vendorSignIn(perRequest(authority, store, authority.homeAccountId(user)), authority, user, scopes);
}

type Section = "Account" | "IdToken" | "AccessToken" | "RefreshToken";
type Entity = Readonly<Record<string, string>>;

/** The entries of one section of a serialised cache. */
export function entries(text: string | undefined, section: Section): Entity[] {
  const blob = JSON.parse(text || "{}") as Partial<Record<Section, Record<string, Entity>>>;
  return Object.values(blob[section] ?? {});
}

/** Whose refresh tokens a serialised cache holds. */
export function ownersIn(text: string | undefined): string[] {
  return entries(text, "RefreshToken").map((entity) => entity["home_account_id"] ?? "");
}
