import { describe, expect, test } from "vitest";
import { appPartition, userPartition, type Partition } from "../../src/partitions/partition.ts";
import {
  BOUND_MS,
  SCOPE,
  USER,
  accessTokensOf,
  keyRing,
  obo,
  partitionWorld,
  refreshTokenOf,
  signInBlob,
  type PartitionNode,
} from "./support.ts";

const LONG_MS = 120_000;
const down = (node: PartitionNode): void => node.link.fail("all", { times: Infinity });

describe("a result that the store does not take", () => {
  test("is the caller's all the same, marked as not saved", async () => {
    const world = partitionWorld();
    const node = world.node();
    await node.signIn("one");
    const renewal = await node.renew("two");
    down(node);
    const outcome = await renewal.save();
    expect(outcome.saved).toBe(false);
    expect(accessTokensOf(outcome.record)).toEqual(["at-one", "at-two"]);
    expect(node.reported("unsaved")).toBe(1);
  });

  test("is seen by this process's reads and peeks", async () => {
    const world = partitionWorld();
    const node = world.node();
    await node.signIn("one");
    const renewal = await node.renew("two");
    node.link.fail("put", { times: Infinity });
    await renewal.save();
    expect(accessTokensOf(node.partitions.peek(USER))).toEqual(["at-one", "at-two"]);
    expect(await node.sees()).toBe("at-one at-two");
  });

  test("is seen by reads also if the store cannot be read and memory has nothing", async () => {
    const node = partitionWorld().node();
    down(node);
    await node.signIn("one");
    expect(await node.sees()).toBe("at-one");
  });

  test("does not stand in for asking the store: a sign-out elsewhere is seen once it answers", async () => {
    const world = partitionWorld();
    const [a, b] = [world.node({ chaos: { backplane: false } }), world.node()];
    await a.signIn("one");
    const renewal = await a.renew("two");
    down(a);
    await renewal.save();
    await b.partitions.signOut(USER);
    await world.runtime.advance(BOUND_MS);
    expect(a.partitions.peek(USER)).toBeUndefined();
    a.link.heal();
    expect(await a.sees()).toBe("removed");
  });

  test("is merged with the next one, so that both are stored", async () => {
    const world = partitionWorld();
    const node = world.node();
    await node.signIn("one");
    down(node);
    await (await node.renew("mail", "mail.read")).save();
    await (await node.renew("files", "files.read")).save();
    expect(node.partitions.unsaved.size).toBe(1);
    node.link.heal();
    await world.runtime.advance(LONG_MS);
    expect(await world.node().sees()).toBe("at-files at-mail at-one");
    expect(node.reported("replayed")).toBe(1);
  });

  test("is merged with what another node stored meanwhile", async () => {
    const world = partitionWorld();
    const [a, b] = [world.node(), world.node()];
    await a.signIn("one");
    const mine = await a.renew("mail", "mail.read");
    const theirs = await b.renew("files", "files.read");
    down(a);
    await mine.save();
    await theirs.save();
    a.link.heal();
    await world.runtime.advance(LONG_MS);
    expect(await world.node().sees()).toBe("at-files at-mail at-one");
  });

  test("goes along with the next result that the store does take", async () => {
    const world = partitionWorld();
    const node = world.node();
    await node.signIn("one");
    const first = await node.renew("mail", "mail.read");
    node.link.fail("put");
    await first.save();
    const second = await node.renew("files", "files.read");
    expect(await world.drive(second.save())).toMatchObject({ saved: true });
    expect(node.partitions.unsaved.size).toBe(0);
    expect(await world.node().sees()).toBe("at-files at-mail at-one");
  });

  test("that landed although its answer was lost is not doubled by its replay", async () => {
    const world = partitionWorld();
    const node = world.node();
    await node.signIn("one");
    const renewal = await node.renew("two");
    node.link.loseAnswer("put");
    node.link.fail("get");
    expect(await renewal.save()).toMatchObject({ saved: false });
    await world.runtime.advance(LONG_MS);
    expect(node.partitions.unsaved.size).toBe(0);
    expect(await world.node().sees()).toBe("at-one at-two");
  });

  test("does not come back after another node has signed the user out", async () => {
    const world = partitionWorld();
    const [a, b] = [world.node(), world.node()];
    await a.signIn("one");
    const renewal = await a.renew("late");
    down(a);
    await renewal.save();
    await b.partitions.signOut(USER);
    a.link.heal();
    await world.runtime.advance(LONG_MS);
    expect(await world.node().sees()).toBe("removed");
    expect(a.events).toContainEqual(
      expect.objectContaining({ type: "unsaved-dropped", reason: "superseded" }),
    );
  });

  test("of a sign-in does not come back after a younger sign-out", async () => {
    const world = partitionWorld();
    const [a, b] = [world.node(), world.node()];
    down(a);
    await a.signIn("waits");
    await b.signIn("one");
    await b.partitions.signOut(USER);
    a.link.heal();
    await world.runtime.advance(LONG_MS);
    expect(await world.node().sees()).toBe("removed");
  });

  test("of a sign-in takes its place on top of older tokens that it did not know of", async () => {
    const world = partitionWorld();
    const [a, b] = [world.node(), world.node()];
    await b.signIn("one");
    await b.signIn("two");
    down(a);
    await a.signIn("newest");
    a.link.heal();
    await world.runtime.advance(LONG_MS);
    const state = await world.node().partitions.read(USER);
    expect(state.status === "present" && refreshTokenOf(state.record)).toBe("rt-newest");
  });

  test("of a sign-in whose answer was lost does not displace what was renewed from it", async () => {
    const world = partitionWorld();
    const [a, b] = [world.node(), world.node()];
    a.link.loseAnswer("put");
    a.link.interleave("put", () => Promise.resolve(a.link.fail("get")));
    expect(await a.signIn("one")).toMatchObject({ saved: false });
    await world.drive((await b.renew("renewed")).save());
    await world.runtime.advance(LONG_MS);
    const state = await world.node().partitions.read(USER);
    expect(state.status === "present" && refreshTokenOf(state.record)).toBe("rt-renewed");
  });
});

describe("the memory for such results", () => {
  const user = (name: string): Partition => userPartition(SCOPE, name);
  const app = (name: string): Partition => appPartition(SCOPE, name);
  const create = (node: PartitionNode, partition: Partition) =>
    node.partitions.save(partition, {
      creates: true,
      signsIn: partition.kind === "user",
      base: undefined,
      mine: signInBlob("x"),
      strengthens: false,
    });

  test("is bounded by bytes, and an application's tokens go before an assertion's and a user's", async () => {
    const world = partitionWorld();
    const probe = world.node();
    down(probe);
    await create(probe, app("t0"));
    const weight = probe.partitions.unsaved.bytes;
    const node = world.node({ unsavedMaxBytes: 3 * weight });
    down(node);
    await create(node, user("u1"));
    await create(node, app("t1"));
    await create(node, obo("a1"));
    await create(node, user("u2"));
    await create(node, user("u3"));
    expect(node.partitions.unsaved.bytes).toBeLessThanOrEqual(3 * weight);
    await expect(node.sees(app("t1"))).rejects.toMatchObject({ retryable: true });
    await expect(node.sees(obo("a1"))).rejects.toMatchObject({ retryable: true });
    for (const name of ["u1", "u2", "u3"]) expect(await node.sees(user(name))).toBe("at-x");
    expect(node.events.filter((event) => event.type === "unsaved-dropped")).toEqual([
      expect.objectContaining({ reason: "limit" }),
      expect.objectContaining({ reason: "limit" }),
    ]);
  });

  test("of equals the oldest goes", async () => {
    const world = partitionWorld();
    const probe = world.node();
    down(probe);
    await create(probe, user("u0"));
    const node = world.node({ unsavedMaxBytes: 2 * probe.partitions.unsaved.bytes });
    down(node);
    for (const name of ["u1", "u2", "u3"]) await create(node, user(name));
    await expect(node.sees(user("u1"))).rejects.toMatchObject({ retryable: true });
    expect(await node.sees(user("u3"))).toBe("at-x");
  });

  test("a sign-out is never given up for lack of room, nor with the tokens that came after it", async () => {
    const world = partitionWorld();
    const node = world.node({ unsavedMaxBytes: 1 });
    await node.signIn("one");
    down(node);
    await node.partitions.signOut(USER);
    await node.signIn("two");
    await expect(node.sees()).resolves.toBe("removed");
    node.link.heal();
    await world.runtime.advance(LONG_MS);
    expect(await world.node().sees()).toBe("removed");
  });
});

describe("draining", () => {
  test("stores what waits, and counts what it could not", async () => {
    const world = partitionWorld();
    const node = world.node();
    await node.signIn("one");
    const renewal = await node.renew("two");
    down(node);
    await renewal.save();
    expect(await node.partitions.drain()).toBe(1);
    node.link.heal();
    expect(await node.partitions.drain()).toBe(0);
    expect(await world.node().sees()).toBe("at-one at-two");
  });

  test("one record that cannot be opened does not keep the others from the store", async () => {
    const world = partitionWorld();
    const other = userPartition(SCOPE, "other");
    await world.node({ keys: keyRing("b") }).signIn("old");
    const node = world.node();
    await node.signIn("waits");
    node.link.fail("put");
    await node.signIn("two", other);
    expect(node.partitions.unsaved.size).toBe(2);
    expect(await node.partitions.drain()).toBe(1);
    expect(await world.node().sees(other)).toBe("at-two");
  });

  test("callers who drain at once share one pass", async () => {
    const world = partitionWorld();
    const node = world.node();
    down(node);
    await node.signIn("one");
    node.link.heal();
    expect(await Promise.all([node.partitions.drain(), node.partitions.drain()])).toEqual([0, 0]);
    expect(node.reported("replayed")).toBe(1);
  });

  test("closing reports what is lost, and leaves no timer behind", async () => {
    const world = partitionWorld();
    const node = world.node();
    down(node);
    await node.signIn("one");
    node.partitions.close();
    node.tiers.close();
    expect(node.events).toContainEqual(
      expect.objectContaining({ type: "unsaved-dropped", reason: "closed" }),
    );
    expect(node.partitions.unsaved).toMatchObject({ size: 0, bytes: 0 });
    expect(world.runtime.pendingTimers()).toBe(0);
  });

  test("a store that fails is asked about twice a second: what waits is there soon after its return", async () => {
    const world = partitionWorld();
    const node = world.node();
    down(node);
    await node.signIn("one");
    await world.runtime.advance(10_000);
    const early = node.link.count("get");
    await world.runtime.advance(60_000);
    const perMinute = node.link.count("get") - early;
    expect(perMinute).toBeGreaterThanOrEqual(120);
    expect(perMinute).toBeLessThanOrEqual(240);
    node.link.heal();
    await world.runtime.advance(500);
    expect(node.partitions.unsaved.size).toBe(0);
  });
});
