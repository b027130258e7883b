import { createServer, type RequestListener } from "node:http";
import type { AddressInfo } from "node:net";
import { expect, test } from "vitest";
import { createFetchTransport } from "../../src/msal/transport.ts";
import { systemRuntime } from "../../src/runtime.ts";

/** Answers on loopback while the work goes on. */
async function listening<R>(answer: RequestListener, work: (origin: string) => Promise<R>): Promise<R> {
  const server = createServer(answer);
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  try {
    return await work(`http://127.0.0.1:${(server.address() as AddressInfo).port}`);
  } finally {
    server.closeAllConnections();
    server.close();
  }
}

test("the transport follows no redirect, so that a secret goes to no place it was not meant for", async () => {
  const transport = createFetchTransport(systemRuntime, 30_000);
  for (const status of [301, 302, 303, 307, 308]) {
    const reached: string[] = [];
    const answer: RequestListener = (request, response) => {
      reached.push(`${request.method} ${request.url}`);
      request.resume();
      if (request.url === "/elsewhere") response.end("{}");
      else response.writeHead(status, { location: "/elsewhere" }).end();
    };
    await listening(answer, async (origin) => {
      const post = transport.sendPostRequestAsync(`${origin}/token`, {
        body: "client_secret=s",
        headers: {},
      });
      await expect(post).rejects.toThrow();
      await expect(transport.sendGetRequestAsync(`${origin}/metadata`)).rejects.toThrow();
    });
    expect(reached).toEqual(["POST /token", "GET /metadata"]);
  }
});
