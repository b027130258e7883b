/** A store in Redis: one server, Sentinel or Cluster, by node-redis or ioredis. */
import { checkedRuntime, checkOptionNames } from "../checks.ts";
import { OptionsError } from "../errors.ts";
import type { Runtime } from "../runtime.ts";
import { redisActivity } from "./redis-activity.ts";
import { redisAdmin } from "./redis-admin.ts";
import { redisBackplane } from "./redis-backplane.ts";
import { kindOf, type RedisClient } from "./redis-client.ts";
import { createRedisConnection } from "./redis-connection.ts";
import { inspectRedis } from "./redis-inspect.ts";
import { ioredisClients } from "./redis-ioredis.ts";
import { redisLease } from "./redis-lease.ts";
import { nodeRedisClients } from "./redis-node-redis.ts";
import { redisRecords } from "./redis-records.ts";
import { redisReplicas } from "./redis-replicas.ts";
import type { Store } from "../store/store.ts";

export type { IoRedisClient, NodeRedisClient, RedisClient } from "./redis-client.ts";

/** What {@link redisStore} is made from. Only `client` is required. */
export interface RedisStoreOptions {
  /**
   * A client that you made: of node-redis 6 (`createClient`, `createCluster`, `createSentinel`) or ioredis 6
   * (`Redis`, `Cluster`). It is duplicated, with its offline queue and its resending switched off, so it need not
   * be connected, and it stays yours to close.
   */
  readonly client: RedisClient;
  /**
   * Prefix of the keys that are not records: activity, leases, the change counter, the channel. Applications
   * that must not share those differ in it; records have the cache's `namespace`. Default `tokenkeep`.
   */
  readonly prefix?: string;
  /**
   * How long a sign-out, and a renewed refresh token in one-time mode, may wait for a replica to have it, ms, where
   * the server has replicas. Default 500; 0 never waits.
   */
  readonly replicaWaitMs?: number;
  /** Clocks, timers and ids. Default: the system's. */
  readonly runtime?: Runtime;
}

/** What {@link redisStore} makes: a store with every optional capability. */
export type RedisStore = Required<Omit<Store, "patienceMs">>;

const KNOWN_OPTIONS = new Set(["client", "prefix", "replicaWaitMs", "runtime"]);
const DEFAULT_REPLICA_WAIT_MS = 500;
const MAX_REPLICA_WAIT_MS = 60_000;
const PREFIX = /^[\w.:-]{1,64}$/;

/**
 * Makes a store of a Redis client. It connects at once, in the background, on connections of its own: one for
 * commands (one per node on a Cluster), one for messages once somebody listens, and one for waiting for replicas once
 * somebody does. `close()` closes these.
 * @throws {OptionsError} naming the option.
 */
export function redisStore(options: RedisStoreOptions): RedisStore {
  checkOptionNames(options, KNOWN_OPTIONS, "redisStore");
  const { client, prefix = "tokenkeep" } = options;
  if (typeof prefix !== "string" || !PREFIX.test(prefix)) {
    throw new OptionsError(
      "prefix",
      "must have 1 to 64 letters, digits, dots, colons, underscores or hyphens",
    );
  }
  const runtime = checkedRuntime(options.runtime);
  const { replicaWaitMs = DEFAULT_REPLICA_WAIT_MS } = options;
  if (!Number.isInteger(replicaWaitMs) || replicaWaitMs < 0 || replicaWaitMs > MAX_REPLICA_WAIT_MS) {
    throw new OptionsError("replicaWaitMs", `must be a whole number from 0 to ${MAX_REPLICA_WAIT_MS}`);
  }
  const clients = kindOf(client) === "ioredis" ? ioredisClients(client) : nodeRedisClients(client);
  const connection = createRedisConnection(clients.driver, runtime);
  const { backplane, close } = redisBackplane(connection, prefix, clients.subscriber);
  const replicas = redisReplicas(connection, clients.waiter, replicaWaitMs);
  return {
    name: "redis",
    ...redisRecords(connection),
    replicated: replicas.replicated,
    inspect: () => inspectRedis(connection),
    backplane,
    activity: redisActivity(connection, prefix),
    lease: redisLease(connection, prefix),
    admin: redisAdmin(connection),
    async close() {
      close();
      replicas.close();
      connection.close();
    },
  };
}
