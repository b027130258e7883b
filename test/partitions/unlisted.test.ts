/** Many partitions of one user that cannot be derived: the account record is bounded, and sign-out everywhere is not. */
import { describe, expect, test } from "vitest";
import { MAX_LISTED } from "../../src/partitions/account-record.ts";
import type { Listing } from "../../src/partitions/account-record.ts";
import type { SaveOutcome } from "../../src/partitions/save.ts";
import {
  ACCOUNT,
  BOUND_MS,
  obo,
  partitionWorld,
  signInBlob,
  STALE_MS,
  USER,
  type PartitionNode,
  type PartitionWorld,
} from "./support.ts";

const HOUR_MS = 3_600_000;

/** What on-behalf-of does with an assertion: list, then save. */
async function exchange(
  world: PartitionWorld,
  node: PartitionNode,
  assertion: string,
  signedInAtMs: number | undefined = world.runtime.now(),
): Promise<Listing & { readonly outcome: SaveOutcome }> {
  const listing = await list(world, node, assertion);
  const outcome = await node.partitions.save(obo(assertion), {
    unlisted: !listing.listed,
    creates: true,
    signsIn: false,
    base: undefined,
    mine: signInBlob(assertion),
    strengthens: false,
    signedInAtMs,
  });
  return { ...listing, outcome };
}

const list = (world: PartitionWorld, node: PartitionNode, assertion: string): Promise<Listing> =>
  node.partitions.list(ACCOUNT, {
    id: obo(assertion).id,
    kind: "obo",
    expiresAtMs: world.runtime.now() + HOUR_MS,
  });

async function fill(world: PartitionWorld, node: PartitionNode): Promise<void> {
  for (let at = 0; at < MAX_LISTED; at += 1) await list(world, node, `filler-${at}`);
}

async function bytesOf(world: PartitionWorld, key: string): Promise<number> {
  const stored = await world.store.get(key);
  return typeof stored === "object" ? stored.bytes.length : 0;
}

describe("the account record", () => {
  test("of a user with 100,000 live assertions has a bounded size, and is hardly written once it is full", async () => {
    const world = partitionWorld();
    const node = world.node();
    const key = node.partitions.key(ACCOUNT);
    let most = 0;
    for (let at = 0; at < 100_000; at += 1) {
      if (at % 100 === 0) await world.runtime.advance(1_000);
      await list(world, node, `assertion-${at}`);
      if (at % 5_000 === 0) most = Math.max(most, await bytesOf(world, key));
    }
    expect(Math.max(most, await bytesOf(world, key))).toBeLessThan(25_000);
    const { partitions } = await node.partitions.account(ACCOUNT);
    expect(partitions).toHaveLength(MAX_LISTED);
    expect(node.link.count("put")).toBeLessThan(MAX_LISTED + 10);
  }, 60_000);

  test("has room again once entries have expired", async () => {
    const world = partitionWorld();
    const node = world.node();
    await fill(world, node);
    expect((await list(world, node, "late")).listed).toBe(false);
    await world.runtime.advance(HOUR_MS + 1);
    expect((await list(world, node, "later")).listed).toBe(true);
  });

  test("keeps the stamp for as long as anything unlisted lives", async () => {
    const world = partitionWorld();
    const node = world.node();
    await fill(world, node);
    const endsAtMs = world.runtime.now() + 100 * HOUR_MS;
    await node.partitions.list(ACCOUNT, { id: obo("long").id, kind: "obo", expiresAtMs: endsAtMs });
    await node.partitions.signOutEverywhere(ACCOUNT, [USER]);
    await world.runtime.advance(99 * HOUR_MS);
    expect((await world.node().partitions.account(ACCOUNT)).signedOutAtMs).toBeDefined();
  });
});

describe("what found no room in the account record", () => {
  test("is a hit in memory without the store, as anything else", async () => {
    const world = partitionWorld();
    const node = world.node();
    await fill(world, node);
    const { listed, outcome } = await exchange(world, node, "late");
    expect({ listed, saved: outcome.saved }).toEqual({ listed: false, saved: true });
    node.link.forgetCalls();
    expect(node.partitions.peek(obo("late"))).toBeDefined();
    expect(node.link.calls).toEqual([]);
    const other = world.node();
    expect(await other.sees(obo("late"))).toBe("at-late");
    expect(other.partitions.peek(obo("late"))).toBeDefined();
  });

  test("is ended by sign-out everywhere, on every node at once, and removed when next read", async () => {
    const world = partitionWorld();
    const [a, b] = [world.node(), world.node()];
    await fill(world, a);
    await exchange(world, a, "late");
    expect(await b.sees(obo("late"))).toBe("at-late");
    await world.runtime.advance(1_000);
    expect(await a.partitions.signOutEverywhere(ACCOUNT, [USER])).toMatchObject({ status: "done" });
    expect(a.partitions.peek(obo("late"))).toBeUndefined();
    // Where messages arrive it does not even take that long.
    await world.runtime.advance(10);
    expect(b.partitions.peek(obo("late"))).toBeUndefined();
    for (const node of [a, b, world.node()]) expect(await node.sees(obo("late"))).toBe("removed");
    const found = await world.node().tiers.read(a.partitions.key(obo("late")));
    expect(found?.value.type).toBe("removed");
  });

  test("is ended also while the stamp of the sign-out waits for the store, in that process", async () => {
    const world = partitionWorld();
    const node = world.node();
    await fill(world, node);
    await exchange(world, node, "late");
    await world.runtime.advance(1_000);
    node.link.fail("put", { times: Infinity });
    expect(await node.partitions.signOutEverywhere(ACCOUNT, [USER])).toMatchObject({ status: "pending" });
    expect(node.partitions.peek(obo("late"))).toBeUndefined();
    expect(await node.sees(obo("late"))).toBe("removed");
  });

  test("is served without copies in memory, as anything else", async () => {
    const world = partitionWorld();
    const node = world.node({ l1MaxBytes: false });
    await fill(world, node);
    await exchange(world, node, "late");
    expect(await node.sees(obo("late"))).toBe("at-late");
    await world.runtime.advance(1_000);
    await node.partitions.signOutEverywhere(ACCOUNT, [USER]);
    expect(await node.sees(obo("late"))).toBe("removed");
  });

  test("is served from memory while the store does not answer, as anything else", async () => {
    const world = partitionWorld();
    const node = world.node();
    await fill(world, node);
    await exchange(world, node, "late");
    expect(await node.sees(obo("late"))).toBe("at-late");
    await world.runtime.advance(2 * BOUND_MS);
    node.link.fail("all", { times: Infinity });
    expect(await node.sees(obo("late"))).toBe("at-late");
    await world.runtime.advance(STALE_MS);
    await expect(node.sees(obo("late"))).rejects.toMatchObject({ code: "ERR_STORE_UNAVAILABLE" });
  });

  test("goes on where its assertion is younger than the sign-out", async () => {
    const world = partitionWorld();
    const node = world.node();
    await fill(world, node);
    await node.partitions.signOutEverywhere(ACCOUNT, [USER]);
    await world.runtime.advance(1_000);
    await exchange(world, node, "young");
    expect(await world.node().sees(obo("young"))).toBe("at-young");
  });

  test("counts as the older one where the age of its assertion is not known", async () => {
    const world = partitionWorld();
    const node = world.node();
    await fill(world, node);
    const listing = await list(world, node, "undated");
    await node.partitions.save(obo("undated"), {
      unlisted: !listing.listed,
      creates: true,
      signsIn: false,
      base: undefined,
      mine: signInBlob("undated"),
      strengthens: false,
    });
    expect(await node.sees(obo("undated"))).toBe("at-undated");
    await node.partitions.signOutEverywhere(ACCOUNT, [USER]);
    expect(await node.sees(obo("undated"))).toBe("removed");
  });

  test("counts as absent where the store has lost the account record", async () => {
    const world = partitionWorld();
    const node = world.node();
    await fill(world, node);
    await exchange(world, node, "late");
    const key = node.partitions.key(ACCOUNT);
    const stored = await world.store.get(key);
    await world.store.delete(key, { ifVersion: (stored as { version: string }).version });
    expect(await world.node().sees(obo("late"))).toBe("absent");
  });

  test("is not served while the store cannot say when the user last signed out", async () => {
    const world = partitionWorld();
    const node = world.node();
    await fill(world, node);
    await exchange(world, node, "late");
    const other = world.node();
    other.link.fail("get", {
      times: Infinity,
      key: other.partitions.key(ACCOUNT),
    });
    await expect(other.partitions.read(obo("late"))).rejects.toMatchObject({ retryable: true });
  });
});
