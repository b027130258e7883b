import { describe, expect, test } from "vitest";
import { memoryActivity } from "../../src/adapters/memory-activity.ts";
import { TokenkeepError } from "../../src/errors.ts";
import { DEFAULT_USERS } from "../../src/testing/authority/options.ts";
import { chaosStore } from "../support/chaos.ts";
import { collect } from "../support/collect.ts";
import { ADA, BEN, createWorld, READ } from "../support/world.ts";
import { apiNode, codeOf, drain, keyOf, otherPolicy, signInThrough } from "./support.ts";

const DAN = { username: "dan@contoso.example", name: "Dan Ito", tenant: "contoso" };
const TASKS = ["api://tasks/read"];
const DONE = { status: "done", durable: true };

describe("a user who has signed in through another authority than the client's own", () => {
  for (const method of ["removeAccount", "signOutEverywhere"] as const) {
    test(`is signed out there too by ${method}`, async () => {
      const world = createWorld();
      const node = world.node();
      const authority = otherPolicy(world);
      const own = await node.signIn(ADA);
      const elsewhere = await signInThrough(world, node, authority, ADA);
      await node.signIn(BEN);
      expect(elsewhere.metadata.saved).toBe(true);
      expect(await collect(node.cache.accounts())).toHaveLength(3);

      expect(await node.client[method](own.account!)).toEqual(DONE);
      for (const asked of [node, world.node()]) {
        const silent = { account: elsewhere.account!, scopes: READ };
        expect(await codeOf(asked.client.acquireTokenSilent({ ...silent, authority }))).toBe(
          "no_tokens_found",
        );
        expect(await codeOf(asked.client.acquireTokenSilent(silent))).toBe("no_tokens_found");
      }
      expect((await collect(node.cache.accounts())).map((row) => row.username)).toEqual([BEN]);
    });
  }

  test("is not promised to be out everywhere while the index that knows where cannot be read", async () => {
    const world = createWorld();
    const activity = memoryActivity();
    const list = () => Promise.reject(new Error("down"));
    const { account } = await world.node().signIn(ADA);
    const node = world.node({ activity: { store: { ...activity, list } } });
    expect(await node.client.removeAccount(account!)).toEqual({ status: "done", durable: false });
  });
});

describe("a sign-out that waits for the store", () => {
  test("is stored before any tokens that wait", async () => {
    const world = createWorld();
    const link = chaosStore(world.store);
    const node = world.node({ store: link });
    const ada = (await node.signIn(ADA)).account!;
    const ben = (await node.signIn(BEN)).account!;
    link.fail("all", { times: Infinity });
    await node.client.acquireTokenSilent({ account: ada, scopes: READ, forceRefresh: true });
    expect(await node.client.removeAccount(ben)).toEqual({ status: "pending", durable: false });
    link.heal();

    link.forgetCalls();
    expect(await drain(node)).toBe(0);
    const puts = link.calls.filter((call) => call.operation === "put");
    const names = puts.map(({ key }) => (key.includes(encodeURIComponent(ben.homeAccountId)) ? BEN : ADA));
    expect(names).toEqual([BEN, ADA]);
  });

  test("is not held up by other records, of which the store takes none, ever", async () => {
    const world = createWorld({ users: [...DEFAULT_USERS, DAN] });
    const link = chaosStore(world.store);
    const node = world.node({ store: link });
    const ada = (await node.signIn(ADA)).account!;
    const ben = (await node.signIn(BEN)).account!;
    const dan = (await node.signIn(DAN.username)).account!;
    link.fail("all", { times: Infinity });
    expect((await node.client.removeAccount(dan)).status).toBe("pending");
    await node.client.acquireTokenSilent({ account: ada, scopes: TASKS, forceRefresh: true });
    expect((await node.client.removeAccount(ben)).status).toBe("pending");
    link.heal();

    for (const { homeAccountId } of [ada, dan]) {
      link.fail("put", { key: encodeURIComponent(homeAccountId), times: Infinity });
    }
    expect(await drain(node)).toBe(2);
    const elsewhere = world.node().client;
    expect(await codeOf(elsewhere.acquireTokenSilent({ account: ben, scopes: READ }))).toBe(
      "no_tokens_found",
    );
  });

  test("has ended what was exchanged on behalf of the user in this process already", async () => {
    const world = createWorld();
    const link = chaosStore(world.store);
    const { account, accessToken } = await world.node().signIn(ADA);
    const api = apiNode(world, { store: link });
    const request = { oboAssertion: accessToken, scopes: TASKS };
    await api.client.acquireTokenOnBehalfOf(request);
    link.fail("all", { times: Infinity });

    expect((await api.client.signOutEverywhere(account!)).status).toBe("pending");
    expect(await codeOf(api.client.acquireTokenOnBehalfOf(request))).toBe("ERR_SIGNED_OUT");
  });
});

test("a sign-out that a full store can only delete for deletes what was renewed meanwhile", async () => {
  const world = createWorld();
  const link = chaosStore(world.store);
  const [a, b] = [world.node({ store: link }), world.node()];
  const account = (await a.signIn(ADA)).account!;
  const error = new TokenkeepError("ERR_STORE_FULL", "full", { retryable: true });
  link.fail("put", { key: ":user:", error, times: Infinity });
  link.interleave("delete", () => b.client.acquireTokenSilent({ account, scopes: READ, forceRefresh: true }));

  expect(await a.client.removeAccount(account)).toEqual({ status: "done", durable: false });
  for (const node of [a, world.node()]) {
    expect(await codeOf(node.client.acquireTokenSilent({ account, scopes: READ }))).toBe("no_tokens_found");
  }
});

test("a sign-out everywhere whose list of what to end was damaged does not call itself durable", async () => {
  const world = createWorld();
  const { account, accessToken } = await world.node().signIn(ADA);
  await apiNode(world).client.acquireTokenOnBehalfOf({ oboAssertion: accessToken, scopes: TASKS });
  const key = (await keyOf(world, "account"))!;
  const { version } = (await world.store.get(key)) as { version: string };
  await world.store.put(key, Buffer.from("garbage"), { version: "garbage", ifVersion: version, ttlMs: 1e7 });

  expect((await apiNode(world).client.signOutEverywhere(account!)).durable).toBe(false);
});
