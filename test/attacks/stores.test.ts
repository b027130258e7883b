import { describe, expect, test } from "vitest";
import type { Stored } from "../../src/store/blob-store.ts";
import type { Store } from "../../src/store/store.ts";
import { chaosStore } from "../support/chaos.ts";
import { ADA, createWorld, READ } from "../support/world.ts";
import { codeOf, drain, keyOf } from "./support.ts";

describe("a store that answers null where nothing is", () => {
  const nullFor = (store: Store): Store => ({
    ...store,
    get: async (key, options) => (await store.get(key, options)) ?? (null as unknown as undefined),
  });

  test("keeps a sign-in as any other store does", async () => {
    const world = createWorld();
    const { account, metadata } = await world.node({ store: nullFor(world.store) }).signIn(ADA);
    expect(metadata.saved).toBe(true);
    const served = await world.node().client.acquireTokenSilent({ account: account!, scopes: READ });
    expect(served.metadata.tokenSource).toBe("cache");
  });

  test("gets what waited for it, once it is back", async () => {
    const world = createWorld();
    const link = chaosStore(world.store);
    const node = world.node({ store: nullFor(link) });
    link.fail("all", { times: Infinity });
    expect((await node.signIn(ADA)).metadata.saved).toBe(false);
    link.heal();
    expect(await drain(node)).toBe(0);
  });
});

describe("a store that answers a conflict with what is no record", () => {
  const nonsense: Pick<Store, "put"> = {
    put: () => Promise.resolve({ stored: false, current: { version: "?" } as unknown as Stored }),
  };

  test("costs nobody a token", async () => {
    const world = createWorld();
    const node = world.node({ store: { ...world.store, ...nonsense } });
    const { metadata, accessToken } = await node.signIn(ADA);
    expect(metadata.saved).toBe(false);
    expect(accessToken).not.toBe("");
    expect(node.events).toContainEqual(expect.objectContaining({ type: "store-failed" }));
  });

  test("does not end the process from the background", async () => {
    const world = createWorld();
    const node = world.node({ store: { ...world.store, ...nonsense } });
    await node.signIn(ADA);
    expect(await drain(node)).toBe(1);
  });
});

test("in one-time mode a reading that fails spends nothing: nobody's session ends", async () => {
  const world = createWorld({ refreshTokens: "one-time" });
  const link = chaosStore(world.store);
  link.deafen();
  const cutOff = world.node({ store: link, refreshTokens: "one-time" });
  const other = world.node({ refreshTokens: "one-time" });
  const { account } = await cutOff.signIn(ADA);
  const silent = { account: account!, scopes: READ, forceRefresh: true };
  await other.client.acquireTokenSilent(silent);
  const asked = world.authority.count({ grant: "refresh_token" });

  link.fail("get", { key: ":user:" });
  await expect(cutOff.client.acquireTokenSilent(silent)).rejects.toMatchObject({
    code: "ERR_STORE_UNAVAILABLE",
    retryable: true,
  });
  expect(world.authority.count({ grant: "refresh_token" })).toBe(asked);
  for (const node of [other, cutOff])
    expect(await codeOf(node.client.acquireTokenSilent(silent))).toBeUndefined();
});

test("a store that goes back in time between a reading and the write loses nothing this process holds", async () => {
  const { authority, store, ...world } = createWorld();
  const node = world.node();
  const { account } = await node.signIn(ADA);
  const key = (await keyOf({ authority, store, ...world }, "user"))!;
  const backup = (await store.get(key)) as Stored;
  const tasks = { account: account!, scopes: ["api://tasks/read"] };
  const { accessToken } = await node.client.acquireTokenSilent(tasks);

  authority.pause();
  const third = node.client.acquireTokenSilent({ account: account!, scopes: ["User.Read"] });
  await authority.whenHeld(1);
  const { version: ifVersion } = (await store.get(key)) as Stored;
  await store.put(key, backup.bytes, { version: backup.version, ifVersion, ttlMs: 1e8 });
  authority.resume();

  expect((await third).metadata.saved).toBe(true);
  const served = await world.node().client.acquireTokenSilent(tasks);
  expect(served).toMatchObject({ accessToken, metadata: { tokenSource: "cache" } });
});
