import { createServer, type RequestListener } from "node:http";
import type { AddressInfo } from "node:net";
import { expect, test } from "vitest";
import { createFetchTransport } from "../../src/msal/transport.ts";
import { systemRuntime } from "../../src/runtime.ts";
import { tapNetwork } from "../support/network.ts";
import { ADA, createWorld } from "../support/world.ts";

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

test("a request whose answer does not come is not sent again, also on a connection that had served before", async () => {
  const transport = createFetchTransport(systemRuntime, 30_000);
  let posts = 0;
  const answer: RequestListener = (request, response) => {
    request.resume();
    if (request.method === "GET") return void response.end("{}");
    posts += 1;
    // It has come, and been acted upon, as far as anybody knows.
    request.on("end", () => response.destroy());
  };
  await listening(answer, async (origin) => {
    await transport.sendGetRequestAsync(`${origin}/metadata`);
    const post = transport.sendPostRequestAsync(`${origin}/token`, { body: "refresh_token=r", headers: {} });
    await expect(post).rejects.toThrow();
  });
  expect(posts).toBe(1);
});

test.each(["lost-answer", "reset", "500", "503", "429"] as const)(
  "a refresh token is presented once for one call, whatever the provider does: %s",
  async (kind) => {
    const world = createWorld({ refreshTokens: "one-time" });
    const network = tapNetwork(world.authority.networkClient());
    const node = world.node({ refreshTokens: "one-time" }, { system: { networkClient: network } });
    const { account } = await node.signIn(ADA);
    const before = network.posts.length;
    world.authority.failNext({ kind, grant: "refresh_token" });
    const asked = node.client.acquireTokenSilent({ account: account!, scopes: ["api://tasks/read"] });
    await expect(asked).rejects.toMatchObject({ retryable: true });
    expect(network.posts.slice(before)).toHaveLength(1);
  },
);
