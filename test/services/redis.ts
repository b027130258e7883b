/** Redis servers of their own for each test file. */
import { createClient } from "redis";
import { serverProgram } from "./programs.ts";
import { startServer, type Server } from "./server.ts";

export const redisProgram = serverProgram("Redis");

export interface RedisServer extends Server {
  readonly url: string;
}

/** A server without persistence. What `TOKENKEEP_REDIS_URL` names is tested in `redis.test.ts` alone: others stop what they start. */
export async function startRedis(
  options: { readonly args?: readonly string[]; readonly password?: string } = {},
): Promise<RedisServer> {
  const { password } = options;
  const login = password === undefined ? "" : `:${encodeURIComponent(password)}@`;
  const urlOf = (port: number): string => `redis://${login}127.0.0.1:${port}`;
  const server = await startServer({
    name: "redis",
    program: redisProgram ?? "redis-server",
    args: ({ port, folder }) => [
      "--port",
      `${port}`,
      "--bind",
      "127.0.0.1",
      "--dir",
      folder,
      "--save",
      "",
      "--appendonly",
      "no",
      ...(password === undefined ? [] : ["--requirepass", password, "--masterauth", password]),
      ...(options.args ?? []),
    ],
    answers: ({ port }) => ping(urlOf(port)),
  });
  return { ...server, url: urlOf(server.port) };
}

/** Resolves when a master has a replica that is in step with it. */
export async function replicated(url: string): Promise<void> {
  const client = createClient({ url });
  client.on("error", () => undefined);
  await client.connect();
  try {
    // WAIT speaks of everything the server had done before this connection's last command.
    await client.ping();
    while (Number(await client.sendCommand(["WAIT", "1", "1000"])) === 0);
  } finally {
    client.destroy();
  }
}

/** Answers once the server has loaded and takes commands. */
async function ping(url: string): Promise<void> {
  const client = createClient({ url, socket: { reconnectStrategy: false }, disableOfflineQueue: true });
  client.on("error", () => undefined);
  await client.connect();
  try {
    await client.ping();
  } finally {
    client.destroy();
  }
}
