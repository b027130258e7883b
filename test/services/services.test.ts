import { createConnection, createServer, type Socket } from "node:net";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { createClient } from "redis";
import { afterEach, describe, expect, test } from "vitest";
import { startFaultProxy, type FaultProxy } from "./fault-proxy.ts";
import { redisProgram, startRedis } from "./redis.ts";
import { freePort, startServer } from "./server.ts";

const closing: (() => Promise<unknown> | void)[] = [];
afterEach(async () => {
  for (const close of closing.splice(0).toReversed()) await close();
});

/** A server that says back what it hears, and a proxy before it. */
async function echo(): Promise<{ proxy: FaultProxy; heard: string[]; dial(): Promise<Socket> }> {
  const heard: string[] = [];
  const server = createServer((socket) =>
    socket
      .on("error", () => undefined)
      .on("data", (bytes) => {
        heard.push(bytes.toString());
        socket.write(bytes);
      }),
  );
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  closing.push(() => void server.close());
  const proxy = await startFaultProxy((server.address() as { port: number }).port);
  closing.push(() => proxy.close());
  return {
    proxy,
    heard,
    async dial() {
      const socket = createConnection(proxy.port, "127.0.0.1");
      socket.on("error", () => undefined);
      closing.push(() => void socket.destroy());
      await once(socket, "connect");
      return socket;
    },
  };
}

async function say(socket: Socket, text: string): Promise<string> {
  socket.write(text);
  const [bytes] = (await once(socket, "data")) as [Buffer];
  return bytes.toString();
}

describe("the fault proxy", () => {
  test("passes bytes both ways while there is no fault, and late ones with a delay", async () => {
    const { proxy, dial } = await echo();
    const socket = await dial();
    expect(await say(socket, "hello")).toBe("hello");
    proxy.set({ kind: "delay", ms: 5 });
    expect(await say(socket, "late")).toBe("late");
  });

  test("half-open: the server hears, the client does not, and healing cuts the link", async () => {
    const { proxy, heard, dial } = await echo();
    const socket = await dial();
    proxy.set({ kind: "half-open" });
    socket.write("one way");
    await expect.poll(() => heard.join("")).toBe("one way");
    const closed = once(socket, "close");
    proxy.heal();
    await closed;
    expect(socket.bytesRead).toBe(0);
  });

  test("blackhole: nobody hears anything, and the connection stays", async () => {
    const { proxy, heard, dial } = await echo();
    const socket = await dial();
    proxy.set({ kind: "blackhole" });
    socket.write("into the void");
    await expect.poll(() => proxy.received()).toBe(13);
    expect(heard).toEqual([]);
    expect(proxy.connections()).toBe(1);
  });

  test("cut: the client gets the beginning of a reply and then an end", async () => {
    const { proxy, dial } = await echo();
    const socket = await dial();
    proxy.set({ kind: "cut", afterBytes: 3 });
    const closed = once(socket, "close");
    const got: Buffer[] = [];
    socket.on("data", (bytes) => got.push(bytes));
    socket.write("abcdef");
    await closed;
    expect(Buffer.concat(got).toString()).toBe("abc");
  });

  test("refuse: there is no connection, until it heals", async () => {
    const { proxy, dial } = await echo();
    proxy.set({ kind: "refuse" });
    await expect(dial().then((socket) => say(socket, "hello"))).rejects.toThrow();
    proxy.heal();
    expect(await say(await dial(), "again")).toBe("again");
  });
});

test("a server that does not start says what it printed, and leaves no folder", async () => {
  let folder = "";
  const starting = startServer({
    name: "none",
    program: process.execPath,
    args: (place) => {
      folder = place.folder;
      return ["-e", "console.error('out of luck'); process.exit(3)"];
    },
    answers: () => Promise.reject(new Error("not yet")),
  });
  await expect(starting).rejects.toThrow(/ended with 3[^]*out of luck/);
  expect(existsSync(folder)).toBe(false);
});

test("a free port leaves room for a bus port", async () => {
  const port = await freePort();
  expect(port).toBeLessThan(55_536);
});

describe.skipIf(!redisProgram)("a Redis server", () => {
  test("answers, is killed, comes back on its port, and is gone after stop", async () => {
    const server = await startRedis();
    closing.push(() => server.stop());
    const ask = async (): Promise<string> => {
      const client = createClient({ url: server.url, socket: { reconnectStrategy: false } });
      client.on("error", () => undefined);
      await client.connect();
      const answer = await client.ping();
      client.destroy();
      return answer;
    };
    expect(await ask()).toBe("PONG");
    await server.kill();
    await expect(ask()).rejects.toThrow();
    await server.restart();
    expect(await ask()).toBe("PONG");
    await server.stop();
    await expect(ask()).rejects.toThrow();
    expect(existsSync(server.folder)).toBe(false);
  });
});
