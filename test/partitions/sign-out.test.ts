import { describe, expect, test } from "vitest";
import { TokenkeepError } from "../../src/errors.ts";
import { settle } from "../support/settle.ts";
import { ACCOUNT, BOUND_MS, SKEW_MS, STALE_MS, USER, obo, partitionWorld, signInBlob } from "./support.ts";
import type { PartitionNode } from "./support.ts";

const DONE = { status: "done", durable: true };
const PENDING = { status: "pending", durable: false };
const LONG_MS = 120_000;

describe("while the store is there", () => {
  test("sign-out puts a marker, also where nothing is", async () => {
    const world = partitionWorld();
    expect(await world.node().partitions.signOut(USER)).toEqual(DONE);
    expect(await world.node().sees()).toBe("removed");
  });

  test("every other process sees it at once, by its message", async () => {
    const world = partitionWorld();
    const [a, b] = [world.node(), world.node()];
    await a.signIn("one");
    await b.sees();
    await a.partitions.signOut(USER);
    expect(b.partitions.peek(USER)).toBeUndefined();
    expect(await b.sees()).toBe("removed");
  });

  test("a sign-out that nobody could be told of is pending, and is told later", async () => {
    const world = partitionWorld();
    const [a, b] = [world.node(), world.node()];
    await a.signIn("one");
    await b.sees();
    a.link.fail("publish");
    expect(await a.partitions.signOut(USER)).toEqual(PENDING);
    await world.runtime.advance(BOUND_MS / 2);
    expect(b.partitions.peek(USER)).toBeUndefined();
    expect(a.partitions.unsaved.size).toBe(0);
  });

  test("it lands although others write at the same time", async () => {
    const world = partitionWorld();
    const [a, b] = [world.node(), world.node()];
    await a.signIn("one");
    const renewal = await b.renew("late");
    a.link.interleave("put", () => renewal.save());
    expect(await world.drive(a.partitions.signOut(USER))).toEqual(DONE);
    expect(await world.node().sees()).toBe("removed");
  });

  test("a marker whose answer was lost counts as done", async () => {
    const world = partitionWorld();
    const node = world.node();
    await node.signIn("one");
    node.link.loseAnswer("put");
    expect(await node.partitions.signOut(USER)).toEqual(DONE);
    expect(await world.node().sees()).toBe("removed");
  });

  test("a renewal of the same process that is being written does not come back", async () => {
    const world = partitionWorld();
    const node = world.node();
    await node.signIn("one");
    const gate = node.link.holdAfter("put");
    const late = (await node.renew("late")).save();
    await gate.arrived;
    const signOut = node.partitions.signOut(USER);
    await settle();
    gate.open();
    await late;
    expect(await world.drive(signOut)).toEqual(DONE);
    expect(node.partitions.peek(USER)).toBeUndefined();
    expect(await node.sees()).toBe("removed");
  });

  test("shared work of the partition is detached: nobody joins what began before", async () => {
    const node = partitionWorld().node();
    const { flights, key } = node.partitions;
    const never = Promise.withResolvers<string>();
    const first = flights.run(key(USER), "x", () => never.promise);
    await node.partitions.signOut(USER);
    expect(await flights.run(key(USER), "x", () => Promise.resolve("second"))).toBe("second");
    never.resolve("first");
    expect(await first).toBe("first");
  });

  test("a new sign-in begins a new life, and the old one's renewals stay out of it", async () => {
    const world = partitionWorld();
    const node = world.node();
    await node.signIn("one");
    await node.partitions.signOut(USER);
    expect(await node.signIn("two")).toMatchObject({ saved: true });
    expect(await world.node().sees()).toBe("at-two");
  });

  test("the next life is later than the sign-out and has a name of its own, also by a clock that is behind", async () => {
    const world = partitionWorld();
    const [node, away] = [world.node(), world.node({ chaos: { backplane: false } })];
    await away.signIn("one");
    await node.partitions.signOut(USER);
    const ended = await node.partitions.read(USER);
    await node.signIn("two", USER, { signedInAtMs: world.runtime.now() - LONG_MS });
    const begun = await node.partitions.read(USER);
    if (ended.status !== "removed" || begun.status !== "present") throw new Error(begun.status);
    expect(begun.record.signedInAtMs).toBeGreaterThan(ended.marker.removedAtMs);
    expect(begun.record.afterMs).toBe(ended.marker.removedAtMs);
    // One that waits where the ended life still lies in memory had joined it.
    await away.partitions.signOut(USER);
    await away.signIn("three");
    away.link.fail("all", { times: Infinity });
    await away.signIn("waits", USER, { signedInAtMs: world.runtime.now() + 3 * SKEW_MS });
    await node.partitions.signOut(USER);
    const marker = await node.partitions.read(USER);
    away.link.heal();
    await world.runtime.advance(LONG_MS);
    const returned = await node.partitions.read(USER, { fresh: true });
    if (returned.status !== "present" || marker.status !== "removed") throw new Error(returned.status);
    expect(returned.record.incarnation).not.toBe(marker.marker.incarnation);
  });

  test("anything but a sign-in does not bring a life back, although it creates", async () => {
    const node = partitionWorld().node();
    await node.partitions.signOut(obo("x"));
    const outcome = await node.partitions.save(obo("x"), {
      creates: true,
      signsIn: false,
      base: undefined,
      mine: signInBlob("obo"),
      strengthens: false,
    });
    expect(outcome).toMatchObject({ saved: false, superseded: "removed" });
  });

  test("the marker lives for its retention, and then nothing is there", async () => {
    const world = partitionWorld();
    const node = world.node({ retention: { removalMarkerTtlMs: 50_000 } });
    await node.partitions.signOut(USER);
    await world.runtime.advance(49_999);
    expect(await world.node().sees()).toBe("removed");
    await world.runtime.advance(1);
    expect(await world.node().sees()).toBe("absent");
  });
});

describe("while the store is full", () => {
  const full = new TokenkeepError("ERR_STORE_FULL", "full", { retryable: true });

  test("sign-out deletes, and says that this is less", async () => {
    const world = partitionWorld();
    const [a, b] = [world.node(), world.node()];
    await a.signIn("one");
    await b.sees();
    a.link.fail("put", { error: full, times: Infinity });
    expect(await a.partitions.signOut(USER)).toEqual({ status: "done", durable: false });
    expect(await world.node().sees()).toBe("absent");
    expect(b.partitions.peek(USER)).toBeUndefined();
  });
});

const down = (node: PartitionNode): void => node.link.fail("all", { times: Infinity });

describe("while the store is down", () => {
  test("sign-out is pending, and this process has forgotten the tokens at once", async () => {
    const world = partitionWorld();
    const node = world.node();
    await node.signIn("one");
    down(node);
    expect(await node.partitions.signOut(USER)).toEqual(PENDING);
    expect(node.partitions.peek(USER)).toBeUndefined();
    expect(await node.sees()).toBe("removed");
    expect(node.events).toContainEqual(expect.objectContaining({ type: "signed-out", status: "pending" }));
  });

  test("it lands when the store answers again", async () => {
    const world = partitionWorld();
    const node = world.node();
    await node.signIn("one");
    down(node);
    await node.partitions.signOut(USER);
    node.link.heal();
    expect(await world.node().sees()).toBe("at-one");
    await world.runtime.advance(LONG_MS);
    expect(await world.node().sees()).toBe("removed");
    expect(node.partitions.unsaved.size).toBe(0);
  });

  test("a store that has answered somebody is told at once, whatever the back-off says", async () => {
    const world = partitionWorld();
    const node = world.node();
    await node.signIn("one");
    down(node);
    await node.partitions.signOut(USER);
    await world.runtime.advance(LONG_MS);
    node.link.heal();
    await node.sees(obo("somebody else's"));
    await world.runtime.advance(1);
    expect(await world.node().sees()).toBe("removed");
  });

  describe("when it lands", () => {
    const landing = async (setting: {
      readonly a: PartitionNode;
      readonly world: ReturnType<typeof partitionWorld>;
    }): Promise<string> => {
      setting.a.link.heal();
      await setting.world.runtime.advance(LONG_MS);
      const there = await setting.world.node().sees();
      expect(await setting.a.sees()).toBe(there);
      return there;
    };

    test("it does not end a sign-in that came after it elsewhere", async () => {
      const world = partitionWorld();
      const [a, b] = [world.node(), world.node()];
      await a.signIn("one");
      down(a);
      await a.partitions.signOut(USER);
      await b.partitions.signOut(USER);
      await world.runtime.advance(2 * SKEW_MS);
      await b.signIn("newer");
      expect(await landing({ a, world })).toBe("at-newer");
    });

    test("it does not end a life that somebody has signed in to since, although that began before", async () => {
      const world = partitionWorld();
      const [a, b] = [world.node(), world.node()];
      await b.signIn("one");
      down(a);
      await a.partitions.signOut(USER);
      await world.runtime.advance(2 * SKEW_MS);
      await b.signIn("newer");
      expect(await landing({ a, world })).toContain("at-newer");
    });

    test("it ends a life that began before it, although this process never knew of that one", async () => {
      const world = partitionWorld();
      const [a, b] = [world.node(), world.node()];
      await a.signIn("one");
      down(a);
      await b.partitions.signOut(USER);
      await b.signIn("unknown here");
      await world.runtime.advance(2 * SKEW_MS);
      await a.partitions.signOut(USER);
      expect(await landing({ a, world })).toBe("removed");
    });

    test("in doubt, closer together than clocks may differ, it ends the other one", async () => {
      const world = partitionWorld();
      const [a, b] = [world.node(), world.node()];
      down(a);
      await a.partitions.signOut(USER);
      await world.runtime.advance(SKEW_MS);
      await b.signIn("as late as clocks may differ");
      expect(await landing({ a, world })).toBe("removed");
    });

    test("it ends a record of an older release, which says nothing of its sign-in", async () => {
      const world = partitionWorld();
      const [a, b] = [world.node(), world.node()];
      down(a);
      await a.partitions.signOut(USER);
      await world.runtime.advance(2 * SKEW_MS);
      await b.signIn("undated", USER, { signedInAtMs: undefined });
      expect(await landing({ a, world })).toBe("removed");
    });

    test("an older sign-out that is there does not stand for it: what waits elsewhere must be younger than both", async () => {
      const world = partitionWorld();
      const [a, b, c] = [world.node(), world.node(), world.node()];
      await b.partitions.signOut(USER);
      down(c);
      await world.runtime.advance(2 * SKEW_MS);
      await c.signIn("between");
      await world.runtime.advance(2 * SKEW_MS);
      down(a);
      await a.partitions.signOut(USER);
      expect(await landing({ a, world })).toBe("removed");
      expect(await landing({ a: c, world })).toBe("removed");
    });
  });

  test("a sign-in after it, in the same process, is stored after it", async () => {
    const world = partitionWorld();
    const node = world.node();
    await node.signIn("one");
    down(node);
    await node.partitions.signOut(USER);
    expect(await node.signIn("two")).toMatchObject({ saved: false });
    expect(await node.sees()).toBe("at-two");
    node.link.heal();
    await world.runtime.advance(LONG_MS);
    expect(await world.node().sees()).toBe("at-two");
  });

  test("the next sign-in takes a higher grant than it ended, also where the store has lost that", async () => {
    const world = partitionWorld();
    const node = world.node();
    await node.signIn("one");
    await node.signIn("two");
    down(node);
    await node.partitions.signOut(USER);
    const key = node.partitions.key(USER);
    const stored = await world.store.get(key);
    if (typeof stored === "object") await world.store.delete(key, { ifVersion: stored.version });
    node.link.heal();
    await world.runtime.advance(LONG_MS);
    expect(await world.node().partitions.read(USER)).toMatchObject({ marker: { grant: 2 } });
  });

  test("a second sign-out after that ends both lives", async () => {
    const world = partitionWorld();
    const node = world.node();
    await node.signIn("one");
    down(node);
    await node.partitions.signOut(USER);
    await node.signIn("two");
    await node.partitions.signOut(USER);
    node.link.heal();
    await world.runtime.advance(LONG_MS);
    expect(await world.node().sees()).toBe("removed");
  });

  test("it ends what the store had, also if this process knew of its own sign-in only", async () => {
    const world = partitionWorld();
    await world.node().signIn("old");
    const node = world.node();
    down(node);
    await node.signIn("two");
    await node.partitions.signOut(USER);
    node.link.heal();
    await world.runtime.advance(LONG_MS);
    expect(await world.node().sees()).toBe("removed");
  });

  test("a sign-in that waits does not survive a younger sign-out elsewhere", async () => {
    const world = partitionWorld();
    const [a, b] = [world.node(), world.node()];
    down(a);
    await a.partitions.signOut(USER);
    await a.signIn("waits");
    await b.signIn("one");
    await b.partitions.signOut(USER);
    await b.signIn("two");
    await b.partitions.signOut(USER);
    a.link.heal();
    await world.runtime.advance(LONG_MS);
    expect(await world.node().sees()).toBe("removed");
  });

  test("a renewal that was waiting is gone with the sign-out", async () => {
    const world = partitionWorld();
    const node = world.node();
    await node.signIn("one");
    const renewal = await node.renew("two");
    down(node);
    expect(await renewal.save()).toMatchObject({ saved: false });
    await node.partitions.signOut(USER);
    node.link.heal();
    await world.runtime.advance(LONG_MS);
    expect(await world.node().sees()).toBe("removed");
    expect(await node.sees()).toBe("removed");
  });
});

describe("everywhere", () => {
  const entry = (assertion: string, expiresAtMs = 2e12) =>
    ({ id: obo(assertion).id, kind: "obo", expiresAtMs }) as const;

  const saveObo = (node: PartitionNode, assertion: string) =>
    node.partitions.save(obo(assertion), {
      creates: true,
      signsIn: false,
      base: undefined,
      mine: signInBlob(assertion),
      strengthens: false,
    });

  test("ends the user's partition and every one that the account record lists", async () => {
    const world = partitionWorld();
    const node = world.node();
    await node.signIn("one");
    for (const assertion of ["x", "y"]) {
      await node.partitions.list(ACCOUNT, entry(assertion));
      await saveObo(node, assertion);
    }
    expect(await node.partitions.signOutEverywhere(ACCOUNT, [USER])).toEqual(DONE);
    const other = world.node();
    expect(await other.sees()).toBe("removed");
    expect(await other.sees(obo("x"))).toBe("removed");
    expect(await other.sees(obo("y"))).toBe("removed");
    expect((await other.partitions.account(ACCOUNT)).signedOutAtMs).toBe(world.runtime.now());
  });

  test("two nodes that list partitions at once both keep theirs", async () => {
    const world = partitionWorld();
    const [a, b] = [world.node(), world.node()];
    a.link.interleave("put", () => b.partitions.list(ACCOUNT, entry("b")));
    await world.drive(a.partitions.list(ACCOUNT, entry("a")));
    const record = await world.node().partitions.account(ACCOUNT);
    expect(record.partitions.map((listed) => listed.id).toSorted()).toEqual(
      [obo("a").id, obo("b").id].toSorted(),
    );
  });

  test("expired entries leave the account record with the next write", async () => {
    const world = partitionWorld();
    const node = world.node();
    await node.partitions.list(ACCOUNT, entry("short", world.runtime.now() + 1_000));
    await world.runtime.advance(1_000);
    await node.partitions.list(ACCOUNT, entry("long"));
    const record = await node.partitions.account(ACCOUNT);
    expect(record.partitions.map((listed) => listed.id)).toEqual([obo("long").id]);
  });

  test("listing what is listed already writes nothing", async () => {
    const node = partitionWorld().node();
    await node.partitions.list(ACCOUNT, entry("x"));
    node.link.forgetCalls();
    await node.partitions.list(ACCOUNT, entry("x"));
    expect(node.link.count("put")).toBe(0);
  });

  test("a partition that is listed while the sign-out runs is ended, or learns of the sign-out", async () => {
    const world = partitionWorld();
    const [a, b] = [world.node(), world.node()];
    let known: number | undefined;
    b.link.interleave("put", async () => {
      known = (await a.partitions.list(ACCOUNT, entry("x"))).record.signedOutAtMs;
    });
    await world.drive(b.partitions.signOutEverywhere(ACCOUNT, [USER]));
    const saved = await saveObo(a, "x");
    expect(known === undefined ? saved : { saved: false }).toMatchObject({ saved: false });
    expect(await world.node().sees(obo("x"))).toBe("removed");
  });

  test("whoever lists a partition afterwards is told when that was", async () => {
    const world = partitionWorld();
    const [a, b] = [world.node(), world.node()];
    await a.partitions.signOutEverywhere(ACCOUNT, [USER]);
    expect((await b.partitions.list(ACCOUNT, entry("late"))).record.signedOutAtMs).toBe(world.runtime.now());
  });

  test("with the store down it is pending, and ends the listed ones when the store answers", async () => {
    const world = partitionWorld();
    const [a, b] = [world.node(), world.node()];
    await b.signIn("one");
    await b.partitions.list(ACCOUNT, entry("x"));
    await saveObo(b, "x");
    a.link.fail("all", { times: Infinity });
    expect(await a.partitions.signOutEverywhere(ACCOUNT, [USER])).toEqual(PENDING);
    a.link.heal();
    expect((await a.partitions.list(ACCOUNT, entry("x"))).record.signedOutAtMs).toBe(world.runtime.now());
    await world.runtime.advance(LONG_MS);
    expect(await world.node().sees()).toBe("removed");
    expect(await world.node().sees(obo("x"))).toBe("removed");
    expect((await world.node().partitions.account(ACCOUNT)).signedOutAtMs).toBeDefined();
  });

  test("that waits ends no partition of an assertion that was issued after it", async () => {
    const world = partitionWorld();
    const [a, b] = [world.node(), world.node()];
    down(a);
    const issuedAtMs = world.runtime.now();
    expect(await a.partitions.signOutEverywhere(ACCOUNT, [USER])).toEqual(PENDING);
    await world.runtime.advance(2 * SKEW_MS);
    for (const [name, signedInAtMs] of [
      ["old", issuedAtMs],
      ["new", world.runtime.now()],
    ] as const) {
      await world.drive(b.partitions.list(ACCOUNT, entry(name)));
      await b.signIn(name, obo(name), { signsIn: false, signedInAtMs });
    }
    // What waits beside it is ended no more than what is stored.
    await world.drive(b.partitions.list(ACCOUNT, entry("waits")));
    await a.signIn("waits", obo("waits"), { signsIn: false, signedInAtMs: world.runtime.now() });
    a.link.heal();
    await world.runtime.advance(LONG_MS);
    expect(await world.node().sees(obo("waits"))).toBe("at-waits");
    expect(await world.node().sees(obo("old"))).toBe("removed");
    expect(await world.node().sees(obo("new"))).toBe("at-new");
    expect(await a.sees(obo("new"))).toBe("at-new");
  });

  test("is not done before its stamp is in the store, although every partition has been ended", async () => {
    const world = partitionWorld();
    const node = world.node();
    await node.signIn("one");
    node.link.fail("put", { key: ":account:", times: Infinity });
    expect(await node.partitions.signOutEverywhere(ACCOUNT, [USER])).toEqual(PENDING);
    node.link.heal();
    await world.runtime.advance(LONG_MS);
    expect((await world.node().partitions.account(ACCOUNT)).signedOutAtMs).toBeDefined();
  });

  test("the stamp outlives every entry by the marker's retention", async () => {
    const world = partitionWorld();
    const node = world.node({ retention: { removalMarkerTtlMs: 3 * STALE_MS } });
    await node.partitions.signOutEverywhere(ACCOUNT, [USER]);
    await world.runtime.advance(3 * STALE_MS - 1);
    expect((await world.node().partitions.account(ACCOUNT)).signedOutAtMs).toBeDefined();
  });
});
