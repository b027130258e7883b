import { describe, expect, test } from "vitest";
import type { BlobStore } from "../../src/store/blob-store.ts";
import { partitionWorld, USER, type PartitionNode } from "./support.ts";

type Replicated = NonNullable<BlobStore["replicated"]>;

/** Somebody's tokens, in a store that says this of its replicas. */
async function signedIn(replicated?: Replicated): Promise<{ node: PartitionNode; asked: string[] }> {
  const world = partitionWorld();
  const asked: string[] = [];
  const ask: Replicated = (key) => {
    asked.push(key);
    return replicated!(key);
  };
  const store = { ...world.store, ...(replicated && { replicated: ask }) };
  const node = world.node({ store });
  await node.signIn("one");
  return { node, asked };
}

const says =
  (answer: boolean | undefined): Replicated =>
  () =>
    Promise.resolve(answer);

describe("a sign-out in a store with replicas", () => {
  test.each([
    ["is durable once one has it", says(true), true, 0],
    ["is not durable if none had it in time, and says so by an event", says(false), false, 1],
    ["is durable where the store has none", says(undefined), true, 0],
    ["is durable where the store knows nothing of replicas", undefined, true, 0],
    [
      "is not durable if that cannot be found out",
      () => Promise.reject(new Error("no connection")),
      false,
      1,
    ],
  ])("%s", async (_promise, replicated, durable, events) => {
    const { node, asked } = await signedIn(replicated);
    expect(await node.partitions.signOut(USER)).toEqual({ status: "done", durable });
    expect(node.reported("write-unreplicated")).toBe(events);
    expect(asked).toEqual(replicated ? ["ns:" + USER.id] : []);
  });

  test("has told the others before it waits for a replica", async () => {
    let told = 0;
    const { node } = await signedIn(() => Promise.resolve((told = node.link.count("publish")) > 0));
    await node.partitions.signOut(USER);
    expect(told).toBeGreaterThan(0);
  });
});

describe("a renewal in a store with replicas", () => {
  test("asks for one only where what it replaces is spent, and is saved whatever the answer is", async () => {
    const { node, asked } = await signedIn(says(false));
    expect(await (await node.renew("two")).save()).toMatchObject({ saved: true });
    expect(asked).toEqual([]);
    expect(await (await node.renew("three")).save({ mustReplicate: true })).toMatchObject({ saved: true });
    expect(asked).toHaveLength(1);
    expect(node.reported("write-unreplicated")).toBe(1);
  });
});
