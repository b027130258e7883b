import { describe, expect, test } from "vitest";
import { flowPartition } from "../../src/partitions/partition.ts";
import { SCOPE, partitionWorld, type PartitionNode, type PartitionWorld } from "./support.ts";

const FLOW = flowPartition(SCOPE, "flow-1");

test("a flow is spent once, on whatever node", async () => {
  const world = partitionWorld();
  const nodes = [world.node(), world.node(), world.node()];
  const spent = await world.drive(Promise.all(nodes.map((node) => node.partitions.spend(FLOW, 600_000))));
  expect(spent.filter(Boolean)).toHaveLength(1);
  expect(await world.node().partitions.spend(FLOW, 600_000)).toBe(false);
});

test("a flow whose mark landed without an answer is spent by whoever marked it", async () => {
  const world = partitionWorld();
  const node = world.node();
  node.link.loseAnswer("put");
  expect(await node.partitions.spend(FLOW, 600_000)).toBe(true);
  expect(await world.node().partitions.spend(FLOW, 600_000)).toBe(false);
});

test("with the store down nothing is spent, and the caller may try again", async () => {
  const world = partitionWorld();
  const node = world.node();
  node.link.fail("all", { times: 2 });
  await expect(node.partitions.spend(FLOW, 600_000)).rejects.toMatchObject({ retryable: true });
  expect(await node.partitions.spend(FLOW, 600_000)).toBe(true);
});

test("another flow is not affected", async () => {
  const node = partitionWorld().node();
  await node.partitions.spend(FLOW, 600_000);
  expect(await node.partitions.spend(flowPartition(SCOPE, "flow-2"), 600_000)).toBe(true);
});

describe("a flow whose mark may have landed", () => {
  async function lostMark(world: PartitionWorld, node: PartitionNode): Promise<void> {
    node.link.loseAnswer("put");
    node.link.fail("get");
    await expect(node.partitions.spend(FLOW, 600_000)).rejects.toMatchObject({ retryable: true });
    expect(await world.store.get(node.partitions.key(FLOW))).toBeDefined();
  }

  test("can be tried again where it was marked: nothing has been redeemed for it", async () => {
    const world = partitionWorld();
    const node = world.node();
    await lostMark(world, node);
    expect(await node.partitions.spend(FLOW, 600_000)).toBe(true);
  });

  test("is tried again by one of those who come at once, and by nobody after that", async () => {
    const world = partitionWorld();
    const node = world.node();
    await lostMark(world, node);
    const spent = await Promise.all([1, 2, 3].map(() => node.partitions.spend(FLOW, 600_000)));
    expect(spent.filter(Boolean)).toHaveLength(1);
    expect(await node.partitions.spend(FLOW, 600_000)).toBe(false);
  });

  test("can be tried again as often as the answer is lost", async () => {
    const world = partitionWorld();
    const node = world.node();
    await lostMark(world, node);
    node.link.fail("all", { times: 2 });
    await expect(node.partitions.spend(FLOW, 600_000)).rejects.toMatchObject({ retryable: true });
    expect(await node.partitions.spend(FLOW, 600_000)).toBe(true);
  });

  test("stays spent for every other process", async () => {
    const world = partitionWorld();
    await lostMark(world, world.node());
    expect(await world.node().partitions.spend(FLOW, 600_000)).toBe(false);
  });

  test("that somebody else has spent is not given away with it", async () => {
    const world = partitionWorld();
    const [node, other] = [world.node(), world.node()];
    node.link.fail("all", { times: 2 });
    await expect(node.partitions.spend(FLOW, 600_000)).rejects.toMatchObject({ retryable: true });
    expect(await other.partitions.spend(FLOW, 600_000)).toBe(true);
    expect(await node.partitions.spend(FLOW, 600_000)).toBe(false);
  });

  test("is remembered for a thousand flows at most", async () => {
    const world = partitionWorld();
    const node = world.node();
    await lostMark(world, node);
    node.link.fail("all", { times: Infinity });
    for (let index = 0; index < 1_000; index++) {
      await node.partitions.spend(flowPartition(SCOPE, `other-${index}`), 600_000).catch(() => undefined);
    }
    node.link.heal();
    expect(await node.partitions.spend(FLOW, 600_000)).toBe(false);
  });
});
