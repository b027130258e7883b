import { expect, test } from "vitest";
import { BOUND_MS, USER, accessTokensOf, partitionWorld, refreshTokenOf, signInBlob } from "./support.ts";

test("two nodes that renew at once both keep what they got", async () => {
  const world = partitionWorld();
  const [a, b] = [world.node(), world.node()];
  await a.signIn("one");
  const [first, second] = [await a.renew("mail", "mail.read"), await b.renew("files", "files.read")];
  expect(await world.drive(first.save())).toMatchObject({ saved: true });
  expect(await world.drive(second.save())).toMatchObject({ saved: true });
  expect(b.reported("conflict")).toBe(1);
  expect(await world.node().sees()).toBe("at-files at-mail at-one");
});

test("many nodes that renew at once lose nothing", async () => {
  const world = partitionWorld();
  await world.node().signIn("one");
  const scopes = Array.from({ length: 8 }, (_, i) => `api://${i}/read`);
  const renewals = await Promise.all(scopes.map((scope) => world.node().renew(scope, scope)));
  const saved = await world.drive(Promise.all(renewals.map((renewal) => renewal.save())));
  expect(saved.map((outcome) => outcome.saved)).toEqual(scopes.map(() => true));
  const state = await world.node().partitions.read(USER);
  if (state.status !== "present") throw new Error(state.status);
  expect(accessTokensOf(state.record)).toHaveLength(scopes.length + 1);
});

test("an undisturbed renewal costs one call to the store", async () => {
  const world = partitionWorld();
  const node = world.node({ chaos: { backplane: false } });
  await node.signIn("one");
  const renewal = await node.renew("two");
  await world.runtime.advance(BOUND_MS);
  node.link.forgetCalls();
  await renewal.save();
  expect(node.link.calls.map((call) => call.operation)).toEqual(["put"]);
});

test("a renewal that changed nothing writes nothing", async () => {
  const node = partitionWorld().node();
  await node.signIn("one");
  const state = await node.partitions.read(USER);
  if (state.status !== "present") throw new Error(state.status);
  node.link.forgetCalls();
  const outcome = await node.partitions.save(USER, {
    creates: false,
    signsIn: false,
    base: state.record,
    baseVersion: state.version,
    mine: structuredClone(state.record.blob),
    strengthens: false,
  });
  expect(outcome.saved).toBe(true);
  expect(node.link.calls).toEqual([]);
});

test("a write whose answer was lost is saved, once", async () => {
  const world = partitionWorld();
  const node = world.node();
  await node.signIn("one");
  const renewal = await node.renew("two");
  node.link.loseAnswer("put");
  expect(await renewal.save()).toMatchObject({ saved: true });
  expect(node.partitions.unsaved.size).toBe(0);
  expect(await world.node().sees()).toBe("at-one at-two");
});

test("a renewal gives up on a removal marker", async () => {
  const world = partitionWorld();
  const [a, b] = [world.node(), world.node()];
  await a.signIn("one");
  const renewal = await b.renew("late");
  expect(await a.partitions.signOut(USER)).toEqual({ status: "done", durable: true });
  expect(await renewal.save()).toMatchObject({ saved: false, superseded: "removed" });
  expect(b.reported("write-superseded")).toBe(1);
  expect(await world.node().sees()).toBe("removed");
});

test("a renewal gives up on another life than the one it began in", async () => {
  const world = partitionWorld();
  const [a, b] = [world.node(), world.node()];
  await a.signIn("one");
  const renewal = await b.renew("late");
  await a.partitions.signOut(USER);
  await a.signIn("again");
  expect(await renewal.save()).toMatchObject({ saved: false, superseded: "incarnation" });
  expect(await world.node().sees()).toBe("at-again");
});

test("a renewal that meets a sign-out between its read and its write gives up", async () => {
  const world = partitionWorld();
  const [a, b] = [world.node(), world.node()];
  await a.signIn("one");
  const renewal = await b.renew("late");
  b.link.interleave("put", () => a.partitions.signOut(USER));
  expect(await world.drive(renewal.save())).toMatchObject({ superseded: "removed" });
  expect(await world.node().sees()).toBe("removed");
});

test("a record that the store lost is written back by a renewal, and reported", async () => {
  const world = partitionWorld();
  const node = world.node();
  await node.signIn("one");
  const renewal = await node.renew("two");
  const there = await world.store.get(`ns:${USER.id}`);
  await world.store.delete(`ns:${USER.id}`, { ifVersion: typeof there === "object" ? there.version : "" });
  expect(await world.drive(renewal.save())).toMatchObject({ saved: true });
  expect(node.reported("record-restored")).toBe(1);
  expect(await world.node().sees()).toBe("at-one at-two");
});

test("of two sign-ins the later one's refresh token stays, whichever expires later", async () => {
  const world = partitionWorld();
  const [a, b] = [world.node(), world.node()];
  await a.signIn("first");
  await b.signIn("second");
  const state = await world.node().partitions.read(USER);
  if (state.status !== "present") throw new Error(state.status);
  expect(refreshTokenOf(state.record)).toBe("rt-second");
});

test("a renewal of an earlier sign-in does not displace the refresh token of a later one", async () => {
  const world = partitionWorld();
  const [a, b] = [world.node(), world.node()];
  await a.signIn("first");
  const renewal = await b.renew("stale");
  await a.signIn("second");
  await world.drive(renewal.save());
  const state = await world.node().partitions.read(USER);
  if (state.status !== "present") throw new Error(state.status);
  expect(refreshTokenOf(state.record)).toBe("rt-second");
});

test("a sign-in over living tokens is announced: other nodes do not go on with theirs", async () => {
  const world = partitionWorld();
  const [a, b] = [world.node(), world.node()];
  await a.signIn("one");
  await b.sees();
  await a.signIn("stronger");
  expect(b.partitions.peek(USER)).toBeUndefined();
});

test("a step-up that could not be announced is not reported as saved, and is announced later", async () => {
  const world = partitionWorld();
  const [a, b] = [world.node(), world.node()];
  await a.signIn("one");
  await b.sees();
  a.link.fail("publish");
  expect(await a.signIn("stronger")).toMatchObject({ saved: false });
  await world.runtime.advance(BOUND_MS / 2);
  expect(a.partitions.unsaved.size).toBe(0);
  expect(b.partitions.peek(USER)).toBeUndefined();
});

test("an ordinary renewal announces nothing", async () => {
  const node = partitionWorld().node();
  await node.signIn("one");
  node.link.forgetCalls();
  await (await node.renew("two")).save();
  expect(node.link.count("publish")).toBe(0);
});

test("expired access tokens are pruned with every write", async () => {
  const world = partitionWorld();
  const node = world.node();
  const blob = signInBlob("one");
  const expired = Object.fromEntries(
    Object.entries(blob.AccessToken).map(([key, token]) => [
      key,
      { ...token, expires_on: String(Math.floor(world.runtime.now() / 1000) - 1) },
    ]),
  );
  const mine = { ...blob, AccessToken: expired };
  await node.partitions.save(USER, {
    creates: true,
    signsIn: true,
    base: undefined,
    mine,
    strengthens: false,
  });
  expect(await world.node().sees()).toBe("");
});

test("a user's record is kept for the retention, counted from the last write if nobody uses it", async () => {
  const world = partitionWorld();
  const node = world.node({ retention: { userTtlMs: 100_000 } });
  await node.signIn("one");
  await world.runtime.advance(90_000);
  await (await node.renew("two")).save();
  await world.runtime.advance(99_999);
  expect(await world.store.get(node.partitions.key(USER))).toBeDefined();
  await world.runtime.advance(1);
  expect(await world.node().sees()).toBe("absent");
});

test("a record names its latest sign-ins, and not all there ever were", async () => {
  const world = partitionWorld();
  const node = world.node();
  for (let index = 0; index < 12; index++) await node.signIn(`sign-in-${index}`);
  const state = await node.partitions.read(USER);
  if (state.status !== "present") throw new Error(state.status);
  expect(new Set(state.record.signIns).size).toBe(8);
});
