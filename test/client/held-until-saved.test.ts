/** One-time refresh tokens: what has been spent, and could not be saved yet, is not spent by anybody else. */
import { describe, expect, test } from "vitest";
import { chaosStore, type ChaosStore } from "../support/chaos.ts";
import { ADA, createWorld, type Node, type World } from "../support/world.ts";

const TASKS = ["api://tasks/read"];
const OTHERS = ["api://tasks/write"];

/** A process that cannot write, and has just renewed; and another one. */
async function renewedWithoutSaving(): Promise<{
  readonly world: World;
  readonly node: Node;
  readonly link: ChaosStore;
  readonly other: Node;
  readonly otherLink: ChaosStore;
  readonly account: NonNullable<Awaited<ReturnType<Node["signIn"]>>["account"]>;
}> {
  const world = createWorld({ refreshTokens: "one-time" });
  const link = chaosStore(world.store);
  const node = world.node({ refreshTokens: "one-time", store: link });
  const otherLink = chaosStore(world.store);
  const other = world.node({ refreshTokens: "one-time", store: otherLink });
  const { account } = await other.signIn(ADA);
  link.fail("put", { times: Infinity });
  const { metadata } = await node.client.acquireTokenSilent({ account: account!, scopes: TASKS });
  expect(metadata.saved).toBe(false);
  return { world, node, link, other, otherLink, account: account! };
}

describe("a renewal that could not be saved keeps the refresh lease", () => {
  test("until it is in the store: others wait, and nobody is signed out", async () => {
    const { world, node, link, other, otherLink, account } = await renewedWithoutSaving();
    otherLink.forgetCalls();
    const waiting = other.client.acquireTokenSilent({ account, scopes: OTHERS });
    // It has found the lease taken, looked, and asked again.
    await expect.poll(() => otherLink.count("lease")).toBeGreaterThan(1);
    link.heal();
    expect(await node.cache.parts.partitions.drain()).toBe(0);
    expect((await waiting).metadata.tokenSource).toBe("identity-provider");
    expect(world.authority.count({ outcome: "invalid_grant" })).toBe(0);
    const { metadata } = await other.client.acquireTokenSilent({ account, scopes: TASKS });
    expect(metadata.tokenSource).toBe("cache");
  });

  test("but not from its own process, which has the new refresh token", async () => {
    const { world, node, link, account } = await renewedWithoutSaving();
    const { metadata } = await node.client.acquireTokenSilent({ account, scopes: OTHERS });
    expect(metadata).toMatchObject({ tokenSource: "identity-provider", saved: false });
    link.heal();
    expect(await node.cache.parts.partitions.drain()).toBe(0);
    expect(world.authority.count({ outcome: "invalid_grant" })).toBe(0);
  });
});
