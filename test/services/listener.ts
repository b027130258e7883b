/** The smallest server: accepts connections and says nothing. */
import { once } from "node:events";
import { connect } from "node:net";
import type { ServerOptions } from "./server.ts";

export function listenerOptions(): ServerOptions {
  return {
    name: "listener",
    program: process.execPath,
    args: ({ port }) => ["-e", `require("node:net").createServer().listen(${port}, "127.0.0.1")`],
    answers: ({ port }) => fetchNothing(port),
  };
}

/** Rejects if nobody listens there. */
export async function fetchNothing(port: number): Promise<void> {
  const socket = connect({ port, host: "127.0.0.1" });
  try {
    await once(socket, "connect");
  } finally {
    socket.destroy();
  }
}
