/** The authority on a loopback port: plain HTTP, for this machine only. */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { OptionsError } from "../../errors.ts";
import { jsonAnswer, type AuthorityAnswer, type AuthorityRequest } from "./context.ts";

/** Where to listen. */
export interface ListenOptions {
  /** Default 0: any free port. */
  readonly port?: number;
  /** `127.0.0.1` (default), `::1` or `localhost`. Anything else is refused: everybody can sign in here. */
  readonly host?: string;
}

/** A listening server. */
export interface HttpListener {
  /** E.g. `http://127.0.0.1:41234`. */
  readonly origin: string;
  /** Breaks open connections and frees the port. */
  readonly close: () => Promise<void>;
}

const LOOPBACK: ReadonlySet<string> = new Set(["127.0.0.1", "::1", "localhost"]);
const MAX_BODY_BYTES = 256 * 1024;

/** Serves `handle`; where it gives `undefined` the connection is broken without an answer. */
export async function listenHttp(
  handle: (request: AuthorityRequest) => Promise<AuthorityAnswer | undefined>,
  options: ListenOptions,
): Promise<HttpListener> {
  const host = options.host ?? "127.0.0.1";
  if (!LOOPBACK.has(host)) throw new OptionsError("host", "must be a loopback address");
  const server = createServer((request, response) => void serve(handle, request, response));
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    server.listen(options.port ?? 0, host, resolve);
  });
  const { port } = server.address() as AddressInfo;
  return {
    origin: `http://${host.includes(":") ? `[${host}]` : host}:${port}`,
    close: () => closeServer(server),
  };
}

function closeServer(server: Server): Promise<void> {
  return new Promise((resolve) => {
    server.close(() => resolve());
    server.closeAllConnections();
  });
}

async function serve(
  handle: (request: AuthorityRequest) => Promise<AuthorityAnswer | undefined>,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  try {
    const body = await readBody(request);
    const answer =
      body === undefined
        ? jsonAnswer(413, { error: "invalid_request" })
        : await handle({
            method: request.method ?? "GET",
            url: request.url ?? "/",
            headers: singleHeaders(request),
            body,
          });
    if (answer === undefined) request.socket.destroy();
    else response.writeHead(answer.status, { ...answer.headers }).end(answer.body);
  } catch {
    // The cause may hold what the request carried; there is nobody to tell it to.
    if (response.headersSent) request.socket.destroy();
    else response.writeHead(500, { "content-type": "application/json" }).end('{"error":"server_error"}');
  }
}

function singleHeaders(request: IncomingMessage): Readonly<Record<string, string | undefined>> {
  return Object.fromEntries(
    Object.entries(request.headers).map(([name, value]) => [
      name,
      Array.isArray(value) ? value.join(", ") : value,
    ]),
  );
}

async function readBody(request: IncomingMessage): Promise<string | undefined> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    bytes += chunk.byteLength;
    if (bytes > MAX_BODY_BYTES) return undefined;
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString("utf8");
}
