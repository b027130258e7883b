/** The web app as a process of its own. */
import { readFileSync } from "node:fs";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { onStop, startOrExplain, tellParent } from "../demo/child.ts";
import { readSettings, required } from "../settings.ts";
import { createWebApp } from "./app.ts";

const HOST = "127.0.0.1";

await startOrExplain(async () => {
  const server = createServer();
  // First of all, because the port may be any free one, and the app must know its own address.
  await listen(server, Number(process.env["PORT"] ?? 3000));
  const baseUrl = `http://${HOST}:${(server.address() as AddressInfo).port}`;
  const { app, close } = createWebApp({
    ...readSettings(),
    baseUrl,
    sessionPassword: readFileSync(required(process.env, "SESSION_KEY_FILE"), "utf8").trim(),
    signOutUrl: required(process.env, "SIGN_OUT_URL"),
  });
  server.on("request", app);
  onStop(async () => {
    server.close();
    server.closeAllConnections();
    await close();
  });
  console.log(`listening on ${baseUrl}`);
  tellParent({ type: "ready", origin: baseUrl });
});

function listen(server: Server, port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once("error", (error: NodeJS.ErrnoException) =>
      reject(error.code === "EADDRINUSE" ? new Error(`port ${port} is in use; choose another one`) : error),
    );
    server.listen(port, HOST, resolve);
  });
}
