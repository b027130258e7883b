/** A Redis Cluster: three masters, and a replica of each. */
import { createClient } from "redis";
import { replicated, startRedis, type RedisServer } from "./redis.ts";

export interface RedisCluster {
  readonly nodes: readonly RedisServer[];
  readonly ports: readonly number[];
  /** Empties every master. */
  flush(): Promise<void>;
  /** The server that is master of a key's slot now. */
  masterOf(key: string): Promise<RedisServer>;
  /** Resolves when the replica of a master has what the master has. */
  replicated(master: RedisServer): Promise<void>;
  stop(): Promise<void>;
}

const MASTERS = 3;
const SLOTS = 16_384;

/**
 * @param nodeTimeoutMs after which a silent master is replaced. Default 15,000, Redis's own: on a busy machine a
 * cluster that is impatient loses masters that are well.
 */
export async function startRedisCluster(nodeTimeoutMs = 15_000): Promise<RedisCluster> {
  const nodes: RedisServer[] = [];
  const stop = async (): Promise<void> => void (await Promise.all(nodes.map((node) => node.stop())));
  try {
    for (let count = 0; count < MASTERS * 2; count += 1) {
      nodes.push(await startRedis({ args: [...CLUSTER_ARGS, "--cluster-node-timeout", `${nodeTimeoutMs}`] }));
    }
    await form(nodes);
  } catch (error) {
    await stop();
    throw error;
  }
  return {
    nodes,
    ports: nodes.map(({ port }) => port),
    async flush() {
      for (const node of nodes) {
        await ask(node, async (send) => {
          if ((await roleOf(send)) === "master") await send(["FLUSHALL"]);
        });
      }
    },
    async masterOf(key) {
      for (const node of nodes) {
        const owner = await ask(node, (send) => ownerOf(send, key)).catch(() => undefined);
        const found = nodes.find(({ port }) => port === owner);
        if (found) return found;
      }
      throw new Error("no node answers");
    },
    replicated: ({ url }) => replicated(url),
    stop,
  };
}

const CLUSTER_ARGS = [
  "--cluster-enabled",
  "yes",
  "--cluster-config-file",
  "nodes.conf",
  "--repl-diskless-sync-delay",
  "0",
];

type Send = (args: string[]) => Promise<unknown>;

async function form(nodes: readonly RedisServer[]): Promise<void> {
  const masters = nodes.slice(0, MASTERS);
  const share = Math.ceil(SLOTS / MASTERS);
  for (const [index, node] of masters.entries()) {
    const last = Math.min(SLOTS, (index + 1) * share) - 1;
    await ask(node, async (send) => {
      await send(["CLUSTER", "ADDSLOTSRANGE", `${index * share}`, `${last}`]);
      await send(["CLUSTER", "SET-CONFIG-EPOCH", `${index + 1}`]);
    });
  }
  const [first] = masters as [RedisServer];
  for (const node of nodes.slice(1)) {
    await ask(node, (send) => send(["CLUSTER", "MEET", "127.0.0.1", `${first.port}`]));
  }
  const ids = await Promise.all(masters.map((node) => ask(node, (send) => send(["CLUSTER", "MYID"]))));
  for (const [index, node] of nodes.slice(MASTERS).entries()) {
    await until(() => ask(node, (send) => send(["CLUSTER", "REPLICATE", String(ids[index])])));
  }
  for (const node of nodes) await until(() => ask(node, assertWhole));
}

async function assertWhole(send: Send): Promise<void> {
  const info = String(await send(["CLUSTER", "INFO"]));
  const lines = String(await send(["CLUSTER", "NODES"]))
    .trim()
    .split("\n");
  const replicas = lines.filter((line) => line.includes("slave"));
  if (!info.includes("cluster_state:ok") || replicas.length < MASTERS) throw new Error("not yet");
  if (lines.some((line) => line.includes("fail") || line.includes("handshake"))) throw new Error("not yet");
  const replication = String(await send(["INFO", "replication"]));
  const isLinked = replication.includes("role:master") || replication.includes("master_link_status:up");
  if (!isLinked) throw new Error("not yet");
}

async function roleOf(send: Send): Promise<string> {
  const [role] = (await send(["ROLE"])) as [unknown];
  return String(role);
}

async function ownerOf(send: Send, key: string): Promise<number | undefined> {
  const slot = Number(await send(["CLUSTER", "KEYSLOT", key]));
  for (const line of String(await send(["CLUSTER", "NODES"]))
    .trim()
    .split("\n")) {
    const [, address = "", flags = "", , , , , , ...ranges] = line.split(" ");
    if (!flags.includes("master") || flags.includes("fail")) continue;
    const holds = ranges.some((range) => {
      const [from, to = from] = range.split("-").map(Number);
      return from !== undefined && to !== undefined && slot >= from && slot <= to;
    });
    if (holds) return Number(/:(\d+)@/.exec(address)?.[1]);
  }
  return undefined;
}

async function ask<R>(node: RedisServer, work: (send: Send) => Promise<R>): Promise<R> {
  const client = createClient({ url: node.url, socket: { reconnectStrategy: false } });
  client.on("error", () => undefined);
  await client.connect();
  try {
    return await work((args) => client.sendCommand(args));
  } finally {
    client.destroy();
  }
}

/** Until gossip has spread: a node has to be known before it can be anybody's replica. */
async function until(work: () => Promise<unknown>): Promise<void> {
  for (let attempt = 0; ; attempt += 1) {
    try {
      return void (await work());
    } catch (error) {
      if (attempt === 400) throw error;
      await new Promise((resolve) => setTimeout(resolve, 25));
    }
  }
}
