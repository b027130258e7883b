/** Interleavings in which a token was lost or came back, until a simulation had found them. */
import { describe, expect, test } from "vitest";
import { fingerprint } from "../../src/blob/provenance.ts";
import type { Change } from "../../src/partitions/change.ts";
import {
  BOUND_MS,
  SKEW_MS,
  USER,
  accessTokensOf,
  partitionWorld,
  refreshTokenOf,
  type PartitionNode,
  type PartitionWorld,
} from "./support.ts";

const LONG_MS = 120_000;
const down = (node: PartitionNode): void => node.link.fail("all", { times: Infinity });

async function recordSeenBy(node: PartitionNode): Promise<Parameters<typeof refreshTokenOf>[0]> {
  const state = await node.partitions.read(USER, { fresh: true });
  return state.status === "present" ? state.record : undefined;
}

/** By a clock that is ahead by more than clocks may differ: nothing can have come after it. */
function surelyLater({ runtime }: PartitionWorld): Partial<Change> {
  return { signedInAtMs: runtime.now() + 2 * SKEW_MS };
}

/** What a client does after the provider has refused a refresh token for good. */
async function dropRefreshToken(node: PartitionNode): Promise<void> {
  const state = await node.partitions.read(USER);
  if (state.status !== "present") throw new Error(state.status);
  const [[key, token] = ["", { secret: "" }]] = Object.entries(state.record.blob.RefreshToken);
  await node.partitions.save(USER, {
    creates: false,
    signsIn: false,
    base: state.record,
    baseVersion: state.version,
    mine: state.record.blob,
    removals: [{ section: "RefreshToken", key, ifFingerprint: fingerprint(token.secret) }],
    strengthens: false,
  });
}

describe("a sign-in that waits for the store", () => {
  test("is younger than the tokens that memory last showed, also where memory is not trusted any more", async () => {
    const world = partitionWorld();
    const node = world.node();
    await node.signIn("one");
    await world.runtime.advance(BOUND_MS);
    down(node);
    await node.signIn("two");
    node.link.heal();
    await world.runtime.advance(LONG_MS);
    expect(refreshTokenOf(await recordSeenBy(world.node()))).toBe("rt-two");
  });

  test("does not bring back what it was put on top of, once a sign-out has ended that", async () => {
    const world = partitionWorld();
    const [away, other] = [world.node({ chaos: { backplane: false } }), world.node()];
    await away.signIn("one");
    await (await away.renew("one-more", "mail.read")).save();
    down(away);
    await other.partitions.signOut(USER);
    await away.signIn("two", USER, surelyLater(world));
    away.link.heal();
    await world.runtime.advance(LONG_MS);
    expect(accessTokensOf(await recordSeenBy(world.node()))).toEqual(["at-two"]);
  });

  test("keeps its account where a renewal waited before it", async () => {
    const world = partitionWorld();
    const [away, other] = [world.node({ chaos: { backplane: false } }), world.node()];
    await away.signIn("one");
    const renewal = await away.renew("one-more", "mail.read");
    down(away);
    await renewal.save();
    await other.partitions.signOut(USER);
    await away.signIn("two", USER, surelyLater(world));
    away.link.heal();
    await world.runtime.advance(LONG_MS);
    const record = await recordSeenBy(world.node());
    expect(Object.keys(record?.blob.Account ?? {})).toHaveLength(1);
    expect(refreshTokenOf(record)).toBe("rt-two");
  });
});

describe("a sign-in whose write landed although its answer was lost", () => {
  test("does not bring its spent refresh token back over the one that another process got for it", async () => {
    const world = partitionWorld();
    const [node, other] = [world.node(), world.node()];
    node.link.loseAnswer("put");
    node.link.interleave("put", async () => {
      node.link.interleave("get", async () => (await other.renew("renewed")).save());
    });
    await node.signIn("one");
    expect(refreshTokenOf(await recordSeenBy(world.node()))).toBe("rt-renewed");
  });

  test("and that could not be announced is replayed in the place it had", async () => {
    const world = partitionWorld();
    const node = world.node();
    await node.signIn("one");
    node.link.interleave("publish", async () => (await node.renew("renewed")).save());
    node.link.fail("publish");
    await node.signIn("two");
    await world.runtime.advance(LONG_MS);
    expect(refreshTokenOf(await recordSeenBy(world.node()))).toBe("rt-renewed");
    expect(node.partitions.unsaved.size).toBe(0);
  });
});

test("a sign-in after a refused refresh token is younger than an answer for the refused one", async () => {
  const world = partitionWorld();
  const node = world.node();
  await node.signIn("one");
  const late = await node.renew("late");
  await dropRefreshToken(node);
  await node.signIn("two");
  await late.save();
  expect(refreshTokenOf(await recordSeenBy(world.node()))).toBe("rt-two");
});

test("a sign-out in memory is no answer while the store is down: the user may have signed in again", async () => {
  const world = partitionWorld();
  const [away, other] = [world.node({ chaos: { backplane: false } }), world.node()];
  await other.signIn("one");
  await other.partitions.signOut(USER);
  expect(await away.sees()).toBe("removed");
  await other.signIn("two");
  down(away);
  await world.runtime.advance(BOUND_MS);
  await expect(away.partitions.read(USER)).rejects.toMatchObject({ retryable: true });
});

test("nobody joins a call that began while a sign-out was on its way", async () => {
  const node = partitionWorld().node();
  await node.signIn("one");
  const gate = node.link.holdBefore("put");
  const signedOut = node.partitions.signOut(USER);
  await gate.arrived;
  const { flights, key } = node.partitions;
  const early = Promise.withResolvers<string>();
  void flights.run(key(USER), "silent", () => early.promise);
  gate.open();
  await signedOut;
  expect(await flights.run(key(USER), "silent", () => Promise.resolve("late"))).toBe("late");
  early.resolve("early");
});

test("a sign-out that has landed is not replayed over the sign-in that follows it", async () => {
  const world = partitionWorld();
  const [node, other] = [world.node(), world.node()];
  await other.signIn("one");
  // It knows what it ends, so that its own marker would be put over the one that has landed.
  expect(await node.sees()).toBe("at-one");
  const landing = node.link.holdBefore("put");
  const signedOut = node.partitions.signOut(USER);
  await landing.arrived;
  const replaying = node.link.holdBefore("put");
  const drained = node.partitions.drain();
  await replaying.arrived;
  landing.open();
  await signedOut;
  await other.signIn("two");
  replaying.open();
  await world.drive(drained);
  expect(await world.node().sees()).toBe("at-two");
});

describe("a renewal of a sign-in that waits replaces what waits", () => {
  /** The store has another life by then, so that the waiting sign-in counts as new whenever it is replayed. */
  async function renewing(): Promise<{
    world: ReturnType<typeof partitionWorld>;
    node: PartitionNode;
    renewal: Awaited<ReturnType<PartitionNode["renew"]>>;
  }> {
    const world = partitionWorld();
    const [node, other] = [world.node(), world.node()];
    await other.signIn("zero");
    down(node);
    await node.signIn("one");
    node.link.heal();
    return { world, node, renewal: await node.renew("renewed") };
  }

  test("once it is stored, although a replay had begun", async () => {
    const { world, node, renewal } = await renewing();
    const replaying = node.link.holdBefore("put");
    const drained = node.partitions.drain();
    await replaying.arrived;
    await renewal.save();
    replaying.open();
    await world.drive(drained);
    expect(refreshTokenOf(await recordSeenBy(world.node()))).toBe("rt-renewed");
  });

  test("while it is being stored", async () => {
    const { world, node, renewal } = await renewing();
    const storing = node.link.holdAfter("put");
    const saved = renewal.save();
    await storing.arrived;
    await world.drive(node.partitions.drain());
    storing.open();
    expect(await saved).toMatchObject({ saved: true });
    expect(refreshTokenOf(await recordSeenBy(world.node()))).toBe("rt-renewed");
    expect(node.partitions.unsaved.size).toBe(0);
  });
});
