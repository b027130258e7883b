/** The clients that users have, made as they make them: with the libraries' defaults. */
import { Cluster as IoCluster, Redis as IoRedis } from "ioredis";
import { createClient, createCluster, createSentinel } from "redis";
import type { RedisClient } from "../../src/adapters/redis.ts";

/** A client of the application, never connected by us, and what its owner does at the end. */
export interface OwnedClient {
  readonly client: RedisClient;
  readonly dispose: () => void;
}

export type MakeClient = () => OwnedClient;

export interface Reach {
  readonly port: number;
  readonly username?: string;
  readonly password?: string;
  /** PEM of the certificate to trust; with it the connection is TLS. */
  readonly ca?: string;
}

export function nodeRedis({ port, username, password, ca }: Reach): OwnedClient {
  const client = createClient({
    socket: { host: "127.0.0.1", port, ...(ca === undefined ? {} : { tls: true as const, ca }) },
    ...(username === undefined ? {} : { username }),
    ...(password === undefined ? {} : { password }),
  });
  client.on("error", () => undefined);
  return { client, dispose: () => undefined };
}

export function ioRedis({ port, username, password, ca }: Reach): OwnedClient {
  const client = new IoRedis({
    host: "127.0.0.1",
    port,
    lazyConnect: true,
    ...(username === undefined ? {} : { username }),
    ...(password === undefined ? {} : { password }),
    ...(ca === undefined ? {} : { tls: { ca } }),
  });
  client.on("error", () => undefined);
  return { client, dispose: () => client.disconnect() };
}

export function nodeRedisCluster(ports: readonly number[]): OwnedClient {
  const client = createCluster({ rootNodes: ports.map((port) => ({ url: `redis://127.0.0.1:${port}` })) });
  client.on("error", () => undefined);
  return { client, dispose: () => undefined };
}

export function ioRedisCluster(ports: readonly number[]): OwnedClient {
  const nodes = ports.map((port) => ({ host: "127.0.0.1", port }));
  const client = new IoCluster(nodes, { lazyConnect: true });
  client.on("error", () => undefined);
  return { client, dispose: () => client.disconnect() };
}

export function nodeRedisSentinel(ports: readonly number[], name: string, password?: string): OwnedClient {
  const client = createSentinel({
    name,
    sentinelRootNodes: ports.map((port) => ({ host: "127.0.0.1", port })),
    ...(password === undefined ? {} : { nodeClientOptions: { password } }),
  });
  client.on("error", () => undefined);
  return { client, dispose: () => undefined };
}

export function ioRedisSentinel(ports: readonly number[], name: string, password?: string): OwnedClient {
  const client = new IoRedis({
    sentinels: ports.map((port) => ({ host: "127.0.0.1", port })),
    name,
    lazyConnect: true,
    ...(password === undefined ? {} : { password }),
  });
  client.on("error", () => undefined);
  return { client, dispose: () => client.disconnect() };
}
