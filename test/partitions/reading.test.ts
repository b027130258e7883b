import { describe, expect, test } from "vitest";
import { createSealer } from "../../src/envelope/sealer.ts";
import { settle } from "../support/settle.ts";
import {
  BOUND_MS,
  STALE_MS,
  USER,
  accessTokensOf,
  keyRing,
  partitionWorld,
  signInBlob,
  type PartitionNode,
  type PartitionWorld,
} from "./support.ts";

const KEY = `ns:${USER.id}`;
const CONTEXT = { namespace: "ns", key: KEY, kind: "user" };

/** Puts something under the user's key that this library would not have written. */
async function plant(world: PartitionWorld, bytes: Uint8Array): Promise<void> {
  const there = await world.store.get(KEY);
  const ifVersion = typeof there === "object" ? there.version : null;
  await world.store.put(KEY, bytes, { version: "planted", ifVersion, ttlMs: 1e9 });
}

const versionThere = async (world: PartitionWorld): Promise<string | undefined> => {
  const there = await world.store.get(KEY);
  return typeof there === "object" ? there.version : undefined;
};

const creation = (node: PartitionNode) =>
  node.partitions.save(USER, {
    creates: true,
    signsIn: true,
    base: undefined,
    mine: signInBlob("new"),
    strengthens: true,
  });

describe("absent", () => {
  test("nothing there means no tokens, and a sign-in is stored", async () => {
    const world = partitionWorld();
    const node = world.node();
    expect(await node.sees()).toBe("absent");
    expect(await creation(node)).toMatchObject({ saved: true });
    expect(await world.node().sees()).toBe("at-new");
  });
});

describe("failed", () => {
  test("a failed read is a retryable error and not absence", async () => {
    const world = partitionWorld();
    await world.node().signIn("old");
    const node = world.node();
    node.link.fail("get", { times: Infinity });
    await expect(node.sees()).rejects.toMatchObject({ code: "ERR_STORE_UNAVAILABLE", retryable: true });
  });

  test("a failed read is never followed by a blind write: a sign-in waits and is merged", async () => {
    const world = partitionWorld();
    const other = world.node();
    await other.signIn("old");
    await (await other.renew("second", "files.read")).save();
    const node = world.node();
    node.link.fail("get", { times: Infinity });
    expect(await creation(node)).toMatchObject({ saved: false });
    expect(node.link.count("put")).toBe(0);
    node.link.heal();
    await world.runtime.advance(BOUND_MS);
    expect(node.partitions.unsaved.size).toBe(0);
    expect(await world.node().sees()).toContain("at-second");
  });

  test("a copy in memory is served while the store fails, and marked as stale", async () => {
    const world = partitionWorld();
    const node = world.node();
    await node.signIn("one");
    node.link.fail("all", { times: Infinity });
    await world.runtime.advance(BOUND_MS);
    expect(await node.partitions.read(USER)).toMatchObject({ status: "present", level: "stale" });
    await world.runtime.advance(STALE_MS);
    await expect(node.sees()).rejects.toMatchObject({ retryable: true });
  });
});

describe("sealed under a key id that this process does not have", () => {
  test("is a retryable error, and reported", async () => {
    const world = partitionWorld();
    await world.node({ keys: keyRing("b") }).signIn("old");
    const node = world.node();
    await expect(node.sees()).rejects.toMatchObject({ code: "ERR_KEY_UNKNOWN", retryable: true });
    expect(node.events).toContainEqual(
      expect.objectContaining({ type: "record-unreadable", reason: "unknown-key" }),
    );
  });

  test("is not overwritten by a sign-in, which waits until the key is there", async () => {
    const world = partitionWorld();
    await world.node({ keys: keyRing("b") }).signIn("old");
    const before = await versionThere(world);
    const node = world.node();
    expect(await creation(node)).toMatchObject({ saved: false });
    await world.runtime.advance(STALE_MS);
    expect(await versionThere(world)).toBe(before);
    expect(node.partitions.unsaved.size).toBe(1);
    expect(await node.sees()).toBe("at-new");
  });

  test("is not ended by a sign-out blindly: that is pending", async () => {
    const world = partitionWorld();
    await world.node({ keys: keyRing("b") }).signIn("old");
    const before = await versionThere(world);
    const node = world.node();
    expect(await node.partitions.signOut(USER)).toEqual({ status: "pending", durable: false });
    expect(await versionThere(world)).toBe(before);
    expect(await node.sees()).toBe("removed");
  });

  test("is read as soon as the key ring has the key", async () => {
    const world = partitionWorld();
    await world.node({ keys: keyRing("b") }).signIn("old");
    expect(await world.node({ keys: keyRing("a", "b") }).sees()).toBe("at-old");
  });
});

describe("written by a newer version", () => {
  test("is a retryable error, and a sign-in does not overwrite it", async () => {
    const world = partitionWorld();
    const sealer = createSealer(keyRing("a"), world.runtime);
    await plant(world, sealer.seal(Buffer.from(JSON.stringify({ f: 99, t: "tokens" })), CONTEXT));
    const node = world.node();
    await expect(node.sees()).rejects.toMatchObject({ code: "ERR_RECORD_UNSUPPORTED", retryable: true });
    expect(await creation(node)).toMatchObject({ saved: false });
    expect(await versionThere(world)).toBe("planted");
  });
});

describe("not authentic", () => {
  const forgeries: [string, (world: PartitionWorld) => Uint8Array][] = [
    ["garbage", () => Buffer.from("not an envelope")],
    ["plaintext", () => Buffer.from(JSON.stringify({ f: 1, t: "tokens" }))],
    [
      "another partition's record",
      (world) =>
        createSealer(keyRing("a"), world.runtime).seal(Buffer.from('{"f":1,"t":"spent"}'), {
          ...CONTEXT,
          key: "ns:user:somebody:else",
        }),
    ],
    [
      "authentic, but no record",
      (world) => createSealer(keyRing("a"), world.runtime).seal(Buffer.from("[1,2"), CONTEXT),
    ],
  ];

  test.each(forgeries)("%s is a miss with an event, and is kept", async (_name, forge) => {
    const world = partitionWorld();
    await plant(world, forge(world));
    const node = world.node();
    expect(await node.sees()).toBe("refused");
    expect(node.events).toContainEqual(
      expect.objectContaining({ type: "record-unreadable", reason: "refused" }),
    );
    expect(await versionThere(world)).toBe("planted");
  });

  test.each(forgeries)("%s is replaced by a sign-in, by its version", async (_name, forge) => {
    const world = partitionWorld();
    await plant(world, forge(world));
    const node = world.node();
    expect(await creation(node)).toMatchObject({ saved: true });
    expect(await world.node().sees()).toBe("at-new");
  });

  test("and in memory only, is no miss while the store cannot be asked: the user may have signed in since", async () => {
    const world = partitionWorld();
    await plant(world, Buffer.from("forged"));
    // Nobody tells it of the sign-in.
    const node = world.node({ chaos: { backplane: false } });
    expect(await node.sees()).toBe("refused");
    await creation(world.node());
    node.link.fail("all", { times: Infinity });
    await expect(node.partitions.read(USER, { fresh: true })).rejects.toMatchObject({
      code: "ERR_STORE_UNAVAILABLE",
      retryable: true,
    });
    node.link.heal();
    await world.runtime.advance(BOUND_MS);
    expect(await node.sees()).toBe("at-new");
  });

  test("is not replaced by a refresh", async () => {
    const world = partitionWorld();
    const node = world.node();
    await node.signIn("one");
    const renewal = await node.renew("two");
    await plant(world, Buffer.from("forged"));
    expect(await renewal.save()).toMatchObject({ saved: false, superseded: "refused" });
    expect(await versionThere(world)).toBe("planted");
  });
});

test("a store that went back in time does not take newer tokens away", async () => {
  const world = partitionWorld();
  const node = world.node({ chaos: { backplane: false } });
  await node.signIn("one");
  const snapshot = await world.store.get(KEY);
  await (await node.renew("two")).save();
  await plant(world, typeof snapshot === "object" ? snapshot.bytes : new Uint8Array());
  await world.runtime.advance(BOUND_MS);
  expect(await node.sees()).toContain("at-two");
  expect(node.reported("store-rolled-back")).toBe(1);
  await (await node.renew("three", "files.read")).save();
  expect(await world.node().sees()).toBe("at-one at-three at-two");
});

test("a restored sign-out is not undone by a store that went back in time", async () => {
  const world = partitionWorld();
  const node = world.node({ chaos: { backplane: false } });
  await node.signIn("one");
  const snapshot = await world.store.get(KEY);
  await node.partitions.signOut(USER);
  await plant(world, typeof snapshot === "object" ? snapshot.bytes : new Uint8Array());
  await world.runtime.advance(BOUND_MS);
  expect(await node.sees()).toBe("removed");
});

test("peek answers from trusted memory alone, and sends nothing", async () => {
  const world = partitionWorld();
  const node = world.node({ chaos: { backplane: false } });
  await node.signIn("one");
  node.link.forgetCalls();
  expect(accessTokensOf(node.partitions.peek(USER))).toEqual(["at-one"]);
  await world.runtime.advance(BOUND_MS);
  expect(node.partitions.peek(USER)).toBeUndefined();
  await settle();
  expect(node.link.calls).toEqual([]);
});
