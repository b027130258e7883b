import { expect, test } from "vitest";
import { createKeyRing } from "../../src/envelope/key-ring.ts";
import { keyIdOf } from "../../src/envelope/sealer.ts";
import { labelOf, movedFrom, withoutLabel } from "../../src/names/labels.ts";
import { hiddenNaming, nameKeyObject } from "../../src/names/naming.ts";
import type { Stored } from "../../src/store/blob-store.ts";
import { ADA, BEN, READ, createWorld, type World } from "../support/world.ts";

const [ONE, TWO] = [1, 2].map((fill) => new Uint8Array(32).fill(fill)) as [Uint8Array, Uint8Array];
const old = { id: "k1", key: new Uint8Array(32).fill(3) };
const fresh = { id: "k2", key: new Uint8Array(32).fill(4) };
const before = createKeyRing({ sealing: old });
const rotated = createKeyRing({ sealing: fresh, opening: [old] });

async function stored(world: World): Promise<[string, Stored][]> {
  const { keys } = await world.store.admin.keys({ prefix: "", limit: 1_000 });
  return Promise.all(
    keys.map(async (key) => [key, (await world.store.get(key)) as Stored] as [string, Stored]),
  );
}

async function peopleIn(world: World) {
  const node = world.node({ keys: before, names: { key: ONE } });
  const accounts = [];
  for (const user of [ADA, BEN]) accounts.push((await node.signIn(user)).account!);
  await node.client.removeAccount(accounts[1]!);
  await node.client.acquireTokenByClientCredential({ scopes: ["api://notes/.default"] });
  return accounts[0]!;
}

test("rekey leaves nothing under the old key: not a record, nor its label, nor a row without properties", async () => {
  const world = createWorld();
  const account = await peopleIn(world);
  const node = world.node({ keys: rotated, names: { key: ONE } });
  const { done, unreadable, conflicts } = await node.cache.rekey();
  expect({ done, unreadable, conflicts }).toEqual({ done: true, unreadable: 0, conflicts: 0 });
  for (const [, { bytes }] of await stored(world)) {
    expect(keyIdOf(labelOf(bytes)!)).toBe("k2");
    expect(keyIdOf(withoutLabel(bytes))).toBe("k2");
  }
  const { rows } = await world.store.activity.list({ limit: 100 });
  expect(rows.map(({ row }) => keyIdOf(row.sealedProperties!))).toEqual(["k2"]);
  const last = world.node({ keys: createKeyRing({ sealing: fresh }), names: { key: ONE } });
  expect((await last.client.acquireTokenSilent({ account, scopes: READ })).metadata.tokenSource).toBe(
    "cache",
  );
  expect((await node.cache.rekey()).resealed).toBe(0);
});

test("rekey by a process that moves names moves what nobody has written, so that the old name key can go", async () => {
  const world = createWorld();
  const account = await peopleIn(world);
  const mover = world.node({ keys: before, names: { key: TWO, previous: ONE } });
  expect(await mover.cache.rekey()).toMatchObject({ done: true, unreadable: 0, conflicts: 0 });
  const naming = hiddenNaming("tokenkeep", nameKeyObject(TWO, "key"));
  const left = (await stored(world)).filter(([name]) => !name.startsWith(naming.prefix));
  expect(left.map(([, mark]) => movedFrom(mark)?.bytes.length)).toEqual(left.map(() => 0));
  const { rows } = await world.store.activity.list({ limit: 100 });
  expect(rows.every(({ row }) => row.accountKey.startsWith(naming.prefix))).toBe(true);
  const last = world.node({ keys: before, names: { key: TWO } });
  expect((await last.client.acquireTokenSilent({ account, scopes: READ })).metadata.tokenSource).toBe(
    "cache",
  );
  expect((await mover.cache.rekey()).resealed).toBe(0);
});

test("rekey counts what this process cannot open, records and rows, and does all the rest", async () => {
  const world = createWorld();
  const newer = createKeyRing({ sealing: { id: "k3", key: new Uint8Array(32).fill(5) } });
  await world.node({ keys: before, names: { key: ONE } }).signIn(ADA);
  const ahead = world.node({ keys: newer, names: { key: ONE } });
  await ahead.client.acquireTokenByClientCredential({ scopes: ["api://notes/.default"] });
  await ahead.signIn(BEN);
  const node = world.node({ keys: rotated, names: { key: ONE } });
  const all = (await stored(world)).length;
  const { rows } = await world.store.activity.list({ limit: 100 });
  expect(await node.cache.rekey()).toMatchObject({
    done: true,
    scanned: all + rows.length,
    unreadable: 3, // two records, and a row
    conflicts: 0,
  });
  for (const [, { bytes }] of await stored(world)) expect(["k2", "k3"]).toContain(keyIdOf(labelOf(bytes)!));
});
