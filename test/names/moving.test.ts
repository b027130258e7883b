import { expect, test } from "vitest";
import { memoryStore } from "../../src/adapters/memory.ts";
import { createSealer } from "../../src/envelope/sealer.ts";
import { nameKeyObject } from "../../src/names/naming.ts";
import { nameStore } from "../../src/names/named-store.ts";
import { namingsOf, type NameKeys } from "../../src/names/namings.ts";
import type { Stored } from "../../src/store/blob-store.ts";
import type { Store } from "../../src/store/store.ts";
import type { TokenkeepEvent } from "../../src/telemetry/events.ts";
import { fakeRuntime } from "../adapters/fake-runtime.ts";
import { chaosStore } from "../support/chaos.ts";
import { ADA, BEN, READ, createWorld, testKeys } from "../support/world.ts";

const bytesOf = (key: Uint8Array) => nameKeyObject(key, "key");
const [one, two] = [bytesOf(new Uint8Array(32).fill(1)), bytesOf(new Uint8Array(32).fill(2))];
const KEY = "tokenkeep:user:client:issuer:somebody";
const LONG = { ttlMs: 3_600_000 };

function place() {
  const runtime = fakeRuntime();
  const inner = memoryStore({ runtime });
  const link = chaosStore(inner);
  const events: TokenkeepEvent[] = [];
  const named = (names: NameKeys, store: Store = inner): Store =>
    nameStore(store, {
      namings: namingsOf("tokenkeep", names),
      sealer: createSealer(testKeys(), runtime),
      namespace: "tokenkeep",
      runtime,
      emit: (event) => void events.push(event),
    });
  return { runtime, link, named, events, namesOf: (names: NameKeys) => namingsOf("tokenkeep", names) };
}

const textOf = (stored: Stored | "unchanged" | undefined): string | undefined =>
  typeof stored === "object" ? Buffer.from(stored.bytes).toString() : stored;

test.each([
  ["a follower", { key: one, next: two }],
  ["a mover", { key: two, previous: one }],
])("a record that moves between the two readings of %s is found", async (_who, names: NameKeys) => {
  const { link, named, namesOf } = place();
  await named({ key: one }).put(KEY, Buffer.from("first"), { version: "1", ifVersion: null, ...LONG });
  // The new name has been looked at, in vain; the old one not yet.
  const looked = link.holdAfter("get", { key: namesOf({ key: two }).current.name(KEY) });
  const looking = link.holdBefore("get", { key: namesOf({ key: one }).current.name(KEY) });
  const reading = named(names, link).get(KEY);
  await Promise.all([looked.arrived, looking.arrived]);
  const how = { version: "2", ifVersion: "1", ...LONG };
  const mover = named({ key: two, previous: one });
  expect(await mover.put(KEY, Buffer.from("moved"), how)).toEqual({ stored: true });
  looking.open();
  looked.open();
  expect(textOf(await reading)).toBe("moved");
});

test("what is new for its writer is not new where the record has moved long ago", async () => {
  const { named, runtime } = place();
  const mover = named({ key: two, previous: one });
  const follower = named({ key: one, next: two });
  await mover.put(KEY, Buffer.from("there"), { version: "1", ifVersion: null, ...LONG });
  await runtime.advance(900_000);
  for (const late of [follower, mover]) {
    const answer = await late.put(KEY, Buffer.from("late"), { version: "9", ifVersion: null, ...LONG });
    expect(answer).toMatchObject({ stored: false, current: { version: "1" } });
    expect(textOf(await late.get(KEY))).toBe("there");
  }
});

test("a writer that read before a move loses, and is told what lies there now", async () => {
  const { named } = place();
  const follower = named({ key: one, next: two });
  await follower.put(KEY, Buffer.from("first"), { version: "1", ifVersion: null, ...LONG });
  await named({ key: two, previous: one }).put(KEY, Buffer.from("moved"), {
    version: "2",
    ifVersion: "1",
    ...LONG,
  });
  const late = await follower.put(KEY, Buffer.from("late"), { version: "3", ifVersion: "1", ...LONG });
  expect(late).toMatchObject({ stored: false, current: { version: "2" } });
  const creation = await follower.put(KEY, Buffer.from("new"), { version: "4", ifVersion: null, ...LONG });
  expect(creation).toMatchObject({ stored: false, current: { version: "2" } });
  const next = await follower.put(KEY, Buffer.from("next"), { version: "5", ifVersion: "2", ...LONG });
  expect(next).toEqual({ stored: true });
  expect(textOf(await named({ key: two }).get(KEY))).toBe("next");
});

test("of two processes on both sides that create at once, one does", async () => {
  const { named } = place();
  const nodes = [named({ key: one, next: two }), named({ key: two, previous: one })];
  for (let round = 0; round < 20; round += 1) {
    const key = `${KEY}${round}`;
    const answers = await Promise.all(
      nodes.map((node, index) =>
        node.put(key, Buffer.from(`${index}`), { version: `${round}-${index}`, ifVersion: null, ...LONG }),
      ),
    );
    const winner = answers.findIndex(({ stored }) => stored);
    expect(answers.filter(({ stored }) => stored)).toHaveLength(1);
    for (const node of nodes) expect(textOf(await node.get(key))).toBe(`${winner}`);
  }
});

test("keys are listed by what they are, once each, wherever their records lie", async () => {
  const { named, events } = place();
  const put = (store: Store, key: string, version: string, ifVersion: string | null = null) =>
    store.put(key, Buffer.from(key), { version, ifVersion, ...LONG });
  await put(named({ key: one }), "tokenkeep:a", "1");
  await put(named({ key: one }), "tokenkeep:b", "2");
  const mover = named({ key: two, previous: one });
  await put(mover, "tokenkeep:a", "3", "1");
  await put(mover, "tokenkeep:c", "4");
  for (const store of [mover, named({ key: one, next: two })]) {
    const keys: string[] = [];
    let cursor: string | undefined;
    do {
      const page = await store.admin!.keys({ prefix: "tokenkeep:", limit: 10, ...(cursor && { cursor }) });
      keys.push(...page.keys);
      cursor = page.cursor;
    } while (cursor !== undefined);
    expect(keys.toSorted()).toEqual(["tokenkeep:a", "tokenkeep:b", "tokenkeep:c"]);
  }
  expect(events).toEqual([]);
});

test("an account whose row moves while accounts are listed is listed once", async () => {
  const world = createWorld();
  const [ONE, TWO] = [1, 2].map((fill) => new Uint8Array(32).fill(fill)) as [Uint8Array, Uint8Array];
  const before = world.node({ names: { key: ONE } });
  for (const user of [ADA, BEN]) await before.signIn(user);
  const mover = world.node({ names: { key: TWO, previous: ONE } });
  const seen: string[] = [];
  for await (const { username } of mover.cache.accounts()) {
    seen.push(username);
    await mover.signIn(username);
  }
  expect(seen.toSorted()).toEqual([ADA, BEN]);
});

test("a record that is kept for ever moves like any other", async () => {
  const world = createWorld();
  const ever = { retention: { userTtlMs: Number.MAX_VALUE } };
  const [old, fresh] = [new Uint8Array(32).fill(1), new Uint8Array(32).fill(2)];
  const { account } = await world.node({ ...ever, names: { key: old } }).signIn(ADA);
  const request = { account: account!, scopes: READ };
  const mover = world.node({ ...ever, names: { key: fresh, previous: old } });
  const renewed = await mover.client.acquireTokenSilent({ ...request, forceRefresh: true });
  expect(renewed.metadata.saved).toBe(true);
  const after = world.node({ ...ever, names: { key: fresh } });
  expect((await after.client.acquireTokenSilent(request)).metadata.tokenSource).toBe("cache");
});
