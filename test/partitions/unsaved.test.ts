import { describe, expect, test } from "vitest";
import { appPartition, userPartition, type Partition } from "../../src/partitions/partition.ts";
import type { Stored } from "../../src/store/blob-store.ts";
import {
  ACCOUNT,
  BOUND_MS,
  SCOPE,
  SKEW_MS,
  USER,
  accessTokensOf,
  keyRing,
  obo,
  partitionWorld,
  refreshTokenOf,
  signInBlob,
  type PartitionNode,
  type PartitionWorld,
} from "./support.ts";

const LONG_MS = 120_000;
const down = (node: PartitionNode): void => node.link.fail("all", { times: Infinity });

/** A sign-in waits at `a`, beside what had waited there before a sign-out that nobody there has heard of. */
async function signedOutUnheard(): Promise<{ world: PartitionWorld; a: PartitionNode }> {
  const world = partitionWorld();
  const [a, b] = [world.node(), world.node()];
  await a.signIn("one");
  const renewal = await a.renew("mail", "mail.read");
  down(a);
  await renewal.save();
  await b.partitions.signOut(USER);
  await world.runtime.advance(2 * SKEW_MS);
  await a.signIn("waits");
  return { world, a };
}

describe("a result that has waited for longer than a sign-out is remembered", () => {
  const MEMORY_MS = 60_000;
  const retention = { removalMarkerTtlMs: MEMORY_MS };

  /** Something waits at a node for all that time. */
  async function waiting(what: "renewal" | "sign-in") {
    const world = partitionWorld();
    const [a, b] = [world.node({ retention, maxStaleMs: BOUND_MS }), world.node({ retention })];
    await b.signIn("one");
    const renewal = await a.renew("two");
    down(a);
    const outcome = await (what === "renewal" ? renewal.save() : a.signIn("two"));
    expect(outcome.saved).toBe(false);
    return { world, a, b };
  }

  async function lose({ store }: PartitionWorld, key: string): Promise<void> {
    const { version: ifVersion } = (await store.get(key)) as Stored;
    expect(await store.delete(key, { ifVersion })).toBe(true);
  }

  test.each(["renewal", "sign-in"] as const)(
    "is given up where the store has nothing any more: somebody may have signed out (%s)",
    async (what) => {
      for (const how of ["drain", "read", "save"] as const) {
        const { world, a, b } = await waiting(what);
        expect((await b.partitions.signOut(USER)).status).toBe("done");
        await world.runtime.advance(MEMORY_MS + SKEW_MS);
        expect(await b.sees()).toBe("absent");
        const late = await a.renew("three");
        a.link.heal();
        if (how === "drain") expect(await world.drive(a.partitions.drain())).toBe(0);
        if (how === "save") expect((await world.drive(late.save())).saved).toBe(false);
        expect(await world.drive(a.sees())).toBe("absent");
        expect(await b.sees()).toBe("absent");
        expect(a.partitions.unsaved.size).toBe(0);
        expect(a.reported("write-superseded")).toBeGreaterThan(0);
      }
    },
  );

  test("is stored where its record is there still, and seen for as long as the store does not answer", async () => {
    const { world, a } = await waiting("renewal");
    await world.runtime.advance(MEMORY_MS + SKEW_MS);
    expect(await a.sees()).toBe("at-one at-two");
    a.link.heal();
    expect(await world.drive(a.partitions.drain())).toBe(0);
    expect(await world.node().sees()).toBe("at-one at-two");
  });

  test("that was shorter is put back where the store has lost its record", async () => {
    const { world, a } = await waiting("renewal");
    await lose(world, a.partitions.key(USER));
    await world.runtime.advance(MEMORY_MS / 2);
    a.link.heal();
    expect(await world.drive(a.partitions.drain())).toBe(0);
    expect(await world.node().sees()).toBe("at-one at-two");
  });

  test("counts from the latest sign-in among what waits", async () => {
    const { world, a } = await waiting("renewal");
    await world.runtime.advance(MEMORY_MS);
    await a.signIn("three");
    await lose(world, a.partitions.key(USER));
    a.link.heal();
    expect(await world.drive(a.partitions.drain())).toBe(0);
    expect(await world.drive(a.sees())).toContain("at-three");
  });
});

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

  describe("and is a sign-in", () => {
    async function afterHealing(world: PartitionWorld, node: PartitionNode): Promise<string> {
      node.link.heal();
      await world.runtime.advance(LONG_MS);
      expect(node.partitions.unsaved.size).toBe(0);
      const there = await world.node().sees();
      expect(await node.sees()).toBe(there);
      return there;
    }

    test("does not come back after a younger sign-out", async () => {
      const world = partitionWorld();
      const [a, b] = [world.node(), world.node()];
      down(a);
      await a.signIn("waits");
      await b.signIn("one");
      await b.partitions.signOut(USER);
      expect(await afterHealing(world, a)).toBe("removed");
    });

    test("does not come back after a younger sign-out that ended only what the sign-in knew of", async () => {
      const world = partitionWorld();
      const [a, b] = [world.node(), world.node()];
      await a.signIn("one");
      down(a);
      await a.signIn("waits");
      await world.runtime.advance(2 * SKEW_MS);
      await b.partitions.signOut(USER);
      expect(await afterHealing(world, a)).toBe("removed");
    });

    test("comes after an older sign-out, however many lives that one had seen", async () => {
      const world = partitionWorld();
      const [a, b] = [world.node(), world.node()];
      down(a);
      for (const name of ["one", "two", "three"]) await b.signIn(name);
      await b.partitions.signOut(USER);
      await world.runtime.advance(2 * SKEW_MS);
      await a.signIn("waits");
      expect(await afterHealing(world, a)).toBe("at-waits");
      expect(await b.signIn("next")).toMatchObject({ saved: true });
    });

    test("is given up in doubt, closer to a sign-out than clocks may differ", async () => {
      const world = partitionWorld();
      const [a, b] = [world.node(), world.node()];
      down(a);
      await b.partitions.signOut(USER);
      await world.runtime.advance(SKEW_MS);
      await a.signIn("waits");
      expect(await afterHealing(world, a)).toBe("removed");
    });

    test("comes after a sign-out that it knew of, whatever the clocks say", async () => {
      const world = partitionWorld();
      const [a, b] = [world.node(), world.node()];
      await b.partitions.signOut(USER);
      expect(await a.sees()).toBe("removed");
      down(a);
      await a.signIn("waits", USER, { signedInAtMs: world.runtime.now() - LONG_MS });
      expect(await afterHealing(world, a)).toBe("at-waits");
    });

    test("does not join a life that began after the sign-out that ended it", async () => {
      const world = partitionWorld();
      const [a, b] = [world.node(), world.node()];
      await a.signIn("one");
      down(a);
      await a.signIn("waits");
      await b.partitions.signOut(USER);
      await b.signIn("two");
      expect(await afterHealing(world, a)).toBe("at-two");
    });

    test("behind a sign-out that waits too, leaves a life alone that began after both", async () => {
      const world = partitionWorld();
      const [a, b] = [world.node(), world.node()];
      await a.signIn("one");
      down(a);
      await a.partitions.signOut(USER);
      await a.signIn("waits");
      await world.runtime.advance(2 * SKEW_MS);
      await b.partitions.signOut(USER);
      await b.signIn("two");
      expect(await afterHealing(world, a)).toBe("at-two");
    });

    test("behind a sign-out that waits too, replaces what that one ends", async () => {
      const world = partitionWorld();
      const [a, b] = [world.node(), world.node()];
      await a.signIn("one");
      down(a);
      await b.partitions.signOut(USER);
      await b.signIn("two");
      await a.partitions.signOut(USER);
      await a.signIn("waits");
      expect(await afterHealing(world, a)).toBe("at-waits");
    });

    test("goes on under one name over the sign-out of the life it had joined: what is renewed from it is kept", async () => {
      const world = partitionWorld();
      const [a, b] = [world.node({ chaos: { backplane: false } }), world.node()];
      await a.signIn("one");
      down(a);
      await b.partitions.signOut(USER);
      await a.signIn("waits", USER, { signedInAtMs: world.runtime.now() + 2 * SKEW_MS });
      await world.runtime.advance(BOUND_MS);
      a.link.heal();
      const renewal = await a.renew("renewed");
      await world.drive(a.partitions.drain());
      expect(await renewal.save()).toMatchObject({ saved: true });
      expect(await world.node().sees()).toBe("at-renewed at-waits");
    });

    test("takes the place of a sign-in that was saved meanwhile into the life that both joined", async () => {
      const world = partitionWorld();
      const [a, b] = [world.node({ chaos: { backplane: false } }), world.node()];
      await a.signIn("one");
      down(a);
      await b.signIn("two");
      await a.signIn("waits");
      await afterHealing(world, a);
      const state = await world.node().partitions.read(USER);
      expect(state.status === "present" && refreshTokenOf(state.record)).toBe("rt-waits");
    });

    test("does not bring back what had waited there before a sign-out that nobody there had heard of", async () => {
      const { world, a } = await signedOutUnheard();
      expect(await afterHealing(world, a)).toBe("at-waits");
    });

    test("nor when it is in the store, and has only not been announced", async () => {
      const { world, a } = await signedOutUnheard();
      a.link.heal();
      a.link.fail("publish");
      expect(await world.drive(a.partitions.drain())).toBe(1);
      expect(await world.node().sees()).toBe("at-waits");
      expect(await a.sees()).toBe("at-waits");
      const later = await a.renew("later");
      expect(await world.drive(a.partitions.drain())).toBe(0);
      expect(await world.node().sees()).toBe("at-waits");
      await later.save();
      expect(await world.node().sees()).toBe("at-later at-waits");
    });

    test("behind a waiting sign-out gives way to another that neither knew of, unless it is surely later", async () => {
      for (const [laterMs, outcome] of [
        [0.5 * SKEW_MS, "removed"],
        [1.5 * SKEW_MS, "at-waits"],
      ] as const) {
        const world = partitionWorld();
        const [a, b] = [world.node(), world.node()];
        await a.signIn("one");
        await b.partitions.signOut(USER);
        down(a);
        await world.runtime.advance(laterMs / 2);
        expect(await world.drive(a.partitions.signOut(USER))).toMatchObject({ status: "pending" });
        await world.runtime.advance(laterMs / 2);
        await a.signIn("waits");
        expect(await afterHealing(world, a)).toBe(outcome);
      }
    });

    test("behind a waiting sign-out stays where it had seen the other, however short ago", async () => {
      const world = partitionWorld();
      const [a, b] = [world.node(), world.node()];
      await a.signIn("one");
      await b.partitions.signOut(USER);
      expect(await a.sees()).toBe("removed");
      down(a);
      await world.drive(a.partitions.signOut(USER));
      await a.signIn("waits");
      expect(await afterHealing(world, a)).toBe("at-waits");
    });

    test("does not bring back what comes in after it and was begun before such a sign-out", async () => {
      const world = partitionWorld();
      const [a, b] = [world.node(), world.node()];
      await a.signIn("one");
      const renewal = await a.renew("mail", "mail.read");
      await b.partitions.signOut(USER);
      down(a);
      await world.runtime.advance(2 * SKEW_MS);
      await a.signIn("waits");
      await renewal.save();
      expect(await a.sees()).toContain("at-waits");
      expect(await afterHealing(world, a)).toBe("at-waits");
    });

    test("brings along what comes in after it where nobody has signed out, or was begun on it", async () => {
      const world = partitionWorld();
      const a = world.node();
      await a.signIn("one");
      const before = await a.renew("mail", "mail.read");
      down(a);
      await a.signIn("waits");
      await before.save();
      await (await a.renew("files", "files.read")).save();
      const seen = await afterHealing(world, a);
      expect(seen).toContain("at-mail");
      expect(seen).toContain("at-files");
    });

    test("keeps what was begun on it also where such a sign-out came between", async () => {
      const world = partitionWorld();
      const [a, b] = [world.node(), world.node()];
      await a.signIn("one");
      await b.partitions.signOut(USER);
      down(a);
      await world.runtime.advance(2 * SKEW_MS);
      await a.signIn("waits");
      await (await a.renew("files", "files.read")).save();
      expect(await afterHealing(world, a)).toBe("at-files at-waits");
    });

    test("brings along what had waited there before it where nobody has signed out", async () => {
      const world = partitionWorld();
      const a = world.node();
      await a.signIn("one");
      const renewal = await a.renew("mail", "mail.read");
      down(a);
      await renewal.save();
      await world.runtime.advance(2 * SKEW_MS);
      await a.signIn("waits");
      expect(await afterHealing(world, a)).toContain("at-mail");
    });

    test("whose replay landed although its answer was lost keeps the place it has by then", async () => {
      const world = partitionWorld();
      const [a, b] = [world.node(), world.node()];
      await b.signIn("one");
      down(a);
      await a.signIn("waits");
      a.link.heal();
      a.link.loseAnswer("put");
      a.link.interleave("put", () => {
        a.link.fail("get");
        return Promise.resolve();
      });
      expect(await world.drive(a.partitions.drain())).toBe(1);
      await (await world.node().renew("renewed")).save();
      await world.runtime.advance(LONG_MS);
      const state = await world.node().partitions.read(USER);
      expect(state.status === "present" && refreshTokenOf(state.record)).toBe("rt-renewed");
    });
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

  const SIGN_OUT_BYTES = 512;

  test("a sign-out that waits is never given up for lack of room, nor with the tokens that came after it", async () => {
    const world = partitionWorld();
    const node = world.node({ unsavedMaxBytes: SIGN_OUT_BYTES });
    await node.signIn("one");
    down(node);
    await node.partitions.signOut(USER);
    await node.signIn("two");
    await expect(node.sees()).resolves.toBe("removed");
    node.link.heal();
    await world.runtime.advance(LONG_MS);
    expect(await world.node().sees()).toBe("removed");
  });

  test("tokens give way to a sign-out", async () => {
    const world = partitionWorld();
    const node = world.node({ unsavedMaxBytes: 2_500 });
    down(node);
    await create(node, user("u1"));
    await node.partitions.signOut(user("u2"));
    await node.partitions.signOut(user("u3"));
    expect(node.partitions.unsaved.bytes).toBeLessThanOrEqual(2_500);
    await expect(node.sees(user("u1"))).rejects.toMatchObject({ retryable: true });
    expect(await node.sees(user("u2"))).toBe("removed");
  });

  test("is bounded for sign-outs too: one for which there is no room fails, and says that nothing was done", async () => {
    const world = partitionWorld();
    const node = world.node({ unsavedMaxBytes: 2 * SIGN_OUT_BYTES });
    await create(node, user("u3"));
    down(node);
    for (const name of ["u1", "u2"]) {
      expect(await node.partitions.signOut(user(name))).toMatchObject({ status: "pending" });
    }
    await expect(node.partitions.signOut(user("u3"))).rejects.toMatchObject({
      code: "ERR_UNSAVED_FULL",
      retryable: true,
    });
    const everywhere = node.partitions.signOutEverywhere(ACCOUNT, [user("u3")]);
    await expect(everywhere).rejects.toMatchObject({ code: "ERR_UNSAVED_FULL" });
    expect(node.partitions.unsaved).toMatchObject({ size: 2, bytes: 2 * SIGN_OUT_BYTES });
    expect(node.events).toContainEqual(expect.objectContaining({ type: "unsaved-dropped", reason: "limit" }));
    node.link.heal();
    expect(await node.sees(user("u3"))).toBe("at-x");
    expect(await node.partitions.signOut(user("u3"))).toMatchObject({ status: "done" });
    await world.runtime.advance(LONG_MS);
    for (const name of ["u1", "u2"]) expect(await world.node().sees(user(name))).toBe("removed");
  });

  test.each([":account:", ":user:"])(
    "and so for everybody's part of a sign-out everywhere: %s",
    async (key) => {
      const node = partitionWorld().node({ unsavedMaxBytes: SIGN_OUT_BYTES });
      node.link.fail("put", { times: Infinity, key: ":user:" });
      expect(await node.partitions.signOut(user("u1"))).toMatchObject({ status: "pending" });
      node.link.heal();
      node.link.fail("put", { times: Infinity, key });
      const everywhere = node.partitions.signOutEverywhere(ACCOUNT, [USER]);
      await expect(everywhere).rejects.toMatchObject({ code: "ERR_UNSAVED_FULL" });
    },
  );

  test("sign-outs on their way to a healthy store push nothing out of it", async () => {
    const world = partitionWorld();
    const node = world.node({ unsavedMaxBytes: 2_500 });
    node.link.fail("all", { times: Infinity, key: ":u1" });
    await create(node, user("u1"));
    const bytes = node.partitions.unsaved.bytes;
    await Promise.all(["a", "b", "c", "d", "e"].map((name) => node.partitions.signOut(user(name))));
    expect(node.partitions.unsaved).toMatchObject({ size: 1, bytes, dropped: 0 });
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

  test("tries again what a pass under way has tried before the store came back", async () => {
    const world = partitionWorld();
    const node = world.node();
    await node.signIn("one");
    const renewal = await node.renew("two");
    down(node);
    await renewal.save();
    node.link.heal();
    node.link.fail("put");
    const underWay = node.partitions.drain();
    expect(await node.partitions.drain()).toBe(0);
    expect(await underWay).toBe(1);
    expect(await world.node().sees()).toBe("at-one at-two");
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

  test("a thousand results that wait are stored within a second of the store's return, 5 ms a call", async () => {
    const world = partitionWorld();
    const slow = <A extends unknown[], R>(call: (...values: A) => Promise<R>) => {
      return async (...values: A): Promise<R> => {
        await new Promise<void>((resolve) => void world.runtime.setTimer(resolve, 5));
        return call(...values);
      };
    };
    const { get, put } = world.store;
    const store = { ...world.store, get: slow(get), put: slow(put) };
    const node = world.node({ store, unsavedMaxBytes: 100_000_000 });
    down(node);
    const partitions = Array.from({ length: 1_000 }, (_, index) =>
      userPartition({ clientId: "app", issuer: "login.test" }, `user-${index}.tenant`),
    );
    await world.drive(Promise.all(partitions.map((partition) => node.signIn("one", partition))));
    expect(node.partitions.unsaved.size).toBe(1_000);
    node.link.heal();
    await world.runtime.advance(1_000);
    expect(node.partitions.unsaved.size).toBe(0);
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
