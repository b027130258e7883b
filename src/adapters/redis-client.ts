/** Clients of Redis by their shape: node-redis 6 and ioredis 6, single, Cluster and Sentinel. Nothing is imported. */
import { OptionsError } from "../errors.ts";

/** What commands and their answers are made of. Answers come as buffers, integers and lists of these. */
export type RedisArgument = string | Buffer;
export type RedisReply = Buffer | string | number | null | undefined | readonly RedisReply[];

/** One connection, or one connection per node, that fails at once what it cannot send. */
export interface RedisDriver {
  /** Resolves when commands can be sent for the first time; rejects when the client gives that up for now. */
  started(): Promise<unknown>;
  isReady(): boolean;
  /** Whether one command may name any keys; on a Cluster they lie on different nodes. */
  readonly joinsKeys: boolean;
  /**
   * @param key decides which node of a Cluster is asked
   * @param signal withdraws what a client still holds back when its caller gives up
   */
  send(key: string, args: readonly RedisArgument[], signal?: AbortSignal): Promise<RedisReply>;
  /** The same command on each master; one answer each. */
  sendToMasters(args: readonly RedisArgument[]): Promise<readonly RedisReply[]>;
  /** One function that sends to each master: for commands that page through one node. */
  masters(): Promise<readonly ((args: readonly RedisArgument[]) => Promise<RedisReply>)[]>;
  /** Takes a new connection for one that leads nowhere any more. Absent: the client sees to that by itself. */
  reconnect?(): void;
  /** Closes only what was made here. */
  close(): void;
}

/**
 * So long without an answer, and a connection is taken for dead, ms. A firewall that has forgotten it, or a server that
 * lost its power, tells nobody: TCP itself goes on trying for a quarter of an hour.
 */
export const SILENT_MS = 10_000;

/**
 * A second connection for commands, on which waiting for replicas holds nobody up: `WAIT` blocks its connection, and
 * speaks of what was written on it.
 */
export interface RedisWaiter {
  started(): Promise<unknown>;
  /** On the key's node. */
  send(key: string, args: readonly RedisArgument[]): Promise<RedisReply>;
  /** `WAIT` for one replica, on the key's node and the connection that {@link send} uses. → replicas that have it */
  wait(key: string, timeoutMs: number): Promise<RedisReply>;
  close(): void;
}

/** A connection that listens. It resubscribes by itself after it was lost. */
export interface RedisSubscriber {
  subscribe(channel: string, listener: (message: string) => void): Promise<unknown>;
  close(): void;
}

/** What a caller's client is turned into. */
export interface RedisClients {
  readonly driver: RedisDriver;
  readonly subscriber: () => RedisSubscriber;
  readonly waiter: () => RedisWaiter;
}

/** The command of {@link RedisWaiter.wait}. */
export function waitCommand(timeoutMs: number): readonly string[] {
  return ["WAIT", "1", String(timeoutMs)];
}

/** The parts of node-redis 6 that are used (`createClient`, `createCluster`, `createSentinel`). */
export interface NodeRedisClient {
  /** True when commands go out at once. */
  readonly isReady?: boolean;
  /** What the client was made with. */
  readonly options?: object;
  /** Another client with the same options, and those given. */
  duplicate(overrides?: never): unknown;
  /** Sends one command. */
  sendCommand(...args: never[]): Promise<unknown>;
}

/** The parts of ioredis 6 that are used (`Redis`, `Cluster`). */
export interface IoRedisClient {
  /** `ready` when commands go out at once. */
  readonly status: string;
  /** What the client was made with. */
  readonly options: object;
  /** Another client with the same options, and those given. */
  duplicate(...args: never[]): unknown;
  /** Sends one command; texts come back as bytes. */
  callBuffer(command: string, ...args: never[]): Promise<unknown>;
}

/** The client that `redisStore` takes: made, configured and closed by the caller. */
export type RedisClient = NodeRedisClient | IoRedisClient;

const NOT_A_CLIENT =
  "must be a client of node-redis 6 (createClient, createCluster, createSentinel) or ioredis 6 (Redis, Cluster)";

/** Whether a value has functions under these names. */
export function hasMethods(value: unknown, names: readonly string[]): boolean {
  return (
    typeof value === "object" &&
    value !== null &&
    names.every((name) => typeof (value as Record<string, unknown>)[name] === "function")
  );
}

/** @throws {OptionsError} named `client` */
export function kindOf(client: unknown): "node-redis" | "ioredis" {
  if (hasMethods(client, ["callBuffer", "duplicate", "disconnect"])) return "ioredis";
  if (hasMethods(client, ["sendCommand", "duplicate", "connect"])) return "node-redis";
  if (hasMethods(client, ["sendCommand", "connect"])) {
    throw new OptionsError(
      "client",
      "cannot be duplicated: pass the client itself, not one taken from a pool",
    );
  }
  throw new OptionsError("client", NOT_A_CLIENT);
}

/** Node's clients emit `error` for what their own reconnection deals with; without a listener that ends the process. */
export function ignoreErrors(emitter: unknown): void {
  (emitter as { on(event: "error", listener: () => void): void }).on("error", () => undefined);
}
