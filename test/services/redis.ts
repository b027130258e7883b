/** Redis servers of their own for each test file. */
import { createClient } from "redis";
import { serverProgram } from "./programs.ts";
import { startServer, type Server } from "./server.ts";

export const redisProgram = serverProgram("Redis");

export interface RedisServer extends Server {
  readonly url: string;
}

/** A server without persistence. `TOKENKEEP_REDIS_URL` is not used here: tests stop and pause what they start. */
export async function startRedis(options: { readonly args?: readonly string[] } = {}): Promise<RedisServer> {
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
      ...(options.args ?? []),
    ],
    answers: ({ port }) => ping(`redis://127.0.0.1:${port}`),
  });
  return { ...server, url: `redis://127.0.0.1:${server.port}` };
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
