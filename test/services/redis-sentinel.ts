/** A master with a replica, watched by three Sentinels. */
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { createClient } from "redis";
import { serverProgram } from "./programs.ts";
import { replicated, startRedis, type RedisServer } from "./redis.ts";
import { startServer, type Server } from "./server.ts";

export const sentinelProgram = serverProgram("Redis Sentinel");

export interface RedisSentinel {
  readonly name: string;
  readonly ports: readonly number[];
  readonly servers: readonly RedisServer[];
  /** The server that the Sentinels call master now. */
  master(): Promise<RedisServer>;
  /** Resolves when they call another one master than `before`. */
  failedOver(before: RedisServer): Promise<RedisServer>;
  /** Resolves when the replica has what the master has. */
  replicated(master: RedisServer): Promise<void>;
  stop(): Promise<void>;
}

const NAME = "mymaster";
const SENTINELS = 3;

export async function startRedisSentinel({
  password,
}: { readonly password?: string } = {}): Promise<RedisSentinel> {
  const login = password === undefined ? {} : { password };
  const started: Server[] = [];
  const stop = async (): Promise<void> => void (await Promise.all(started.map((server) => server.stop())));
  try {
    const master = await startRedis({ ...login, args: ["--repl-diskless-sync-delay", "0"] });
    started.push(master);
    const replica = await startRedis({ ...login, args: ["--replicaof", "127.0.0.1", `${master.port}`] });
    started.push(replica);
    const sentinels: Server[] = [];
    for (let count = 0; count < SENTINELS; count += 1) {
      const sentinel = await startSentinel(master.port, password);
      started.push(sentinel);
      sentinels.push(sentinel);
    }
    const servers = [master, replica];
    const ports = sentinels.map(({ port }) => port);
    const current = async (): Promise<RedisServer> => {
      for (const port of ports) {
        const [, owner] = ((await ask(port, ["SENTINEL", "GET-MASTER-ADDR-BY-NAME", NAME]).catch(() => [])) ??
          []) as string[];
        const found = servers.find((server) => server.port === Number(owner));
        if (found) return found;
      }
      throw new Error("no Sentinel answers");
    };
    await until(async () => {
      for (const port of ports) {
        const [state] = (await ask(port, ["SENTINEL", "MASTERS"])) as Record<string, string>[] | string[][];
        const fields = Array.isArray(state) ? pairs(state) : (state ?? {});
        if (fields["num-slaves"] !== "1" || fields["num-other-sentinels"] !== `${SENTINELS - 1}`) {
          throw new Error("not yet");
        }
      }
    });
    return {
      name: NAME,
      ports,
      servers,
      master: current,
      async failedOver(before) {
        let now = before;
        await until(async () => {
          now = await current();
          if (now.port === before.port) throw new Error("not yet");
        });
        return now;
      },
      replicated: ({ url }) => replicated(url),
      stop,
    };
  } catch (error) {
    await stop();
    throw error;
  }
}

function startSentinel(masterPort: number, password?: string): Promise<Server> {
  return startServer({
    name: "sentinel",
    program: sentinelProgram ?? "redis-sentinel",
    prepare: ({ port, folder }) =>
      writeFileSync(
        join(folder, "sentinel.conf"),
        [
          `port ${port}`,
          "bind 127.0.0.1",
          `dir ${folder}`,
          `sentinel monitor ${NAME} 127.0.0.1 ${masterPort} 2`,
          `sentinel down-after-milliseconds ${NAME} 1000`,
          `sentinel failover-timeout ${NAME} 3000`,
          ...(password === undefined ? [] : [`sentinel auth-pass ${NAME} "${password}"`]),
        ].join("\n"),
      ),
    args: ({ folder }) => [join(folder, "sentinel.conf")],
    answers: ({ port }) => ask(port, ["PING"]),
  });
}

function pairs(flat: readonly string[]): Record<string, string> {
  const found: Record<string, string> = {};
  for (let at = 0; at + 1 < flat.length; at += 2) found[String(flat[at])] = String(flat[at + 1]);
  return found;
}

async function ask(port: number, args: string[]): Promise<unknown> {
  const client = createClient({ url: `redis://127.0.0.1:${port}`, socket: { reconnectStrategy: false } });
  client.on("error", () => undefined);
  await client.connect();
  try {
    return await client.sendCommand(args);
  } finally {
    client.destroy();
  }
}

async function until(work: () => Promise<unknown>): Promise<void> {
  for (let attempt = 0; ; attempt += 1) {
    try {
      return void (await work());
    } catch (error) {
      if (attempt === 800) throw error;
      await new Promise((resolve) => setTimeout(resolve, 25));
    }
  }
}
