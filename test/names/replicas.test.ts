import { describe, expect, test } from "vitest";
import type { NamesOptions } from "../../src/options.ts";
import type { Store } from "../../src/store/store.ts";
import { ADA, createWorld } from "../support/world.ts";

const [ONE, TWO] = [1, 2].map((fill) => new Uint8Array(32).fill(fill)) as [Uint8Array, Uint8Array];

const one: NamesOptions = { key: ONE };
const known: NamesOptions = { key: ONE, next: TWO };
const moving: NamesOptions = { key: TWO, previous: ONE };

/** What a sign-out says in a store that answers so of what lies under each name that there is. */
async function signedOut(names: NamesOptions, answers: (name: string) => boolean | undefined) {
  const world = createWorld();
  const asked: string[] = [];
  const replicated: Store["replicated"] = async (name) => {
    asked.push(name);
    return (await world.store.get(name)) === undefined ? undefined : answers(name);
  };
  const node = world.node({ names, store: { ...world.store, replicated } });
  const { account } = await node.signIn(ADA);
  return { outcome: await node.client.removeAccount(account!), asked, events: node.events };
}

describe("a sign-out under names in a store with replicas", () => {
  test.each([
    ["one name key", one],
    ["the next name key is known", known],
    ["names move", moving],
  ])("is not durable if none had it in time: %s", async (_fleet, names) => {
    const { outcome, asked, events } = await signedOut(names, () => false);
    expect(outcome).toEqual({ status: "done", durable: false });
    expect(events.map(({ type }) => type)).toContain("write-unreplicated");
    for (const name of asked) expect(name).toMatch(/^tokenkeep:h-/);
  });

  test.each([
    ["one name key", one],
    ["the next name key is known", known],
    ["names move", moving],
  ])("is durable once one has it: %s", async (_fleet, names) => {
    const { outcome, asked } = await signedOut(names, () => true);
    expect(outcome).toEqual({ status: "done", durable: true });
    expect(asked).not.toEqual([]);
  });

  test("asks nobody where the store knows nothing of replicas", async () => {
    const world = createWorld();
    const node = world.node({ names: one });
    const { account } = await node.signIn(ADA);
    expect(await node.client.removeAccount(account!)).toEqual({ status: "done", durable: true });
  });
});
