/** A rotation and a rekey over every kind of store that several processes share. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import { filesystemStore } from "../../src/adapters/filesystem.ts";
import { sqliteStore } from "../../src/adapters/sqlite.ts";
import { createSealer, keyIdOf } from "../../src/envelope/sealer.ts";
import { createKeyRing, type KeyRing, type Store } from "../../src/index.ts";
import { systemRuntime } from "../../src/runtime.ts";
import { createNode, createWorld, READ } from "../support/world.ts";
import { sharedStores } from "./shared-stores.ts";

vi.setConfig({ testTimeout: 120_000, hookTimeout: 60_000 });

const USERS = Array.from({ length: 12 }, (_, index) => `user${index}@contoso.example`);

const key = (id: string): { id: string; key: Uint8Array } => ({
  id,
  key: new Uint8Array(32).fill(id.charCodeAt(0)),
});
const ring = (sealing: string, ...opening: string[]): KeyRing =>
  createKeyRing({ sealing: key(sealing), opening: opening.map(key) });

/** A record that has an hour left, although the policy gives its kind 90 days. */
async function plantOld(store: Store): Promise<void> {
  const at = "rekey:user:client:issuer:idle";
  const context = { namespace: "rekey", key: at, kind: "user" };
  const bytes = createSealer(ring("a"), systemRuntime).seal(Buffer.from("{}"), context);
  await store.put(at, bytes, { version: "planted", ifVersion: null, ttlMs: 3_600_000 });
}

interface Opener {
  readonly name: string;
  start(): Promise<{
    open(): Promise<{ readonly store: Store; close(): Promise<unknown> }>;
    stop(): Promise<void>;
  }>;
}

function onDisk(name: string, open: (folder: string) => Store): Opener {
  return {
    name,
    async start() {
      const folder = mkdtempSync(join(tmpdir(), "tokenkeep-rekey-"));
      return {
        open: async () => ({ store: open(folder), close: () => Promise.resolve() }),
        stop: async () => rmSync(folder, { recursive: true, force: true }),
      };
    },
  };
}

const openers: readonly Opener[] = [
  onDisk("SQLite", (folder) => sqliteStore({ path: join(folder, "tokens.db") })),
  onDisk("files", (folder) => filesystemStore({ folder: join(folder, "tokens") })),
  ...sharedStores.map(({ name, start }) => ({
    name,
    async start() {
      const server = await start();
      return { open: () => server.open(server.port, "rekey"), stop: () => server.stop() };
    },
  })),
];

describe.each(openers)("$name", ({ start }) => {
  let place: Awaited<ReturnType<Opener["start"]>>;
  beforeAll(async () => {
    place = await start();
  });
  afterAll(() => place.stop());

  /** What lies under each key: which key id it is sealed under, and until when it is kept. */
  async function lying({ admin, get }: Store) {
    const { keys: names } = await admin!.keys({ prefix: "rekey:", limit: 1_000 });
    // A change counter and leases of Redis have names of their own below the same prefix.
    const keys = names.filter((name) => /^rekey:(user|app|account|obo|flow):/.test(name));
    return Promise.all(
      keys.map(async (at) => {
        const stored = await get(at, { withExpiry: true });
        if (typeof stored !== "object") throw new Error("gone");
        return { at, keyId: keyIdOf(stored.bytes), expiresAtMs: stored.expiresAtMs! };
      }),
    );
  }

  test("after a rekey nothing lies under the old key, nothing is kept shorter, and everybody is signed in", async () => {
    const { authority } = createWorld({
      users: USERS.map((username) => ({ username, name: username, tenant: "contoso" })),
    });
    const opened = await Promise.all([place.open(), place.open()]);
    const [one, two] = opened.map(({ store }, index) =>
      createNode(authority, {
        store,
        namespace: "rekey",
        keys: index === 0 ? ring("a", "b") : ring("b", "a"),
        activity: { onBeforeWrite: () => ({ seen: true }) as never },
      }),
    ) as [ReturnType<typeof createNode>, ReturnType<typeof createNode>];
    const { store } = opened[1]!;
    const accounts = [];
    for (const user of USERS) accounts.push((await one.signIn(user)).account!);
    await one.client.removeAccount(accounts.pop()!);
    await plantOld(store);
    const before = await lying(store);
    expect(before.map(({ keyId }) => keyId)).toEqual(before.map(() => "a"));

    const result = await two.cache.rekey({ perSecond: 10_000 });
    expect(result).toMatchObject({ resealed: before.length + accounts.length, unreadable: 0, conflicts: 0 });
    const after = await lying(store);
    expect(after.map(({ at, keyId }) => [at, keyId])).toEqual(before.map(({ at }) => [at, "b"]));
    // A store counts in units of its own, of a millisecond at most.
    for (const [index, { expiresAtMs }] of after.entries()) {
      expect(expiresAtMs).toBeGreaterThanOrEqual(before[index]!.expiresAtMs - 1);
      expect(expiresAtMs).toBeLessThan(before[index]!.expiresAtMs + 60_000);
    }

    for (const account of accounts) {
      const found = await two.client.acquireTokenSilent({ account, scopes: READ });
      expect(found.fromCache).toBe(true);
    }
    const listed = [];
    for await (const { properties } of two.cache.accounts()) listed.push(properties);
    expect(listed).toEqual(accounts.map(() => ({ seen: true })));
    expect(two.events).toEqual([]);
    for (const [index, node] of [one, two].entries()) {
      await node.cache.close();
      await opened[index]!.close();
    }
  });
});
