import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { localPath } from "../../src/web/local-path.ts";
import { createSignIn, type SignIn } from "../../src/web/sign-in.ts";
import { chaosStore } from "../support/chaos.ts";
import { HOUR_MS, MINUTE_MS, passTime, steerDates } from "../support/dates.ts";
import { collect } from "../support/collect.ts";
import { tapNetwork } from "../support/network.ts";
import { ADA, READ, createWorld, testKeys, type Node, type World } from "../support/world.ts";

steerDates();

const REDIRECT = "http://127.0.0.1:3000/auth/redirect";

const signInOf = (node: Node, options = {}): SignIn =>
  createSignIn({ client: node.client, redirectUri: REDIRECT, scopes: READ, ...options });

/** What the browser brings back. */
async function answerOf(world: World, url: string, user = ADA): Promise<string> {
  const { redirectUri, params } = await world.authority.authorize(url, { user });
  return `${redirectUri}?${new URLSearchParams(params).toString()}`;
}

async function begun(world: World, signIn: SignIn, request = {}) {
  const { url, flow } = await signIn.beginSignIn(request);
  return { flow, url: await answerOf(world, url), authorizeUrl: new URL(url) };
}

const changed = (url: string, name: string, value: string | undefined): string => {
  const parsed = new URL(url);
  if (value === undefined) parsed.searchParams.delete(name);
  else parsed.searchParams.set(name, value);
  return parsed.href;
};

describe("a sign-in", () => {
  test("gives the result, an account reference and the way back", async () => {
    const world = createWorld();
    const node = world.node();
    const signIn = signInOf(node);
    const { flow, url } = await begun(world, signIn, { returnTo: "/me?tab=1" });
    const { result, account, returnTo } = await signIn.completeSignIn({ flow, url });
    expect(result.metadata.saved).toBe(true);
    expect(returnTo).toBe("/me?tab=1");
    expect(JSON.parse(JSON.stringify(account))).toEqual(account);
    expect(JSON.stringify(account).length).toBeLessThan(500);
    const hit = await world.node().client.acquireTokenSilent({ account, scopes: READ });
    expect(hit.accessToken).toBe(result.accessToken);
  });

  test("uses PKCE with S256, a state and a nonce, new ones each time", async () => {
    const world = createWorld();
    const signIn = signInOf(world.node());
    const [one, two] = [await begun(world, signIn), await begun(world, signIn)];
    for (const name of ["state", "nonce", "code_challenge"]) {
      const [a, b] = [one, two].map(({ authorizeUrl }) => authorizeUrl.searchParams.get(name));
      expect(a).toMatch(/^[\w-]{22,}$/);
      expect(a).not.toBe(b);
    }
    expect(one.authorizeUrl.searchParams.get("code_challenge_method")).toBe("S256");
  });

  test("may be completed by another node than it was begun on", async () => {
    const world = createWorld();
    const { flow, url } = await begun(world, signInOf(world.node()));
    const { account } = await signInOf(world.node()).completeSignIn({ flow, url });
    expect(account.username).toBe(ADA);
  });

  test("accepts the path of the redirect, as a server behind a proxy sees it", async () => {
    const world = createWorld();
    const signIn = signInOf(world.node());
    const { flow, url } = await begun(world, signIn);
    const { pathname, search } = new URL(url);
    await signIn.completeSignIn({ flow, url: `${pathname}${search}` });
  });

  test("is sealed also where the cache is not", async () => {
    const world = createWorld();
    const signIn = signInOf(world.node({ keys: "unsealed" }));
    const { flow, url, authorizeUrl } = await begun(world, signIn);
    const state = authorizeUrl.searchParams.get("state")!;
    expect(Buffer.from(flow, "base64url").toString("latin1")).not.toContain(state);
    await signIn.completeSignIn({ flow, url });
  });

  test("fits into a cookie with twenty scopes, also where the session is sealed once more", async () => {
    const world = createWorld();
    const scopes = Array.from(
      { length: 20 },
      (_, i) => `https://graph.microsoft.com/Calendars.ReadWrite.${i}`,
    );
    const { flow } = await signInOf(world.node()).beginSignIn({ scopes, returnTo: `/${"x".repeat(100)}` });
    expect(Math.ceil((flow.length * 4) / 3) + 300).toBeLessThan(4_096);
  });

  test("that no cookie could carry is refused when it begins, and not when it ends", async () => {
    const scopes = Array.from(
      { length: 200 },
      (_, i) => `https://graph.microsoft.com/Calendars.ReadWrite.${i}`,
    );
    await expect(signInOf(createWorld().node()).beginSignIn({ scopes })).rejects.toMatchObject({
      code: "ERR_OPTION_INVALID",
    });
  });
});

describe("a flow is refused", () => {
  test.each<[string, (flow: string) => string]>([
    ["missing", () => ""],
    ["cut short", (flow) => flow.slice(0, -4)],
    ["changed", (flow) => `${flow.slice(0, 60)}${flow[60] === "A" ? "B" : "A"}${flow.slice(61)}`],
    ["made up", () => Buffer.from(JSON.stringify({ state: "x" })).toString("base64url")],
    ["far too long", (flow) => flow.repeat(20)],
    ["no text", () => undefined as never],
  ])("%s", async (_name, tamper) => {
    const world = createWorld();
    const signIn = signInOf(world.node());
    const { flow, url } = await begun(world, signIn);
    await expect(signIn.completeSignIn({ flow: tamper(flow), url })).rejects.toMatchObject({
      code: "ERR_FLOW_INVALID",
    });
    expect(world.authority.count({ grant: "authorization_code" })).toBe(0);
  });

  test("of another application", async () => {
    const world = createWorld();
    const other = world.node(
      {},
      { auth: world.authority.msalAuth("contoso", "a0000000-0000-4000-8000-00000000000b") },
    );
    const { flow } = await signInOf(other).beginSignIn();
    const signIn = signInOf(world.node());
    const { url } = await begun(world, signIn);
    await expect(signIn.completeSignIn({ flow, url })).rejects.toMatchObject({ code: "ERR_FLOW_INVALID" });
  });

  test("when it is older than its lifetime, and not before", async () => {
    const world = createWorld();
    const signIn = signInOf(world.node(), { flowTtlMs: 5 * MINUTE_MS });
    const [stale, fresh] = [await begun(world, signIn), await begun(world, signIn)];
    passTime(5 * MINUTE_MS);
    await signIn.completeSignIn(fresh);
    passTime(1);
    await expect(signIn.completeSignIn(stale)).rejects.toMatchObject({ code: "ERR_FLOW_EXPIRED" });
  });

  test("when it comes from the future", async () => {
    const world = createWorld();
    const signIn = signInOf(world.node());
    const flow = await begun(world, signIn);
    passTime(-HOUR_MS);
    await expect(signIn.completeSignIn(flow)).rejects.toMatchObject({ code: "ERR_FLOW_EXPIRED" });
  });

  test("when it has been completed before, on any node", async () => {
    const world = createWorld();
    const [a, b] = [signInOf(world.node()), signInOf(world.node())];
    const flow = await begun(world, a);
    await a.completeSignIn(flow);
    for (const signIn of [a, b, signInOf(world.node())]) {
      await expect(signIn.completeSignIn(flow)).rejects.toMatchObject({ code: "ERR_FLOW_REPLAYED" });
    }
    expect(world.authority.count({ grant: "authorization_code" })).toBe(1);
  });

  test("by all but one of those who complete it at once", async () => {
    const world = createWorld();
    const flow = await begun(world, signInOf(world.node()));
    const all = await Promise.allSettled(
      Array.from({ length: 6 }, () => signInOf(world.node()).completeSignIn(flow)),
    );
    expect(all.filter((each) => each.status === "fulfilled")).toHaveLength(1);
    expect(world.authority.count({ grant: "authorization_code" })).toBe(1);
  });

  test("under a key id that is not here yet: that is not the browser's fault, and may be tried again", async () => {
    const world = createWorld();
    const flow = await begun(world, signInOf(world.node({ keys: testKeys("k2", 9) })));
    await expect(signInOf(world.node()).completeSignIn(flow)).rejects.toMatchObject({
      code: "ERR_KEY_UNKNOWN",
      retryable: true,
    });
  });
});

describe("a redirect is refused", () => {
  test.each<[string, (url: string) => string, string]>([
    ["with another state", (url) => changed(url, "state", "x".repeat(22)), "ERR_STATE_MISMATCH"],
    ["without a state", (url) => changed(url, "state", undefined), "ERR_STATE_MISMATCH"],
    ["with an empty state", (url) => changed(url, "state", ""), "ERR_STATE_MISMATCH"],
    ["at another path", (url) => url.replace("/auth/redirect", "/other"), "ERR_STATE_MISMATCH"],
    ["that is no URL", () => "http://[", "ERR_STATE_MISMATCH"],
    ["without a code", (url) => changed(url, "code", undefined), "ERR_AUTHORIZATION_FAILED"],
  ])("%s", async (_name, tamper, code) => {
    const world = createWorld();
    const signIn = signInOf(world.node());
    const { flow, url } = await begun(world, signIn);
    await expect(signIn.completeSignIn({ flow, url: tamper(url) })).rejects.toMatchObject({ code });
    expect(world.authority.count({ grant: "authorization_code" })).toBe(0);
    // Nothing was spent: the right one still works.
    await signIn.completeSignIn({ flow, url });
  });

  test("that answers another browser's flow", async () => {
    const world = createWorld();
    const signIn = signInOf(world.node());
    const [mine, theirs] = [await begun(world, signIn), await begun(world, signIn)];
    await expect(signIn.completeSignIn({ flow: mine.flow, url: theirs.url })).rejects.toMatchObject({
      code: "ERR_STATE_MISMATCH",
    });
  });

  test("in which the provider says no; what it says is safe to log", async () => {
    const world = createWorld();
    const signIn = signInOf(world.node());
    const { flow, url } = await begun(world, signIn);
    const refusal = changed(
      changed(changed(url, "code", undefined), "error", "access_denied\r\nfake: log"),
      "error_description",
      "no\u001b[31m",
    );
    const error = await signIn
      .completeSignIn({ flow, url: refusal })
      .catch((thrown: unknown) => thrown as Error);
    expect(error).toMatchObject({ code: "ERR_AUTHORIZATION_FAILED" });
    expect((error as Error).message).toContain("access_denied");
    expect(`${(error as Error).message}${String((error as Error).cause)}`).not.toMatch(/[\r\n\u001b]/);
  });

  test("an error without the right state is not believed", async () => {
    const world = createWorld();
    const signIn = signInOf(world.node());
    const { flow } = await begun(world, signIn);
    await expect(
      signIn.completeSignIn({ flow, url: `${REDIRECT}?error=access_denied` }),
    ).rejects.toMatchObject({
      code: "ERR_STATE_MISMATCH",
    });
  });

  test("with a code that belongs to another verifier", async () => {
    const world = createWorld();
    const node = world.node();
    const signIn = signInOf(node);
    const [mine, theirs] = [await begun(world, signIn), await begun(world, signIn)];
    const injected = changed(mine.url, "code", new URL(theirs.url).searchParams.get("code")!);
    await expect(signIn.completeSignIn({ flow: mine.flow, url: injected })).rejects.toMatchObject({
      errorCode: "invalid_grant",
    });
    expect(await collect(node.cache.accounts())).toEqual([]);
  });

  test("whose id token has another nonce", async () => {
    const world = createWorld();
    const network = tapNetwork(world.authority.networkClient());
    const node = world.node({}, { system: { networkClient: network } });
    const signIn = signInOf(node);
    const other: unknown[] = [];
    network.answer = (_request, body) => (other.push(body["id_token"]), body);
    await signIn.completeSignIn(await begun(world, signIn));
    await node.client.removeAccount((await collect(node.cache.accounts()))[0]!);
    network.answer = (_request, body) => ({ ...body, id_token: other[0] });
    await expect(signIn.completeSignIn(await begun(world, signIn))).rejects.toMatchObject({
      errorCode: "nonce_mismatch",
    });
    expect(await collect(node.cache.accounts())).toEqual([]);
  });
});

test("a store that is down when the flow would be spent leaves the code unspent, and may be tried again", async () => {
  const world = createWorld();
  const link = chaosStore(world.store);
  const signIn = signInOf(world.node({ store: link }));
  const flow = await begun(world, signIn);
  link.fail("all", { times: Infinity });
  await expect(signIn.completeSignIn(flow)).rejects.toMatchObject({
    code: "ERR_STORE_UNAVAILABLE",
    retryable: true,
  });
  expect(world.authority.count({ grant: "authorization_code" })).toBe(0);
  link.heal();
  await signIn.completeSignIn(flow);
});

describe("the way back", () => {
  test("never leads to another site, whatever is asked for", () => {
    const evil = fc.oneof(
      fc.string({ unit: "binary" }),
      fc.webUrl(),
      fc
        .tuple(
          fc.constantFrom(
            "/",
            "//",
            "/\\",
            "\\",
            "/\t/",
            "/./",
            "/..//",
            " //",
            "/%2f",
            "https:",
            "javascript:",
          ),
          fc.webUrl(),
        )
        .map(([prefix, url]) => `${prefix}${url.replace(/^https?:/, "")}`),
    );
    fc.assert(
      fc.property(evil, (asked) => {
        const path = localPath(asked);
        expect(path.startsWith("/")).toBe(true);
        expect(new URL(path, "https://app.example/x").origin).toBe("https://app.example");
      }),
      { numRuns: 500 },
    );
  });

  test.each([
    "//evil.example",
    "/\\evil.example",
    "https://evil.example",
    "javascript:alert(1)",
    "/\t/evil.example",
    "",
  ])("%o becomes the front page", (asked) => {
    expect(localPath(asked)).toBe("/");
  });

  test("is kept where it is a path of this site", () => {
    expect(localPath("/a/b?c=d#e")).toBe("/a/b?c=d#e");
  });
});

test.each<[string, object]>([
  ["client", { redirectUri: REDIRECT }],
  ["redirectUri", { client: createWorld().node().client, redirectUri: "/auth" }],
  ["flowTtlMs", { client: createWorld().node().client, redirectUri: REDIRECT, flowTtlMs: 0 }],
])("createSignIn names a wrong option: %s", (option, options) => {
  expect(() => createSignIn(options as never)).toThrow(expect.objectContaining({ option }));
});
