import { describe, expect, test } from "vitest";
import { chaosStore } from "../support/chaos.ts";
import { collect } from "../support/collect.ts";
import { tapNetwork } from "../support/network.ts";
import { settle } from "../support/settle.ts";
import { ADA, READ, REDIRECT_URI, createWorld, type Node, type World } from "../support/world.ts";

async function codeFor(world: World, node: Node, user = ADA): Promise<string> {
  const url = await node.client.getAuthCodeUrl({ scopes: READ, redirectUri: REDIRECT_URI });
  const answer = await world.authority.authorize(url, { user });
  return answer.params["code"]!;
}

describe("a code", () => {
  test("whose claim was answered too late is redeemed all the same, and still by nobody else", async () => {
    const world = createWorld();
    const link = chaosStore(world.store);
    const node = world.node({ store: link, storeBudgetMs: { read: 50, write: 50 } });
    const request = { code: await codeFor(world, node), scopes: READ, redirectUri: REDIRECT_URI };
    const claim = link.holdAfter("lease");
    await node.client.acquireTokenByCode(request);
    claim.open();
    await settle();
    await expect(world.node().client.acquireTokenByCode(request)).rejects.toMatchObject({
      code: "ERR_CODE_REDEEMED",
    });
    expect(world.authority.count({ outcome: "invalid_grant" })).toBe(0);
  });

  test("handed in several times at once is redeemed once, and all get the answer", async () => {
    const world = createWorld();
    const node = world.node();
    const code = await codeFor(world, node);
    const request = { code, scopes: READ, redirectUri: REDIRECT_URI };
    const results = await Promise.all(
      Array.from({ length: 10 }, () => node.client.acquireTokenByCode({ ...request })),
    );
    expect(world.authority.count({ grant: "authorization_code" })).toBe(1);
    expect(new Set(results.map((result) => result.accessToken)).size).toBe(1);
  });

  test("of a second sign-in adds to what the user has", async () => {
    const world = createWorld();
    const [a, b] = [world.node(), world.node()];
    const { account, accessToken } = await a.signIn(ADA, ["User.Read"]);
    await b.signIn(ADA, READ);
    const hit = await a.client.acquireTokenSilent({ account: account!, scopes: ["User.Read"] });
    expect(hit.accessToken).toBe(accessToken);
    expect(world.authority.count({ grant: "refresh_token" })).toBe(0);
  });

  test("that the provider refuses leaves nothing behind", async () => {
    const world = createWorld();
    const node = world.node();
    const request = { code: "wrong", scopes: READ, redirectUri: REDIRECT_URI };
    await expect(node.client.acquireTokenByCode(request)).rejects.toMatchObject({
      errorCode: "invalid_grant",
    });
    expect(await collect(node.cache.accounts())).toEqual([]);
  });
});

test("an answer that names no account is refused, and nothing is filed under nobody", async () => {
  const world = createWorld();
  const network = tapNetwork(world.authority.networkClient());
  network.answer = (_request, { client_info: _info, id_token: _token, ...rest }) => rest;
  const link = chaosStore(world.store);
  const node = world.node({ store: link }, { system: { networkClient: network } });
  await expect(node.signIn(ADA)).rejects.toMatchObject({ code: "ERR_ACCOUNT_MISSING" });
  expect(link.count("put")).toBe(0);
  expect(await collect(node.cache.accounts())).toEqual([]);
});

test("an answer without client_info is filed by the id token's subject", async () => {
  const world = createWorld({ clientInfo: "never" });
  const node = world.node();
  const { account, accessToken } = await node.signIn(ADA);
  const hit = await world.node().client.acquireTokenSilent({ account: account!, scopes: READ });
  expect(hit.accessToken).toBe(accessToken);
});

test("with the store down the caller has the token; it waits, is served here, and is stored later", async () => {
  const world = createWorld();
  const link = chaosStore(world.store);
  const node = world.node({ store: link });
  link.fail("all", { times: Infinity });
  const signedIn = await node.signIn(ADA);
  expect(signedIn.metadata).toMatchObject({ tokenSource: "identity-provider", saved: false });
  const request = { account: signedIn.account!, scopes: READ };
  expect((await node.client.acquireTokenSilent(request)).accessToken).toBe(signedIn.accessToken);
  link.heal();
  expect(await node.cache.close()).toEqual({ lost: 0 });
  const shared = await world.node().client.acquireTokenSilent(request);
  expect(shared.accessToken).toBe(signedIn.accessToken);
});

test("a sign-in replaces a record that is not authentic", async () => {
  const world = createWorld();
  const node = world.node();
  const { account } = await node.signIn(ADA);
  const { keys } = await world.store.admin.keys({ prefix: "tokenkeep:user:", limit: 10 });
  const there = await world.store.get(keys[0]!);
  const ifVersion = typeof there === "object" ? there.version : "";
  await world.store.put(keys[0]!, Buffer.from("forged"), { version: "x", ifVersion, ttlMs: 1e9 });
  const other = world.node();
  await expect(other.client.acquireTokenSilent({ account: account!, scopes: READ })).rejects.toMatchObject({
    errorCode: "no_tokens_found",
  });
  expect(other.events).toContainEqual(
    expect.objectContaining({ type: "record-unreadable", reason: "refused" }),
  );
  expect((await other.signIn(ADA)).metadata.saved).toBe(true);
  await other.client.acquireTokenSilent({ account: account!, scopes: READ });
});

test("an imported refresh token is stored like a sign-in", async () => {
  const world = createWorld();
  const network = tapNetwork(world.authority.networkClient());
  let refreshToken = "";
  network.answer = (_request, body) => {
    refreshToken = String(body["refresh_token"]);
    return body;
  };
  const elsewhere = world.node({ namespace: "elsewhere" }, { system: { networkClient: network } });
  await elsewhere.signIn(ADA);
  const node = world.node();
  const imported = await node.client.acquireTokenByRefreshToken({ refreshToken, scopes: READ });
  expect(imported?.metadata.saved).toBe(true);
  const hit = await world.node().client.acquireTokenSilent({ account: imported!.account!, scopes: READ });
  expect(hit.accessToken).toBe(imported!.accessToken);
});

test("nothing of a user is in the store in clear", async () => {
  const world = createWorld();
  const node = world.node();
  await node.signIn(ADA);
  const { keys } = await world.store.admin.keys({ prefix: "", limit: 100 });
  for (const key of keys) {
    const there = await world.store.get(key);
    const text = typeof there === "object" ? Buffer.from(there.bytes).toString("latin1") : "";
    for (const secret of world.authority.issued) expect(text.includes(secret)).toBe(false);
    expect(text).not.toContain("RefreshToken");
  }
});
