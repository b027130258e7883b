import { expect, test } from "vitest";
import { flowPartition } from "../../src/partitions/partition.ts";
import { SCOPE, partitionWorld } from "./support.ts";

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
