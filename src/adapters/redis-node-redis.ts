/** node-redis 6: duplicates that neither queue offline nor send anything twice. */
import type {
  RedisArgument,
  RedisClients,
  RedisDriver,
  RedisReply,
  RedisSubscriber,
  RedisWaiter,
} from "./redis-client.ts";
import { hasMethods, ignoreErrors, waitCommand } from "./redis-client.ts";

interface Node {
  readonly isReady: boolean;
  connect(): Promise<unknown>;
  /** A Sentinel's takes its time. */
  destroy(): void | Promise<void>;
  on(event: "connect", listener: () => void): unknown;
  duplicate(overrides: object): Node;
  sendCommand(args: readonly RedisArgument[], options: object): Promise<RedisReply>;
  subscribe(channel: string, listener: (message: string) => void): Promise<unknown>;
}

interface Cluster extends Omit<Node, "sendCommand" | "duplicate"> {
  readonly masters: readonly unknown[];
  nodeClient(node: unknown): Promise<Node>;
  duplicate(overrides: object): Cluster;
  sendCommand(
    key: string,
    isReadonly: boolean,
    args: readonly RedisArgument[],
    options: object,
  ): Promise<RedisReply>;
}

interface Sentinel extends Omit<Node, "sendCommand" | "duplicate"> {
  duplicate(overrides: object): Sentinel;
  sendCommand(isReadonly: boolean, args: readonly RedisArgument[], options: object): Promise<RedisReply>;
}

/** RESP's type byte of a blob string (`$`): answers come as buffers. */
const AS_BUFFERS = { typeMapping: { 36: Buffer } };

/**
 * node-redis 6 gives a command 5 s in which to leave this process, with a timer and an `AbortSignal` each, which cost
 * as much as all the rest of a reading. Here nothing waits for a connection, and whoever calls has a deadline.
 */
const UNTIMED = { ...AS_BUFFERS, timeout: 0 };

/** Offline, a command fails at once: one that is sent later, after its caller gave up, could undo a sign-out. */
const FAIL_FAST = { disableOfflineQueue: true };

export function nodeRedisClients(client: unknown): RedisClients {
  if (hasMethods(client, ["nodeClient", "getSlotRandomNode"])) return clusterClients(client as Cluster);
  if (hasMethods(client, ["acquire", "getMasterNode"]) || hasMethods(client, ["acquire", "use"])) {
    return sentinelClients(client as Sentinel);
  }
  return singleClients(client as Node);
}

function singleClients(client: Node): RedisClients {
  function driver(): RedisDriver {
    const own = opened(client.duplicate(FAIL_FAST));
    const send = (args: readonly RedisArgument[]): Promise<RedisReply> =>
      own.client.sendCommand(args, UNTIMED);
    return {
      ...lifecycle(own),
      joinsKeys: true,
      send: (_key, args, signal) => own.client.sendCommand(args, withdrawnBy(signal, UNTIMED)),
      sendToMasters: async (args) => [await send(args)],
      masters: () => Promise.resolve([send]),
    };
  }
  return {
    driver: renewable(driver),
    subscriber: () => subscriberOf(client.duplicate({})),
    waiter() {
      const waiting = opened(client.duplicate(FAIL_FAST));
      const command = (args: readonly RedisArgument[]): Promise<RedisReply> =>
        waiting.client.sendCommand(args, AS_BUFFERS);
      return waiterOf(waiting, (_key, args) => command(args));
    },
  };
}

function clusterClients(client: Cluster): RedisClients {
  const failingFast = { defaults: { ...defaultsOf(client), ...FAIL_FAST } };
  function driver(): RedisDriver {
    const own = opened(client.duplicate(failingFast));
    const cluster = own.client;
    const masters = (): Promise<((args: readonly RedisArgument[]) => Promise<RedisReply>)[]> =>
      Promise.all(
        cluster.masters.map(async (master) => {
          const node = await cluster.nodeClient(master);
          return (args: readonly RedisArgument[]) => node.sendCommand(args, AS_BUFFERS);
        }),
      );
    return {
      ...lifecycle(own),
      joinsKeys: false,
      send: (key, args, signal) => cluster.sendCommand(key, false, args, withdrawnBy(signal, UNTIMED)),
      sendToMasters: async (args) => Promise.all((await masters()).map((send) => send(args))),
      masters,
    };
  }
  return {
    driver: renewable(driver),
    subscriber: () => subscriberOf(client.duplicate({})),
    waiter() {
      const waiting = opened(client.duplicate(failingFast));
      return waiterOf(waiting, (key, args) => waiting.client.sendCommand(key, false, args, AS_BUFFERS));
    },
  };
}

/**
 * What its nodes are made with (password, TLS) cannot be read, and a duplicate's own would replace it; so its
 * offline queue stays on, and what waits there is withdrawn by the caller's signal.
 */
function sentinelClients(client: Sentinel): RedisClients {
  function driver(): RedisDriver {
    // Asked again after a failover means sent again: whoever asked may have given up.
    const own = opened(client.duplicate({ maxCommandRediscovers: 0 }));
    const send = (args: readonly RedisArgument[], signal?: AbortSignal): Promise<RedisReply> =>
      own.client.sendCommand(false, args, withdrawnBy(signal, AS_BUFFERS));
    return {
      ...lifecycle(own),
      joinsKeys: true,
      send: (_key, args, signal) => send(args, signal),
      sendToMasters: async (args) => [await send(args)],
      masters: () => Promise.resolve([send]),
    };
  }
  return {
    driver: renewable(driver),
    subscriber: () => subscriberOf(client.duplicate({})),
    waiter() {
      // One connection, or the write and the wait might go by two.
      const waiting = opened(client.duplicate({ maxCommandRediscovers: 0, masterPoolSize: 1 }));
      return waiterOf(waiting, (_key, args) => waiting.client.sendCommand(false, args, AS_BUFFERS));
    },
  };
}

/** node-redis waits for an answer for as long as TCP does; so what does not answer is closed, and another one made. */
function renewable(make: () => RedisDriver): RedisDriver {
  let current = make();
  return {
    started: () => current.started(),
    isReady: () => current.isReady(),
    joinsKeys: current.joinsKeys,
    send: (key, args, signal) => current.send(key, args, signal),
    sendToMasters: (args) => current.sendToMasters(args),
    masters: () => current.masters(),
    reconnect() {
      current.close();
      current = make();
    },
    close: () => current.close(),
  };
}

function waiterOf({ started, close }: Opened<unknown>, send: RedisWaiter["send"]): RedisWaiter {
  return {
    started,
    send,
    wait: (key, timeoutMs) => send(key, waitCommand(timeoutMs)),
    close,
  };
}

function withdrawnBy(signal: AbortSignal | undefined, options: object): object {
  return signal === undefined ? options : { ...options, abortSignal: signal };
}

/** The options of a Cluster client are not public in node-redis 6.3, and `defaults` replaces the whole of them. */
function defaultsOf(client: unknown): object {
  return (client as { _options?: { defaults?: object } })._options?.defaults ?? {};
}

interface Opened<C> {
  readonly client: C;
  started(): Promise<unknown>;
  close(): void;
}

/**
 * A first connection that fails is not tried again by node-redis where there are several nodes to ask (6.3.1): a
 * process that starts in the midst of a failover would stay without its store. So whoever calls next tries.
 *
 * Nor does it let go of a connection that it was still making when it was told to end: that one is ended once it is made.
 */
function opened<C extends Pick<Node, "connect" | "destroy" | "on">>(client: C): Opened<C> {
  ignoreErrors(client);
  let attempt: Promise<unknown> | undefined;
  let isClosed = false;
  const end = (): void => {
    if (isClosed) destroy(client);
  };
  client.on("connect", end);
  const started = (): Promise<unknown> => {
    attempt ??= client.connect().then(end, (error: unknown) => {
      attempt = undefined;
      throw error;
    });
    return attempt;
  };
  // Whoever calls meanwhile is told; nobody may be calling.
  started().catch(() => undefined);
  return {
    client,
    started,
    close() {
      isClosed = true;
      end();
    },
  };
}

function lifecycle({
  client,
  started,
  close,
}: Opened<Pick<Node, "isReady" | "destroy">>): Pick<RedisDriver, "started" | "isReady" | "close"> {
  return { started, isReady: () => client.isReady !== false, close };
}

function subscriberOf(client: Pick<Node, "connect" | "destroy" | "subscribe" | "on">): RedisSubscriber {
  const { started, close } = opened(client);
  return {
    async subscribe(channel, listener) {
      await started();
      await client.subscribe(channel, listener);
    },
    close,
  };
}

function destroy(client: Pick<Node, "destroy">): void {
  const end = async (): Promise<void> => client.destroy();
  // It was closed already, or never opened.
  end().catch(() => undefined);
}
