/** Starts a server, prints its port, and waits to be killed. */
import { fetchNothing, listenerOptions } from "../listener.ts";
import { startServer } from "../server.ts";

const server = await startServer(listenerOptions());
await fetchNothing(server.port);
console.log(server.port);
setInterval(() => {}, 60_000);
