/** A cached token of a user whom this process does not remember: one read, opened, searched. */
import { redisStore } from "../../src/adapters/redis.ts";
import type { Benchmark } from "../lib/benchmark.ts";
import { compare, type Result } from "../lib/compare.ts";
import { createApplication, msalWithPlugin, mustHit, ours, redisClient, SCOPES } from "../lib/parties.ts";
import { nodeRedis, withRedis } from "../lib/redis.ts";

const USERS = 500;
const ACCESS_TOKENS = 5;

export const redisToken: Benchmark = {
  title: "`acquireTokenSilent` over Redis on loopback, L1 off, 500 users in turn, 5 access tokens each",
  run: ({ pace }) =>
    withRedis(async ({ url }) => {
      const application = createApplication();
      const node = await nodeRedis(url);
      const store = redisStore({ client: node });
      const sealed = ours(application, store, { l1: false });
      const cacheClient = redisClient(node);
      const users = Array.from({ length: USERS }, (_, index) => ({
        account: application.account(index),
        scopes: SCOPES,
      }));
      for (const [index, { account }] of users.entries()) {
        const blob = application.blob(index, { accessTokens: ACCESS_TOKENS });
        await sealed.bring(index, blob);
        await cacheClient.set(account.homeAccountId, blob);
      }
      const user = (index: number): (typeof users)[number] => users[index % USERS]!;
      const subjects = [
        {
          name: "tokenkeep, sealed",
          operation: (index: number) => sealed.client.acquireTokenSilent(user(index)),
        },
        {
          name: "msal-node + DistributedCachePlugin, client per request",
          operation: (index: number) =>
            msalWithPlugin(application, cacheClient, user(index).account.homeAccountId).acquireTokenSilent(
              user(index),
            ),
        },
      ];
      for (const { operation } of subjects) await mustHit(() => operation(3));
      const results: Result[] = [];
      for (const callers of [1, 32, 256]) {
        const params = { callers, accessTokens: ACCESS_TOKENS };
        results.push(...(await compare({ bench: "redis-token", params, callers, pace, subjects })));
      }
      await sealed.cache.close();
      node.destroy();
      return results;
    }),
};
