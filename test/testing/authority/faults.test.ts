import { ConfidentialClientApplication } from "@azure/msal-node";
import { describe, expect, test } from "vitest";
import {
  ADA,
  authorityWith,
  BEN,
  EXPIRED_FOR_MSAL,
  inProcessClient,
  listening,
  manualRuntime,
  NOTES_READ,
  postToken,
  signIn,
  tokensFor,
  WEB,
} from "./support.ts";

const appToken = { grant_type: "client_credentials", scope: "api://notes/.default" };

describe("failures seen through MSAL over HTTP", () => {
  test.each(["429", "500", "503"] as const)("%s reaches the caller, and nothing was spent", async (kind) => {
    const options = { refreshTokens: "one-time", lifetimes: EXPIRED_FOR_MSAL } as const;
    await listening(options, async (authority) => {
      const client = new ConfidentialClientApplication({ auth: authority.msalAuth("contoso", WEB) });
      const { account } = await signIn(authority, client);
      authority.failNext({ kind, grant: "refresh_token" });
      const request = { account: account!, scopes: [NOTES_READ] };
      await expect(client.acquireTokenSilent(request)).rejects.toMatchObject({
        errorCode: kind === "429" ? "temporarily_unavailable" : "server_error",
      });
      expect(authority.count({ outcome: kind, user: ADA })).toBe(1);
      // MSAL throttles equal requests after a 429; a new client does not know of it.
      const other = new ConfidentialClientApplication({ auth: authority.msalAuth("contoso", WEB) });
      other.getTokenCache().deserialize(client.getTokenCache().serialize());
      await expect(other.acquireTokenSilent(request)).resolves.toMatchObject({ fromCache: false });
    });
  });

  test("lost-answer: the refresh token is spent and the caller has nothing", async () => {
    const options = { refreshTokens: "one-time", lifetimes: EXPIRED_FOR_MSAL } as const;
    await listening(options, async (authority) => {
      const client = new ConfidentialClientApplication({ auth: authority.msalAuth("contoso", WEB) });
      const { account } = await signIn(authority, client);
      authority.failNext({ kind: "lost-answer", grant: "refresh_token" });
      const request = { account: account!, scopes: [NOTES_READ] };
      await expect(client.acquireTokenSilent(request)).rejects.toMatchObject({ errorCode: "network_error" });
      expect(authority.count({ outcome: "ok", delivered: false })).toBe(1);
      await expect(client.acquireTokenSilent(request)).rejects.toMatchObject({ errorCode: "invalid_grant" });
    });
  });

  test("reset: the connection breaks and nothing was spent", async () => {
    const options = { refreshTokens: "one-time", lifetimes: EXPIRED_FOR_MSAL } as const;
    await listening(options, async (authority) => {
      const client = new ConfidentialClientApplication({ auth: authority.msalAuth("contoso", WEB) });
      const { account } = await signIn(authority, client);
      authority.failNext({ kind: "reset", grant: "refresh_token" });
      const request = { account: account!, scopes: [NOTES_READ] };
      await expect(client.acquireTokenSilent(request)).rejects.toMatchObject({ errorCode: "network_error" });
      await expect(client.acquireTokenSilent(request)).resolves.toMatchObject({ fromCache: false });
      expect(authority.count({ grant: "refresh_token" })).toBe(2);
    });
  });
});

describe("failures in this process", () => {
  test("Retry-After is sent: 1 second with a 429 unless told otherwise", async () => {
    const authority = authorityWith();
    authority.failNext({ kind: "429" });
    authority.failNext({ kind: "503", retryAfterSeconds: 30 });
    authority.failNext({ kind: "500" });
    const header = async (): Promise<string | undefined> => {
      const answer = await authority.handle({
        method: "POST",
        url: "/contoso/oauth2/v2.0/token",
        headers: {},
        body: "",
      });
      return answer?.headers["retry-after"];
    };
    expect([await header(), await header(), await header()]).toEqual(["1", "30", undefined]);
  });

  test("`count`, `grant` and `user` say which calls fail", async () => {
    const authority = authorityWith();
    const { refresh_token: ada = "" } = await tokensFor(authority, ADA);
    const { refresh_token: ben = "" } = await tokensFor(authority, BEN);
    const refresh = async (token: string): Promise<number> =>
      (await postToken(authority, { grant_type: "refresh_token", refresh_token: token })).status;
    authority.failNext({ kind: "500", count: 2, grant: "refresh_token", user: ADA });
    expect((await postToken(authority, appToken)).status).toBe(200);
    expect([await refresh(ben), await refresh(ada), await refresh(ada), await refresh(ada)]).toEqual([
      200, 500, 500, 200,
    ]);
  });

  test("slow: waits in the runtime's time, then succeeds", async () => {
    const runtime = manualRuntime();
    const authority = authorityWith({ runtime });
    authority.failNext({ kind: "slow", delayMs: 5000 });
    let done = false;
    const slow = postToken(authority, appToken).then((answer) => {
      done = true;
      return answer;
    });
    await new Promise((resolve) => setImmediate(resolve));
    runtime.advance(4999);
    await new Promise((resolve) => setImmediate(resolve));
    expect(done).toBe(false);
    runtime.advance(1);
    expect((await slow).status).toBe(200);
  });

  test("the network client throws like a socket when the connection breaks", async () => {
    const authority = authorityWith();
    authority.failNext({ kind: "reset" });
    const client = inProcessClient(authority);
    await expect(
      client.acquireTokenByClientCredential({ scopes: ["api://notes/.default"] }),
    ).rejects.toThrow();
    expect(authority.count({ outcome: "reset", delivered: false })).toBe(1);
  });

  test("pause holds calls before anything happens to them, whenHeld sees them, resume lets them go", async () => {
    const authority = authorityWith({ refreshTokens: "one-time" });
    const { refresh_token: token = "" } = await tokensFor(authority);
    authority.pause();
    const held = [appToken, { grant_type: "refresh_token", refresh_token: token }].map((fields) =>
      postToken(authority, fields),
    );
    await authority.whenHeld(2);
    expect(authority.count({ grant: "client_credentials" })).toBe(0);
    authority.revokeUser(ADA);
    authority.resume();
    const answers = await Promise.all(held);
    expect(answers.map((answer) => answer.status)).toEqual([200, 400]);
    expect((await postToken(authority, appToken)).status).toBe(200);
  });

  test("reset forgets faults, the pause and the log", async () => {
    const authority = authorityWith();
    authority.failNext({ kind: "500", count: 10 });
    authority.pause();
    const held = postToken(authority, appToken);
    await authority.whenHeld(1);
    authority.reset();
    expect((await held).status).toBe(200);
    expect(authority.calls).toHaveLength(1);
  });
});

describe("the log and the issued secrets", () => {
  test("count filters by user (name or object id), tenant (name or GUID), grant, client and outcome", async () => {
    const authority = authorityWith();
    const { refresh_token: token = "" } = await tokensFor(authority);
    await postToken(authority, { grant_type: "refresh_token", refresh_token: token }, "fabrikam");
    await postToken(authority, { grant_type: "refresh_token", refresh_token: "unknown" });
    expect(authority.count({ user: ADA })).toBe(3);
    expect(authority.count({ user: authority.users[0]!.oid })).toBe(3);
    expect(authority.count({ tenant: "fabrikam" })).toBe(1);
    expect(authority.count({ tenant: authority.tenants[1]!.tenantId, grant: "refresh_token" })).toBe(1);
    expect(authority.count({ outcome: "invalid_grant", clientId: WEB })).toBe(1);
    expect(authority.count()).toBe(4);
  });

  test("the log holds nothing that was issued, and `issued` holds everything", async () => {
    const authority = authorityWith();
    const answer = await tokensFor(authority);
    await postToken(authority, {
      grant_type: "refresh_token",
      refresh_token: answer["refresh_token"] ?? "",
    });
    for (const name of ["access_token", "refresh_token", "id_token"] as const) {
      expect(authority.issued.has(answer[name] ?? "")).toBe(true);
    }
    expect(authority.issued.has("local-web-app-secret")).toBe(true);
    const log = JSON.stringify(authority.calls);
    for (const secret of authority.issued) expect(log.includes(secret)).toBe(false);
    // Three client and app secrets aside: a code, then twice an access, a refresh and an id token.
    expect(authority.issued.size).toBe(2 + 1 + 6);
  });

  test("an error answer holds nothing of the request", async () => {
    const authority = authorityWith();
    const { body } = await postToken(authority, {
      grant_type: "refresh_token",
      refresh_token: "secret-text-1",
      client_secret: "secret-text-2",
    });
    expect(JSON.stringify(body)).not.toContain("secret-text");
  });

  test("both are bounded by historyLimit", async () => {
    const authority = authorityWith({ historyLimit: 5 });
    for (let count = 0; count < 8; count += 1) await postToken(authority, appToken);
    expect(authority.calls).toHaveLength(5);
    expect(authority.issued.size).toBe(5);
  });
});
