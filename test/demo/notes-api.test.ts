import { createServer, type RequestListener } from "node:http";
import type { AddressInfo } from "node:net";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { startServices, type Services } from "../../examples/demo/services.ts";
import { fetchProfile } from "../../examples/notes-api/client.ts";
import { createConfidentialClient, createTokenCache } from "../../src/index.ts";
import { createLocalAuthority, type LocalAuthority } from "../../src/testing/index.ts";
import { ADA, REDIRECT_URI, WEB } from "../support/world.ts";

const READ = "api://notes/read";
let services: Services;

beforeAll(async () => {
  services = await startServices(3600);
});
afterAll(() => services.close());

async function tokenFrom(authority: LocalAuthority, scope: string): Promise<string> {
  const client = createConfidentialClient({
    auth: authority.msalAuth("contoso", WEB),
    system: { networkClient: authority.networkClient() },
    tokenCache: createTokenCache<never>(),
  });
  const request = { scopes: [scope], redirectUri: REDIRECT_URI };
  const { params } = await authority.authorize(await client.getAuthCodeUrl(request), { user: ADA });
  return (await client.acquireTokenByCode({ ...request, code: params["code"] ?? "" })).accessToken;
}

const call = (authorization: string): Promise<Response> =>
  fetch(`${services.notesApiUrl}/profile`, { headers: { authorization, "x-caller": "test" } });

describe("the notes API", () => {
  test("tells the user of a good token who they are, and counts the calls by caller", async () => {
    const token = await tokenFrom(services.authority, READ);
    await call(`Bearer ${token}`);
    const answer = await call(`Bearer ${token}`);
    expect(await answer.json()).toMatchObject({ name: "Ada Palmer", username: ADA, calls: { test: 2 } });
  });

  const bad: readonly (readonly [string, () => Promise<string>, string])[] = [
    ["no token", () => Promise.resolve(""), "form"],
    ["a token for another API", () => tokenFrom(services.authority, "api://tasks/read"), "audience"],
    ["a token without the scope", () => tokenFrom(services.authority, "api://notes/write"), "scope"],
    ["a token of another authority", () => tokenFrom(createLocalAuthority(), READ), "key"],
    [
      "a token whose signature was changed",
      async () => forged(await tokenFrom(services.authority, READ)),
      "signature",
    ],
    ["an expired token", expired, "expired"],
  ];
  test.each(bad)("refuses %s", async (_what, token, check) => {
    const text = await token();
    const answer = await call(text && `Bearer ${text}`);
    expect(answer.status).toBe(401);
    expect(answer.headers.get("www-authenticate")).toBe('Bearer error="invalid_token"');
    const { error } = (await answer.json()) as { error: string };
    expect(error).toBe(`access token refused: ${check}`);
  });
});

/** Still of the right form: the last character has bits that must be zero, so the first one is changed. */
const forged = (token: string): string => {
  const start = token.lastIndexOf(".") + 1;
  return token.slice(0, start) + (token[start] === "A" ? "B" : "A") + token.slice(start + 1);
};

async function expired(): Promise<string> {
  services.authority.setLifetimes({ accessTokenSeconds: 0 });
  try {
    return await tokenFrom(services.authority, READ);
  } finally {
    services.authority.setLifetimes({ accessTokenSeconds: 3600 });
  }
}

describe("its client", () => {
  async function against(handler: RequestListener, work: (apiUrl: string) => Promise<void>): Promise<void> {
    const server = createServer(handler);
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    try {
      await work(`http://127.0.0.1:${(server.address() as AddressInfo).port}`);
    } finally {
      server.close();
      server.closeAllConnections();
    }
  }

  /** Says which tokens were asked for. */
  function source(): { asked: boolean[]; acquire: (force: boolean) => Promise<{ accessToken: string }> } {
    const asked: boolean[] = [];
    const acquire = async (force: boolean): Promise<{ accessToken: string }> => {
      asked.push(force);
      return { accessToken: force ? "new" : "cached" };
    };
    return { asked, acquire };
  }

  test("asks once for a new token when the API refuses the cached one", () =>
    against(
      (req, res) => res.writeHead(req.headers.authorization === "Bearer new" ? 200 : 401).end("{}"),
      async (apiUrl) => {
        const { asked, acquire } = source();
        const { token } = await fetchProfile({ apiUrl, caller: "test", acquire });
        expect(token.accessToken).toBe("new");
        expect(asked).toEqual([false, true]);
      },
    ));

  test("does not go on for ever when the API refuses every token", () =>
    against(
      (_req, res) => res.writeHead(401).end(),
      async (apiUrl) => {
        const { asked, acquire } = source();
        const calling = fetchProfile({ apiUrl, caller: "test", acquire });
        await expect(calling).rejects.toMatchObject({ statusCode: 502 });
        expect(asked).toEqual([false, true]);
      },
    ));
});
