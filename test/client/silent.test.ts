import { describe, expect, test, vi } from "vitest";
import { collect } from "../support/collect.ts";
import { chaosStore } from "../support/chaos.ts";
import { HOUR_MS, MINUTE_MS, passTime, steerDates } from "../support/dates.ts";
import { claimsOf, tapNetwork } from "../support/network.ts";
import { settle } from "../support/settle.ts";
import { ADA, BEN, READ, createNode, createWorld, testKeys, type World } from "../support/world.ts";

steerDates();

const CLAIMS = JSON.stringify({ access_token: { acrs: { essential: true, value: "c1" } } });
const refreshes = (world: World): number => world.authority.count({ grant: "refresh_token" });

function tapped(world: World) {
  const network = tapNetwork(world.authority.networkClient());
  return { network, node: world.node({}, { system: { networkClient: network } }) };
}

describe("a hit", () => {
  test("in memory sends nothing to the store and touches no activity row", async () => {
    const world = createWorld();
    const link = chaosStore(world.store);
    const node = world.node({ store: link });
    const { account } = await node.signIn(ADA);
    await node.client.acquireTokenSilent({ account: account!, scopes: READ });
    link.forgetCalls();
    const rows = await collect(node.cache.accounts());
    for (let i = 0; i < 20; i += 1) await node.client.acquireTokenSilent({ account: account!, scopes: READ });
    expect(link.calls).toEqual([]);
    expect(await collect(node.cache.accounts())).toEqual(rows);
    expect(refreshes(world)).toBe(0);
  });

  test("has the correlation id of its own request", async () => {
    const node = createWorld().node();
    const { account } = await node.signIn(ADA);
    const request = { account: account!, scopes: READ };
    const ids = ["00000000-0000-4000-8000-000000000001", "00000000-0000-4000-8000-000000000002"];
    const results = await Promise.all(
      ids.map((correlationId) => node.client.acquireTokenSilent({ ...request, correlationId })),
    );
    expect(results.map((result) => result.correlationId)).toEqual(ids);
    const one = await node.client.acquireTokenSilent(request);
    const two = await node.client.acquireTokenSilent(request);
    expect(one.correlationId).not.toBe(two.correlationId);
  });

  test("an empty claims object is no demand", async () => {
    const world = createWorld();
    const node = world.node();
    const { account } = await node.signIn(ADA);
    const hit = await node.client.acquireTokenSilent({ account: account!, scopes: READ, claims: "{}" });
    expect(hit.metadata.cacheLevel).toBe("L1");
  });
});

test("whoever asks after a sign-in finds it, also if a reading from before it is still under way", async () => {
  const world = createWorld();
  const link = chaosStore(world.store);
  const [node, other] = [world.node({ store: link }), world.node()];
  const account = (await createNode(world.authority, {}).signIn(ADA)).account!;
  const reading = link.holdAfter("get");
  const early = node.client.acquireTokenSilent({ account, scopes: ["api://tasks/read"] });
  await reading.arrived;
  const { accessToken } = await other.signIn(ADA);
  const late = node.client.acquireTokenSilent({ account, scopes: READ });
  await settle();
  reading.open();
  expect(await late).toMatchObject({ accessToken });
  await early;
});

test("what memory says of somebody who is signed out challenges nobody, if the store cannot confirm it", async () => {
  const world = createWorld();
  const link = chaosStore(world.store);
  const [node, other] = [world.node({ store: link }), world.node()];
  const account = (await other.signIn(ADA)).account!;
  await other.client.removeAccount(account);
  const silent = (): Promise<unknown> => node.client.acquireTokenSilent({ account, scopes: READ });
  await expect(silent()).rejects.toMatchObject({ errorCode: "no_tokens_found" });
  link.deafen();
  await other.signIn(ADA);
  link.fail("all", { times: Infinity });
  await expect(silent()).rejects.toMatchObject({ code: "ERR_STORE_UNAVAILABLE", retryable: true });
});

describe("an expired token", () => {
  test("is renewed once for all callers of one node, each with its own correlation id", async () => {
    const world = createWorld();
    const node = world.node({ refreshLease: "off" });
    const { account } = await node.signIn(ADA);
    passTime(HOUR_MS);
    const results = await Promise.all(
      Array.from({ length: 50 }, (_, i) =>
        node.client.acquireTokenSilent({
          account: account!,
          scopes: READ,
          correlationId: `00000000-0000-4000-8000-0000000000${10 + i}`,
        }),
      ),
    );
    expect(refreshes(world)).toBe(1);
    expect(new Set(results.map((result) => result.accessToken)).size).toBe(1);
    expect(new Set(results.map((result) => result.correlationId)).size).toBe(50);
    expect(new Set(results).size).toBe(50);
    expect(results[0]!.metadata).toMatchObject({ cacheRefreshReason: "expired", saved: true });
  });

  test("is searched for once, however many ask while it is renewed", async () => {
    const world = createWorld();
    const node = world.node();
    const { account } = await node.signIn(ADA);
    passTime(HOUR_MS);
    world.authority.pause();
    const ask = (): Promise<unknown> =>
      node.client.acquireTokenSilent({ account: { ...account! }, scopes: [...READ] });
    const first = ask();
    await world.authority.whenHeld(1);
    const searches = vi.spyOn(Object, "keys");
    const others = Array.from({ length: 50 }, ask);
    const { length } = searches.mock.calls;
    searches.mockRestore();
    expect(length).toBe(0);
    world.authority.resume();
    await Promise.all([first, ...others]);
    expect(refreshes(world)).toBe(1);
  });

  test("is renewed once for scopes in any order, and apart for others", async () => {
    const world = createWorld();
    const node = world.node({ refreshLease: "off" });
    const account = (await node.signIn(ADA)).account!;
    const [one, two] = ["api://tasks/read", "api://tasks/write"];
    world.authority.pause();
    const asked = [[one, two], [two, one], [one], [two], [`${one} ${two}`], [one, "", two]];
    const results = asked.map((scopes) =>
      node.client.acquireTokenSilent({ account, scopes: scopes as string[] }).catch(() => undefined),
    );
    await world.authority.whenHeld(5);
    await settle();
    world.authority.resume();
    await Promise.all(results);
    expect(refreshes(world)).toBe(5);
  });

  test("renewed by another node is found in the store, and not renewed again", async () => {
    const world = createWorld();
    const [a, b] = [world.node(), world.node()];
    const { account } = await a.signIn(ADA);
    await b.client.acquireTokenSilent({ account: account!, scopes: READ });
    passTime(HOUR_MS);
    const renewed = await a.client.acquireTokenSilent({ account: account!, scopes: READ });
    const found = await b.client.acquireTokenSilent({ account: account!, scopes: READ });
    expect(found.accessToken).toBe(renewed.accessToken);
    expect(refreshes(world)).toBe(1);
  });
});

describe("a demand for a new token", () => {
  test.each([{ forceRefresh: true }, { claims: CLAIMS }])("%o bypasses the cache", async (demand) => {
    const world = createWorld();
    const node = world.node();
    const first = await node.signIn(ADA);
    const result = await node.client.acquireTokenSilent({ account: first.account!, scopes: READ, ...demand });
    expect(result.accessToken).not.toBe(first.accessToken);
    expect(result.metadata).toMatchObject({
      tokenSource: "identity-provider",
      cacheRefreshReason: "force-refresh-or-claims",
      saved: true,
    });
    const next = await node.client.acquireTokenSilent({ account: first.account!, scopes: READ });
    expect(next.accessToken).toBe(result.accessToken);
  });

  test("a stronger token displaces the weaker one on every node, at once", async () => {
    const world = createWorld();
    const [a, b] = [world.node(), world.node()];
    const { account } = await a.signIn(ADA);
    await b.client.acquireTokenSilent({ account: account!, scopes: READ });
    const strong = await a.client.acquireTokenSilent({ account: account!, scopes: READ, claims: CLAIMS });
    const seen = await b.client.acquireTokenSilent({ account: account!, scopes: READ });
    expect(seen.accessToken).toBe(strong.accessToken);
  });

  test("does not share the flight of an ordinary request", async () => {
    const world = createWorld();
    const node = world.node();
    const { account } = await node.signIn(ADA);
    passTime(HOUR_MS);
    const [plain, strong] = await Promise.all([
      node.client.acquireTokenSilent({ account: account!, scopes: READ }),
      node.client.acquireTokenSilent({ account: account!, scopes: READ, claims: CLAIMS }),
    ]);
    expect(refreshes(world)).toBe(2);
    expect(plain.accessToken).not.toBe(strong.accessToken);
    expect(claimsOf(strong.accessToken)["acrs"]).toEqual(["c1"]);
  });
});

describe("a refused refresh token", () => {
  test("of which nobody knows better is the user's to mend, and counts as a failure", async () => {
    const world = createWorld();
    const node = world.node();
    const { account } = await node.signIn(ADA);
    passTime(HOUR_MS);
    world.authority.revokeUser(ADA);
    await expect(node.client.acquireTokenSilent({ account: account!, scopes: READ })).rejects.toMatchObject({
      errorCode: "invalid_grant",
    });
    expect(refreshes(world)).toBe(1);
    const [row] = await collect(node.cache.accounts());
    expect(row).toMatchObject({
      status: "needs-interaction",
      failure: { code: "invalid_grant", attempts: 1 },
    });
  });
});

test("what another node stored is adopted when the provider refuses ours", async () => {
  const world = createWorld({ refreshTokens: "one-time" });
  // A node that takes no lease, e.g. one whose lease backend is out of reach.
  const [a, b] = [world.node({ refreshLease: "off" }), world.node()];
  const { account } = await a.signIn(ADA);
  await b.client.acquireTokenSilent({ account: account!, scopes: READ });
  passTime(HOUR_MS);
  const network = tapNetwork(world.authority.networkClient());
  const c = world.node({ refreshLease: "off" }, { system: { networkClient: network } });
  // Between this node's reading and the provider's refusal, another node renews.
  let renewed: string | undefined;
  const send = network.sendPostRequestAsync;
  network.sendPostRequestAsync = async (url, options) => {
    network.sendPostRequestAsync = send;
    renewed = (await a.client.acquireTokenSilent({ account: account!, scopes: READ })).accessToken;
    return send(url, options);
  };
  const adopted = await c.client.acquireTokenSilent({ account: account!, scopes: READ });
  expect(adopted.accessToken).toBe(renewed);
  expect(adopted.metadata.tokenSource).toBe("cache");
});

test.each([
  ["one-time", 1],
  ["reusable", 0],
] as const)("with %s refresh tokens a renewal asks for a replica %d times", async (refreshTokens, times) => {
  const world = createWorld({ refreshTokens });
  let asked = 0;
  const replicated = (): Promise<boolean> => Promise.resolve((asked += 1) > 0);
  const node = world.node({ refreshTokens, store: { ...world.store, replicated } });
  const { account } = await node.signIn(ADA);
  passTime(HOUR_MS);
  await node.client.acquireTokenSilent({ account: account!, scopes: READ });
  expect(asked).toBe(times);
});

test("a sign-in that ends the token just adopted is adopted too", async () => {
  const world = createWorld();
  const elsewhere = world.node();
  const { account } = await elsewhere.signIn(ADA);
  passTime(HOUR_MS);
  const network = tapNetwork(world.authority.networkClient());
  const node = world.node({ refreshLease: "off" }, { system: { networkClient: network } });
  // While each of the first two requests is on its way the user's sign-ins end, and they sign in again elsewhere.
  const send = network.sendPostRequestAsync;
  let returns = 0;
  network.sendPostRequestAsync = async (url, options) => {
    if (returns < 2) {
      returns += 1;
      world.authority.revokeUser(ADA);
      await elsewhere.signIn(ADA);
    }
    return send(url, options);
  };
  const scopes = ["api://tasks/read"];
  const renewed = await node.client.acquireTokenSilent({ account: account!, scopes });
  expect(renewed.metadata).toMatchObject({ tokenSource: "identity-provider", saved: true });
  expect(world.authority.count({ grant: "refresh_token" })).toBe(3);
});

describe("the account of a request", () => {
  test("may be as little as a home account id", async () => {
    const world = createWorld();
    const node = world.node();
    const { account, accessToken } = await node.signIn(ADA);
    const bare = {
      homeAccountId: account!.homeAccountId,
      environment: "",
      tenantId: "",
      localAccountId: "",
      username: "",
    };
    const hit = await node.client.acquireTokenSilent({ account: bare, scopes: READ });
    expect(hit).toMatchObject({ accessToken, metadata: { cacheLevel: "L1" } });
    passTime(HOUR_MS);
    const renewed = await node.client.acquireTokenSilent({ account: bare, scopes: READ });
    expect(renewed.metadata).toMatchObject({ tokenSource: "identity-provider", saved: true });
    expect(renewed.account?.homeAccountId).toBe(account!.homeAccountId);
  });

  test("may spell its environment in any of the ways that mean the same", async () => {
    const world = createWorld({ authorityHost: "login.microsoftonline.com" });
    const node = world.node();
    const { account, accessToken } = await node.signIn(ADA);
    for (const environment of ["login.windows.net", "login.microsoftonline.com", "sts.windows.net"]) {
      const hit = await node.client.acquireTokenSilent({
        account: { ...account!, environment },
        scopes: READ,
      });
      expect(hit).toMatchObject({ accessToken, account: { username: ADA }, metadata: { cacheLevel: "L1" } });
    }
  });

  test("survives a session: JSON there and back", async () => {
    const node = createWorld().node();
    const { account, accessToken } = await node.signIn(ADA);
    const parsed = JSON.parse(JSON.stringify(account)) as NonNullable<typeof account>;
    const hit = await node.client.acquireTokenSilent({ account: parsed, scopes: READ });
    expect(hit.accessToken).toBe(accessToken);
  });

  test.each([undefined, null, {}, "ada"])("%o is refused by name", async (account) => {
    const node = createWorld().node();
    await expect(node.client.acquireTokenSilent({ account: account as never, scopes: READ })).rejects.toThrow(
      expect.objectContaining({ code: "ERR_OPTION_INVALID", option: "account" }),
    );
  });

  test("an upper-case home account id finds the same tokens", async () => {
    const world = createWorld();
    const node = world.node();
    const { account, accessToken } = await node.signIn(ADA);
    const shouted = { ...account!, homeAccountId: account!.homeAccountId.toUpperCase() };
    const hit = await node.client.acquireTokenSilent({ account: shouted, scopes: READ });
    expect(hit.accessToken).toBe(accessToken);
    expect(await node.client.removeAccount(shouted)).toMatchObject({ status: "done" });
    await expect(node.client.acquireTokenSilent({ account: account!, scopes: READ })).rejects.toMatchObject({
      errorCode: "no_tokens_found",
    });
  });

  test("an authority in the request names the tenant that is asked, whatever the account's is", async () => {
    const world = createWorld();
    const node = world.node();
    const { account } = await node.signIn(ADA);
    const fabrikam = world.authority.tenants.find((tenant) => tenant.name === "fabrikam")!.tenantId;
    const authority = `https://${world.authority.authorityHost}/${fabrikam}`;
    const guest = await node.client.acquireTokenSilent({ account: account!, scopes: READ, authority });
    expect(claimsOf(guest.accessToken)["tid"]).toBe(fabrikam);
    const again = await node.client.acquireTokenSilent({ account: account!, scopes: READ, authority });
    expect(again).toMatchObject({ accessToken: guest.accessToken, metadata: { tokenSource: "cache" } });
    const home = await node.client.acquireTokenSilent({ account: account!, scopes: READ });
    expect(claimsOf(home.accessToken)["tid"]).toBe(account!.tenantId);
  });
});

describe("an answer for another account than the one asked for", () => {
  test("is refused, and nothing of it is stored", async () => {
    const world = createWorld();
    const { network, node } = tapped(world);
    const ben: Record<string, unknown>[] = [];
    network.answer = (_request, body) => (ben.push(body), body);
    await node.signIn(BEN);
    network.answer = undefined;
    const { account } = await node.signIn(ADA);
    network.answer = () => ben[0]!;
    await expect(
      node.client.acquireTokenSilent({ account: account!, scopes: READ, forceRefresh: true }),
    ).rejects.toMatchObject({ code: "ERR_PARTITION_MISMATCH" });
    network.answer = undefined;
    const hit = await world.node().client.acquireTokenSilent({ account: account!, scopes: READ });
    expect(claimsOf(hit.accessToken)["oid"]).toBe(account!.localAccountId);
  });
});

describe("a store that is down", () => {
  test("is a retryable error to a node without a copy, and benches nobody", async () => {
    const world = createWorld();
    const { account } = await world.node().signIn(ADA);
    const link = chaosStore(world.store);
    const node = world.node({ store: link });
    link.fail("all", { times: Infinity });
    await expect(node.client.acquireTokenSilent({ account: account!, scopes: READ })).rejects.toMatchObject({
      code: "ERR_STORE_UNAVAILABLE",
      retryable: true,
    });
    const [row] = await collect(node.cache.accounts());
    expect(row).toMatchObject({ status: "ok", failure: undefined });
  });

  test("does not keep a node from renewing what it holds; the result waits and is stored later", async () => {
    const world = createWorld();
    const link = chaosStore(world.store);
    const node = world.node({ store: link, maxStaleMs: 10 * HOUR_MS });
    const { account } = await node.signIn(ADA);
    passTime(HOUR_MS);
    link.fail("all", { times: Infinity });
    const renewed = await node.client.acquireTokenSilent({ account: account!, scopes: READ });
    expect(renewed.metadata).toMatchObject({ tokenSource: "identity-provider", saved: false });
    const hit = await node.client.acquireTokenSilent({ account: account!, scopes: READ });
    expect(hit.accessToken).toBe(renewed.accessToken);
    expect(node.cache.unsaved().entries).toBe(1);
    link.heal();
    expect(await node.cache.close()).toEqual({ lost: 0 });
    const shared = await world.node().client.acquireTokenSilent({ account: account!, scopes: READ });
    expect(shared.accessToken).toBe(renewed.accessToken);
    expect(refreshes(world)).toBe(1);
  });

  test("at closing time what waits is lost, and counted", async () => {
    const world = createWorld();
    const link = chaosStore(world.store);
    const node = world.node({ store: link });
    link.fail("all", { times: Infinity });
    expect((await node.signIn(ADA)).metadata.saved).toBe(false);
    expect(await node.cache.close()).toEqual({ lost: 1 });
    expect(await node.cache.close()).toEqual({ lost: 1 });
  });

  test("with fail-safe off a copy is served for the bound and no longer", async () => {
    const world = createWorld();
    const link = chaosStore(world.store);
    const node = world.node({ store: link, failSafe: false, coherenceBoundMs: 5_000 });
    const { account } = await node.signIn(ADA);
    link.fail("all", { times: Infinity });
    passTime(4_000);
    await node.client.acquireTokenSilent({ account: account!, scopes: READ });
    passTime(2_000);
    await expect(node.client.acquireTokenSilent({ account: account!, scopes: READ })).rejects.toMatchObject({
      retryable: true,
    });
  });
});

test("a record under an unknown key id challenges nobody", async () => {
  const world = createWorld();
  const { account } = await world.node({ keys: testKeys("k2", 9) }).signIn(ADA);
  const node = world.node();
  await expect(node.client.acquireTokenSilent({ account: account!, scopes: READ })).rejects.toMatchObject({
    code: "ERR_KEY_UNKNOWN",
    retryable: true,
  });
  const [row] = await collect(node.cache.accounts());
  expect(row).toMatchObject({ status: "ok" });
});

test("a sign-out while a renewal is at the provider: the caller has a token, the cache has none", async () => {
  const world = createWorld();
  const [a, b] = [world.node(), world.node()];
  const { account } = await a.signIn(ADA);
  passTime(HOUR_MS);
  world.authority.pause();
  const late = b.client.acquireTokenSilent({ account: account!, scopes: READ });
  await world.authority.whenHeld(1);
  expect(await a.client.removeAccount(account!)).toEqual({ status: "done", durable: true });
  world.authority.resume();
  expect((await late).metadata.saved).toBe(false);
  for (const node of [a, b, world.node()]) {
    await expect(node.client.acquireTokenSilent({ account: account!, scopes: READ })).rejects.toMatchObject({
      errorCode: "no_tokens_found",
    });
  }
});

test("a closed cache refuses", async () => {
  const node = createWorld().node();
  const { account } = await node.signIn(ADA);
  await node.cache.close();
  await expect(node.client.acquireTokenSilent({ account: account!, scopes: READ })).rejects.toMatchObject({
    code: "ERR_CLOSED",
  });
});

test("closing refuses whoever would join a call under way, and waits for those who have", async () => {
  const world = createWorld();
  const node = world.node();
  const request = { account: (await node.signIn(ADA)).account!, scopes: READ };
  passTime(HOUR_MS);
  world.authority.pause();
  const joined = Promise.all([1, 2, 3].map(() => node.client.acquireTokenSilent(request)));
  await world.authority.whenHeld(1);
  const closed = node.cache.close();
  await expect(node.client.acquireTokenSilent(request)).rejects.toMatchObject({ code: "ERR_CLOSED" });
  world.authority.resume();
  await closed;
  expect((await joined).map(({ metadata }) => metadata.saved)).toEqual([true, true, true]);
  expect(refreshes(world)).toBe(1);
});

test("a web app and a worker that renew at once cost one call to the provider", async () => {
  const world = createWorld();
  const web = world.node();
  const worker = world.node({}, { role: "worker" });
  const { account } = await web.signIn(ADA);
  await worker.client.acquireTokenSilent({ account: account!, scopes: READ });
  // Really expired: a waiter with a token that is valid for a while yet is served that.
  passTime(2 * HOUR_MS);
  world.authority.pause();
  const calls = [web, worker].map((node) =>
    node.client.acquireTokenSilent({ account: account!, scopes: READ }),
  );
  await world.authority.whenHeld(1);
  world.authority.resume();
  const [first, second] = await Promise.all(calls);
  expect(first!.accessToken).toBe(second!.accessToken);
  expect(refreshes(world)).toBe(1);
});

test("an account whose record the store has lost is benched, unless a sign-in is just under way", async () => {
  const world = createWorld();
  const { account } = await world.node().signIn(ADA);
  const { keys } = await world.store.admin.keys({ prefix: "tokenkeep:user:", limit: 1 });
  const stored = await world.store.get(keys[0]!);
  await world.store.delete(keys[0]!, { ifVersion: (stored as { version: string }).version });
  const worker = world.node({}, { role: "worker" });
  const statusAfterTrying = async (): Promise<string | undefined> => {
    const trying = worker.client.acquireTokenSilent({ account: account!, scopes: READ });
    await expect(trying).rejects.toMatchObject({ errorCode: "no_tokens_found" });
    return (await collect(worker.cache.accounts()))[0]?.status;
  };
  expect(await statusAfterTrying()).toBe("ok");
  passTime(2 * MINUTE_MS);
  expect(await statusAfterTrying()).toBe("needs-interaction");
});
