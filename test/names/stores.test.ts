/** A name key changes on every store: versions, marks and rows that none of them may take for something else. */
import { describe, expect, test, vi } from "vitest";
import type { NamesOptions } from "../../src/options.ts";
import { createKeyRing } from "../../src/envelope/key-ring.ts";
import { driveStores } from "../canary/stores.ts";
import { collect } from "../support/collect.ts";
import { ADA, BEN, READ, createNode, createWorld, type Node } from "../support/world.ts";

vi.setConfig({ testTimeout: 120_000, hookTimeout: 60_000 });

const [ONE, TWO] = [1, 2].map((fill) => new Uint8Array(32).fill(fill)) as [Uint8Array, Uint8Array];
const keys = createKeyRing({ sealing: { id: "k1", key: new Uint8Array(32).fill(7) } });

const steps: readonly (NamesOptions | undefined)[] = [
  undefined,
  { key: "clear", next: ONE },
  { key: ONE, previous: "clear" },
  { key: ONE },
  { key: ONE, next: TWO },
  { key: TWO, previous: ONE },
  { key: TWO },
];

describe.each(driveStores)("$name", ({ start }) => {
  test("from no name key to one and to another, step by step, everybody stays signed in, and who signed out stays out", async () => {
    const backend = await start();
    const { authority } = createWorld();
    const nodes: Node[] = [];
    const process = async (names: NamesOptions | undefined): Promise<Node> => {
      const node = createNode(authority, { store: await backend.open(), keys, ...(names && { names }) });
      nodes.push(node);
      return node;
    };
    const silent = ({ client }: Node, account: unknown, more = {}) =>
      client.acquireTokenSilent({ account: account as never, scopes: READ, ...more });
    try {
      const first = await process(steps[0]);
      const [ada, ben] = [(await first.signIn(ADA)).account!, (await first.signIn(BEN)).account!];
      for (const names of steps.slice(1)) {
        // Half the farm is a step behind.
        const [behind, ahead] = [nodes.at(-1)!, await process(names)];
        await silent(ahead, ada, { forceRefresh: true });
        await silent(behind, ada, { forceRefresh: true });
        const [one, other] = [await silent(await process(names), ada), await silent(ahead, ada)];
        expect(one.metadata.tokenSource).toBe("cache");
        expect(other.account?.username).toBe(ADA);
        const { done, unreadable, conflicts } = await ahead.cache.rekey();
        expect({ done, unreadable, conflicts }).toEqual({ done: true, unreadable: 0, conflicts: 0 });
        const listed = (await collect(ahead.cache.accounts())).map(({ username }) => username);
        expect(listed.toSorted()).toEqual([ADA, BEN]);
      }
      const last = nodes.at(-1)!;
      expect((await silent(last, ben)).metadata.tokenSource).toBe("cache");
      expect(await last.client.removeAccount(ben)).toEqual({ status: "done", durable: true });
      await expect(silent(await process(steps.at(-1)), ben)).rejects.toThrow();
      expect((await collect(last.cache.accounts())).map(({ username }) => username)).toEqual([ADA]);
    } finally {
      for (const { cache } of nodes) await cache.close();
      await backend.close();
    }
  });
});
