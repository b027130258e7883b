/** One process of a farm: users of its requests at random, over the Redis that all share. */
import { redisStore } from "../../../src/adapters/redis.ts";
import { serveApart, settingsOf } from "../../lib/apart.ts";
import { createApplication, msalWithPlugin, ours, redisClient, SCOPES } from "../../lib/parties.ts";
import { createProvider } from "../../lib/provider.ts";
import { nodeRedis } from "../../lib/redis.ts";

export interface FarmSettings {
  readonly url: string;
  readonly users: number;
  /** Access tokens live so long beyond the margin at which MSAL renews them, seconds. */
  readonly lifeSeconds: number;
  readonly providerMs: number;
}

const { url, users, lifeSeconds, providerMs } = settingsOf<FarmSettings>();
const provider = createProvider(createApplication(), {
  answerMs: providerMs,
  expiresInSeconds: 300 + lifeSeconds,
});
const { application } = provider;
const node = await nodeRedis(url);
const { client } = ours(application, redisStore({ client: node }));
const cacheClient = redisClient(node);

/** As a session brings it: a new object each time. */
function request(): { account: ReturnType<typeof application.account>; scopes: string[] } {
  return { account: application.account(Math.floor(Math.random() * users)), scopes: SCOPES };
}

const count = (): number => provider.calls;
serveApart([
  { name: "tokenkeep", operation: () => client.acquireTokenSilent(request()), count },
  {
    name: "msal-node + DistributedCachePlugin, client per request",
    operation() {
      const asked = request();
      return msalWithPlugin(application, cacheClient, asked.account.homeAccountId).acquireTokenSilent(asked);
    },
    count,
  },
]);
