/** A cached user token, asked for again: the call that an application makes most. */
import { memoryStore } from "../../src/adapters/memory.ts";
import { compare, type Result } from "../lib/compare.ts";
import {
  createApplication,
  mapClient,
  msalAlone,
  msalWithPlugin,
  mustHit,
  ours,
  SCOPES,
} from "../lib/parties.ts";
import type { Benchmark } from "../lib/benchmark.ts";

export const hit: Benchmark = {
  title: "A cached user token by `acquireTokenSilent`, awaited one by one",
  async run({ pace }) {
    const results: Result[] = [];
    for (const accessTokens of [1, 5, 50]) results.push(...(await hits(accessTokens, pace)));
    return results;
  },
};

async function hits(accessTokens: number, pace: Parameters<Benchmark["run"]>[0]["pace"]): Promise<Result[]> {
  const application = createApplication();
  const blob = application.blob(1, { accessTokens });
  const request = { account: application.account(1), scopes: SCOPES };
  const key = request.account.homeAccountId;

  const { client, cache, bring } = ours(application, memoryStore());
  await bring(1, blob);
  const alone = msalAlone(application, [blob]);
  const values = mapClient(new Map([[key, blob]]));
  const shared = msalWithPlugin(application, values, key);
  const tokens = new Map([[key, { accessToken: "token" }]]);
  const subjects = [
    { name: "tokenkeep", operation: () => client.acquireTokenSilent(request) },
    { name: "msal-node, no plugin, one user", operation: () => alone.acquireTokenSilent(request) },
    {
      name: "msal-node + DistributedCachePlugin on a Map, client per request",
      operation: () => msalWithPlugin(application, values, key).acquireTokenSilent(request),
    },
    {
      name: "msal-node + DistributedCachePlugin on a Map, shared client",
      operation: () => shared.acquireTokenSilent(request),
    },
  ];
  for (const { operation } of subjects) await mustHit(operation);
  const floor = { name: "awaited Map lookup", operation: async () => tokens.get(key) };
  try {
    return await compare({
      bench: "hit",
      params: { accessTokens, blobBytes: blob.length },
      subjects: [...subjects, floor],
      pace,
    });
  } finally {
    await cache.close();
  }
}
