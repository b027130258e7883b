/** Just enough of the Redis protocol to set up a server without a client library. */
import { once } from "node:events";
import { connect as connectTcp, type Socket } from "node:net";
import { connect as connectTls } from "node:tls";

/** Where, and how. */
export interface RespTarget {
  readonly port: number;
  readonly ca?: string;
  /** `AUTH` arguments. */
  readonly auth?: readonly string[];
}

/** One command on a connection of its own. @returns the raw answer. @throws {Error} for an error reply. */
export async function command(target: RespTarget, ...args: readonly (string | number)[]): Promise<string> {
  const [answer] = await commands(target, [args]);
  return answer ?? "";
}

/** Several commands on one connection, one after the other. */
export async function commands(
  target: RespTarget,
  list: readonly (readonly (string | number)[])[],
): Promise<string[]> {
  const address = { port: target.port, host: "127.0.0.1" };
  const socket =
    target.ca === undefined
      ? connectTcp(address)
      : connectTls({ ...address, ca: target.ca, servername: "localhost" });
  try {
    await once(socket, target.ca === undefined ? "connect" : "secureConnect");
    const answers: string[] = [];
    const all = target.auth === undefined ? list : [["AUTH", ...target.auth], ...list];
    for (const args of all) answers.push(await exchange(socket, args));
    return target.auth === undefined ? answers : answers.slice(1);
  } finally {
    socket.destroy();
  }
}

async function exchange(socket: Socket, args: readonly (string | number)[]): Promise<string> {
  const parts = args.map((arg) => `$${Buffer.byteLength(String(arg))}\r\n${arg}\r\n`);
  socket.write(`*${args.length}\r\n${parts.join("")}`);
  let answer = "";
  while (!isWhole(answer)) {
    const [chunk] = (await once(socket, "data")) as [Buffer];
    answer += chunk.toString("latin1");
  }
  if (answer.startsWith("-")) throw new Error(`${args[0]}: ${answer.slice(1).trim()}`);
  return answer.startsWith("$") ? answer.slice(answer.indexOf("\r\n") + 2, -2) : answer.slice(1).trim();
}

/** Whole answers end in CRLF; a bulk string says how long it is. Arrays are not taken apart. */
function isWhole(answer: string): boolean {
  if (!answer.endsWith("\r\n")) return false;
  if (!answer.startsWith("$")) return true;
  const head = answer.indexOf("\r\n");
  const length = Number(answer.slice(1, head));
  return length < 0 || answer.length >= head + 2 + length + 2;
}
