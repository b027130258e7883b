/** ioredis 6: duplicates that neither queue offline nor send anything twice. */
import type { RedisArgument, RedisClients, RedisReply, RedisSubscriber } from "./redis-client.ts";
import { hasMethods, ignoreErrors, SILENT_MS, waitCommand } from "./redis-client.ts";

interface Node {
  readonly status: string;
  readonly options: object;
  duplicate(overrides: object): Node;
  callBuffer(command: string, ...args: RedisArgument[]): Promise<RedisReply>;
  subscribe(channel: string): Promise<unknown>;
  on(event: "message", listener: (channel: string, message: string) => void): void;
  once(event: string, listener: (error?: unknown) => void): void;
  off(event: string, listener: (error?: unknown) => void): void;
  connect(): Promise<unknown>;
  disconnect(reconnect?: boolean): void;
}

interface Cluster extends Omit<Node, "duplicate"> {
  duplicate(nodes: readonly unknown[], overrides: object): Cluster;
  nodes(role: "master"): Node[];
  pipeline(commands: readonly (readonly string[])[]): {
    exec(): Promise<readonly (readonly [error: Error | null, reply: unknown])[] | null>;
  };
}

/**
 * Offline, a command fails at once, and nothing is sent again after a connection is lost: a write that comes to
 * life after its caller gave up could undo a sign-out.
 */
const FAIL_FAST = {
  enableOfflineQueue: false,
  autoResendUnfulfilledCommands: false,
  maxRetriesPerRequest: 0,
  reconnectOnError: null,
  lazyConnect: false,
  stringNumbers: false,
};

/** Subscribing waits for its connection: it writes nothing, and whoever is told late is told. */
const PATIENT = { enableOfflineQueue: true, lazyConnect: false };

/** Names are the store's own: with a prefix in front they would come back from a listing as others. */
const OWN_NAMES = { keyPrefix: "" };

export function ioredisClients(client: unknown): RedisClients {
  return hasMethods(client, ["nodes"]) ? clusterClients(client as Cluster) : singleClients(client as Node);
}

function singleClients(client: Node): RedisClients {
  const own = client.duplicate({ ...FAIL_FAST, ...OWN_NAMES });
  const started = whenReady(own);
  const send = sendTo(own);
  return {
    driver: {
      started: () => started,
      isReady: () => own.status === "ready",
      joinsKeys: true,
      send: (_key, args) => send(args),
      sendToMasters: async (args) => [await send(args)],
      masters: () => Promise.resolve([send]),
      reconnect: () => own.disconnect(true),
      close: () => own.disconnect(),
    },
    subscriber: () => subscriberOf(client.duplicate({ ...OWN_NAMES, ...PATIENT, autoResubscribe: true })),
    waiter() {
      const waiting = client.duplicate({ ...FAIL_FAST, ...OWN_NAMES });
      const command = sendTo(waiting);
      return {
        started: always(whenReady(waiting)),
        send: (_key, args) => command(args),
        wait: (_key, timeoutMs) => command(waitCommand(timeoutMs)),
        close: () => waiting.disconnect(),
      };
    },
  };
}

function clusterClients(client: Cluster): RedisClients {
  // A node on which commands wait and nothing comes is connected to anew.
  const own = failingFast(client, { socketTimeout: SILENT_MS });
  const started = whenMastersReady(own);
  const send = sendTo(own);
  const masters = (): Promise<((args: readonly RedisArgument[]) => Promise<RedisReply>)[]> =>
    Promise.resolve(own.nodes("master").map(sendTo));
  return {
    driver: {
      started: () => started,
      isReady: () => own.status === "ready",
      joinsKeys: false,
      send: (_key, args) => send(args),
      sendToMasters: async (args) => Promise.all((await masters()).map((ask) => ask(args))),
      masters,
      close: () => own.disconnect(),
    },
    subscriber: () => subscriberOf(client.duplicate([], { ...OWN_NAMES, ...PATIENT })),
    waiter() {
      const waiting = failingFast(client);
      const command = sendTo(waiting);
      return {
        started: always(whenMastersReady(waiting)),
        send: (_key, args) => command(args),
        // Without a key `WAIT` goes to any node; a pipeline goes where its keys are.
        async wait(key, timeoutMs) {
          const pipeline = waiting.pipeline([
            ["exists", key],
            ["call", ...waitCommand(timeoutMs)],
          ]);
          const [, waited] = (await pipeline.exec()) ?? [];
          if (waited?.[0]) throw waited[0];
          return waited?.[1] as RedisReply;
        },
        close: () => waiting.disconnect(),
      };
    },
  };
}

/** @param nodes of its nodes, unless the caller's client says otherwise */
function failingFast(client: Cluster, nodes: object = {}): Cluster {
  const { redisOptions = {} } = client.options as { redisOptions?: object };
  return client.duplicate([], {
    enableOfflineQueue: false,
    lazyConnect: false,
    // A lost connection, or a node that is no master any more, is the caller's to know, not to be tried again.
    retryDelayOnFailover: 0,
    retryDelayOnClusterDown: 0,
    retryDelayOnTryAgain: 0,
    // A replica may be behind the conflict that was just reported.
    scaleReads: "master",
    ...OWN_NAMES,
    redisOptions: { ...nodes, ...redisOptions, ...FAIL_FAST, ...OWN_NAMES },
  });
}

/** Ready says ioredis when it knows the slots; a command for a master that is still connecting would be refused. */
function whenMastersReady(cluster: Cluster): Promise<void> {
  const started = whenReady(cluster).then(async () => {
    await Promise.all(cluster.nodes("master").map(whenConnected));
  });
  started.catch(() => undefined);
  return started;
}

function sendTo(client: Pick<Node, "callBuffer">): (args: readonly RedisArgument[]) => Promise<RedisReply> {
  return ([command = "", ...args]) => client.callBuffer(command.toString(), ...args);
}

function always<T>(value: T): () => T {
  return () => value;
}

/** ioredis connects by itself; the first outcome counts, and reconnecting goes on after a failure. */
function whenReady(client: Pick<Node, "status" | "once" | "off">): Promise<void> {
  ignoreErrors(client);
  const ready = new Promise<void>((resolve, reject) => {
    if (client.status === "ready") return resolve();
    const end = (): void => reject(new Error("the client has been closed"));
    client.once("ready", () => {
      client.off("end", end);
      resolve();
    });
    client.once("end", end);
  });
  ready.catch(() => undefined);
  return ready;
}

/** One that cannot be reached ends instead, and is the caller's to know. */
function whenConnected(node: Pick<Node, "status" | "once">): Promise<void> {
  if (node.status === "ready" || node.status === "end") return Promise.resolve();
  return new Promise((resolve) => {
    node.once("ready", () => resolve());
    node.once("end", () => resolve());
  });
}

function subscriberOf(client: Pick<Node, "on" | "subscribe" | "disconnect">): RedisSubscriber {
  ignoreErrors(client);
  return {
    subscribe(channel, listener) {
      client.on("message", (from, message) => {
        if (from === channel) listener(message);
      });
      return client.subscribe(channel);
    },
    close: () => client.disconnect(),
  };
}
