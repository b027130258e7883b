import { createHash } from "node:crypto";
import { mkdtempSync, readdirSync, renameSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { clearNaming, hiddenNaming, hiddenPrefix, nameKeyObject } from "../../src/names/naming.ts";
import type { NamesOptions, TokenCacheOptions } from "../../src/options.ts";
import { DEFAULT_CLIENT_IDS } from "../../src/testing/authority/options.ts";
import { collect } from "../support/collect.ts";
import { chaosStore } from "../support/chaos.ts";
import { ADA, BEN, READ, WEB, createWorld, testKeys, type Node, type World } from "../support/world.ts";

const [ONE, TWO, THREE] = [1, 2, 3].map((fill) => new Uint8Array(32).fill(fill)) as [
  Uint8Array,
  Uint8Array,
  Uint8Array,
];

const silent = ({ client }: Node, account: never, more = {}) =>
  client.acquireTokenSilent({ account, scopes: READ, ...more });

async function keysIn(world: World): Promise<readonly string[]> {
  return (await world.store.admin.keys({ prefix: "", limit: 1_000 })).keys;
}

async function rowsIn(world: World) {
  return (await world.store.activity.list({ limit: 1_000 })).rows.map(({ row }) => row);
}

describe("two processes with one name key", () => {
  const options: Partial<TokenCacheOptions<never>> = { names: { key: ONE }, coherenceBoundMs: 600_000 };

  test("meet: what one signs in the other serves, and a sign-out is told by name", async () => {
    const world = createWorld();
    const [a, b] = [world.node(options), world.node(options)];
    const account = (await a.signIn(ADA)).account as never;
    expect((await silent(b, account)).metadata).toMatchObject({ tokenSource: "cache", cacheLevel: "L2" });
    expect((await silent(b, account)).metadata).toMatchObject({ cacheLevel: "L1" });
    expect(await a.client.removeAccount(account)).toEqual({ status: "done", durable: true });
    // Long before the bound: by the message alone.
    await expect(silent(b, account)).rejects.toMatchObject({ errorCode: "no_tokens_found" });
  });

  test("list the accounts by their real names, and find them by tenant, application and id", async () => {
    const world = createWorld();
    const [a, b] = [world.node(options), world.node(options)];
    for (const user of [ADA, BEN]) await a.signIn(user);
    const listed = await collect(b.cache.accounts());
    expect(listed.map(({ username }) => username).toSorted()).toEqual([ADA, BEN]);
    const ada = listed.find(({ username }) => username === ADA)!;
    expect(ada).toMatchObject({ homeAccountId: world.authority.homeAccountId(ADA), clientId: WEB });
    expect((await silent(b, ada as never)).account?.username).toBe(ADA);
    const found = (filter: object) => collect(b.cache.accounts(filter));
    expect(await found({ homeAccountId: ada.homeAccountId })).toHaveLength(1);
    expect(await found({ tenantId: ada.tenantId, clientId: WEB })).toHaveLength(2);
    expect(await found({ clientId: "another" })).toEqual([]);
    expect(await found({ status: "needs-interaction" })).toEqual([]);
  });

  test("keep the application's own properties, sealed and in their row", async () => {
    const world = createWorld();
    const hook = { activity: { onBeforeWrite: () => ({ plan: "gold" }) as never } };
    await world.node({ ...options, ...hook }).signIn(ADA);
    const [listed] = await collect(world.node(options).cache.accounts());
    expect(listed?.properties).toEqual({ plan: "gold" });
  });

  test("sign out everywhere, also from what assertions were exchanged for", async () => {
    const world = createWorld();
    const web = world.node(options);
    const { accessToken: oboAssertion, account } = await web.signIn(ADA);
    const auth = world.authority.msalAuth("contoso", DEFAULT_CLIENT_IDS.notes);
    const api = world.node(options, { auth });
    const request = { oboAssertion, scopes: ["api://tasks/read"] };
    await api.client.acquireTokenOnBehalfOf(request);
    await api.client.signOutEverywhere(account!);
    await expect(world.node(options, { auth }).client.acquireTokenOnBehalfOf(request)).rejects.toMatchObject({
      code: "ERR_SIGNED_OUT",
    });
  });
});

test("results that wait in files are called by names too, and are taken over under the next name key", async () => {
  const folder = mkdtempSync(join(tmpdir(), "tokenkeep-names-"));
  try {
    const world = createWorld();
    const link = chaosStore(world.store);
    const options = { spillFolder: join(folder, "spill"), storeBreaker: false } as const;
    const down = world.node({ ...options, store: link, names: { key: ONE } });
    link.fail("all", { times: Infinity });
    const account = (await down.signIn(ADA)).account as never;
    const files = (): string[] => readdirSync(options.spillFolder);
    const id = [WEB, world.authority.authorityHost, world.authority.homeAccountId(ADA)].join(":");
    const digest = createHash("sha256").update(`tokenkeep:user:${id}`).digest("base64url");
    expect(files()).toHaveLength(1);
    expect(files()[0]).not.toContain(digest);
    // As a crash leaves it: under the name of a process that is gone.
    const [left] = files();
    renameSync(
      join(options.spillFolder, left!),
      join(options.spillFolder, left!.replace(/^\d+-/, "4999999-")),
    );
    const next = world.node({ ...options, names: { key: TWO, previous: ONE } });
    expect(await next.cache.parts.partitions.drain()).toBe(0);
    expect(files()).toEqual([]);
    expect((await silent(world.node({ names: { key: TWO } }), account)).metadata.tokenSource).toBe("cache");
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
});

test("a process without the name key, or with another one, finds nobody", async () => {
  const world = createWorld();
  const account = (await world.node({ names: { key: ONE } }).signIn(ADA)).account as never;
  for (const other of [{}, { names: { key: TWO } }]) {
    await expect(silent(world.node(other), account)).rejects.toMatchObject({ errorCode: "no_tokens_found" });
  }
});

test("a record in another user's place does not open: it is bound to its partition, not to its name", async () => {
  const world = createWorld();
  const options = { names: { key: ONE } };
  const node = world.node(options);
  const account = (await node.signIn(ADA)).account as never;
  await node.signIn(BEN);
  const [adas, bens] = [ADA, BEN].map((user) => {
    const id = [WEB, world.authority.authorityHost, world.authority.homeAccountId(user)].join(":");
    const key = `tokenkeep:user:${id}`;
    return hiddenNaming("tokenkeep", nameKeyObject(ONE, "key")).name(key);
  }) as [string, string];
  expect(await keysIn(world)).toEqual(expect.arrayContaining([adas, bens]));
  const [ada, ben] = [await world.store.get(adas), await world.store.get(bens)] as {
    bytes: Uint8Array;
    version: string;
  }[];
  await world.store.put(adas, ben!.bytes, { version: "swapped", ifVersion: ada!.version, ttlMs: 60_000 });
  const other = world.node(options);
  await expect(silent(other, account)).rejects.toMatchObject({ errorCode: "no_tokens_found" });
  expect(other.events).toContainEqual(
    expect.objectContaining({ type: "record-unreadable", reason: "refused" }),
  );
});

describe("a row", () => {
  async function twoRows(names: NamesOptions) {
    const world = createWorld();
    const node = world.node({ names });
    for (const user of [ADA, BEN]) await node.signIn(user);
    return { world, rows: await rowsIn(world) };
  }

  test("in another one's place is left out of listings, with an event", async () => {
    const { world, rows } = await twoRows({ key: ONE });
    const [one, other] = rows;
    const { revision } = (await world.store.activity.get(one!.accountKey))!;
    const moved = { ...other!, accountKey: one!.accountKey };
    await world.store.activity.put(moved, { revision: "moved", ifRevision: revision });
    const node = world.node({ names: { key: ONE } });
    expect(await collect(node.cache.accounts())).toHaveLength(1);
    expect(node.events).toEqual([expect.objectContaining({ type: "record-unreadable", reason: "refused" })]);
  });

  test("that is damaged is whole again after the next sign-in", async () => {
    const { world, rows } = await twoRows({ key: ONE });
    for (const row of rows) {
      const { revision } = (await world.store.activity.get(row.accountKey))!;
      const damaged = { ...row, sealedProperties: Buffer.from("damaged") };
      await world.store.activity.put(damaged, { revision: "damaged", ifRevision: revision });
    }
    const node = world.node({ names: { key: ONE } });
    await node.signIn(ADA);
    const listed = await collect(node.cache.accounts());
    expect(listed).toEqual([
      expect.objectContaining({
        username: ADA,
        clientId: WEB,
        homeAccountId: world.authority.homeAccountId(ADA),
      }),
    ]);
  });

  test("under a key that is not here ends the listing in a retryable error, after all others", async () => {
    const world = createWorld();
    await world.node({ names: { key: ONE } }).signIn(ADA);
    await world.node({ names: { key: ONE }, keys: testKeys("k2", 9) }).signIn(BEN);
    const seen: string[] = [];
    const listing = async (): Promise<void> => {
      for await (const { username } of world.node({ names: { key: ONE } }).cache.accounts())
        seen.push(username);
    };
    await expect(listing()).rejects.toMatchObject({ code: "ERR_KEY_UNKNOWN", retryable: true });
    expect(seen).toEqual([ADA]);
  });
});

describe("changing the name key", () => {
  const people = Array.from({ length: 6 }, (_, index) => `user${index}@contoso.example`);
  type Names = NamesOptions | undefined;
  const changes: readonly (readonly [string, Names, Names, Names, Names])[] = [
    [
      "from none to one",
      undefined,
      { key: "clear", next: ONE },
      { key: ONE, previous: "clear" },
      { key: ONE },
    ],
    ["from one to another", { key: ONE }, { key: ONE, next: TWO }, { key: TWO, previous: ONE }, { key: TWO }],
    [
      "from one to none",
      { key: ONE },
      { key: ONE, next: "clear" },
      { key: "clear", previous: ONE },
      undefined,
    ],
  ];

  test.each(changes)(
    "%s, process by process under traffic, signs nobody out and asks for nothing twice",
    async (_change, before, learning, moving, after) => {
      const world = createWorld({
        users: people.map((username) => ({ username, name: username, tenant: "contoso" })),
      });
      const named = (names: Names): Node => world.node({ l1: false, ...(names && { names }) });
      const old = named(before);
      const accounts: never[] = [];
      for (const user of people) accounts.push((await old.signIn(user)).account as never);
      const leaving = (await old.signIn(people[0]!)).account as never;
      const calls = world.authority.calls.length;
      let asked = 0;
      // Old and new processes side by side, step by step; each serves everybody and renews somebody.
      for (const [left, right] of [
        [named(before), named(learning)],
        [named(learning), named(moving)],
        [named(moving), named(after)],
      ] as const) {
        for (const account of accounts) {
          for (const node of [left, right, left]) {
            expect((await silent(node, account)).metadata.tokenSource).toBe("cache");
          }
          await silent(right, account, { forceRefresh: true });
          await silent(left, account, { forceRefresh: true });
          const [one, other] = [await silent(left, account), await silent(right, account)];
          expect(one.accessToken).toBe(other.accessToken);
          asked += 2;
        }
        for (const node of [left, right]) {
          const listed = (await collect(node.cache.accounts())).map(({ username }) => username);
          expect(listed.toSorted()).toEqual(people);
        }
      }
      expect(world.authority.calls.length - calls).toBe(asked);
      // Nothing is left under the old names but marks that say so.
      const end = named(after);
      for (const account of accounts) await silent(end, account);
      await end.client.removeAccount(leaving);
      await expect(silent(named(moving), leaving)).rejects.toMatchObject({ errorCode: "no_tokens_found" });
      const rows = await rowsIn(world);
      expect(rows).toHaveLength(people.length - 1);
      expect(new Set(rows.map(({ accountKey }) => accountKey.slice(0, 20))).size).toBe(1);
    },
  );

  test("a sign-out by a process of either step ends the session in all of them, and stays", async () => {
    const world = createWorld();
    const learning: NamesOptions = { key: ONE, next: TWO };
    const moving: NamesOptions = { key: TWO, previous: ONE };
    const node = (names: NamesOptions): Node => world.node({ names, coherenceBoundMs: 600_000 });
    for (const [by, other] of [
      [learning, moving],
      [moving, learning],
    ] as const) {
      const [a, b] = [node(by), node(other)];
      const account = (await a.signIn(ADA)).account as never;
      await silent(b, account);
      await a.client.removeAccount(account);
      for (const reader of [b, node(by), node(other)]) {
        await expect(silent(reader, account)).rejects.toMatchObject({ errorCode: "no_tokens_found" });
      }
    }
  });

  test("processes before, in and after the change share a refresh lease: one expiry costs one call", async () => {
    const mode = { refreshTokens: "one-time" } as const;
    for (const pair of [
      [{ key: ONE }, { key: ONE, next: TWO }],
      [
        { key: ONE, next: TWO },
        { key: TWO, previous: ONE },
      ],
      [{ key: TWO, previous: ONE }, { key: TWO }],
    ]) {
      const world = createWorld({ ...mode, lifetimes: { accessTokenSeconds: 200 } });
      const nodes = pair.map((names) => world.node({ names, ...mode }));
      const account = (await nodes[1]!.signIn(ADA)).account as never;
      world.authority.setLifetimes({ accessTokenSeconds: 3600 });
      const before = world.authority.count({ grant: "refresh_token" });
      await Promise.all([0, 1, 0, 1].map((index) => silent(nodes[index]!, account)));
      expect(world.authority.count({ grant: "refresh_token" }) - before).toBe(1);
    }
  });

  test("a process that knows nothing of the change waits rather than takes a record for gone", async () => {
    const world = createWorld();
    const account = (await world.node({ names: { key: ONE } }).signIn(ADA)).account as never;
    await silent(world.node({ names: { key: TWO, previous: ONE } }), account, { forceRefresh: true });
    await expect(silent(world.node({ names: { key: ONE } }), account)).rejects.toMatchObject({
      code: "ERR_RECORD_UNSUPPORTED",
      retryable: true,
    });
  });

  test("names under different keys have nothing in common, and say nothing of what they name", () => {
    const key = "tokenkeep:user:client:issuer:somebody";
    const names = [ONE, TWO, THREE].map((own) => hiddenNaming("tokenkeep", nameKeyObject(own, "key")));
    expect(new Set(names.map(({ name }) => name(key))).size).toBe(3);
    expect(new Set(names.map(({ prefix }) => prefix)).size).toBe(3);
    for (const naming of names) {
      expect(naming.name(key)).toMatch(/^tokenkeep:h-[\w-]{8}:[\w-]{43}$/);
      expect(naming.leaseName(key).slice(-43)).not.toBe(naming.name(key).slice(-43));
      expect(naming.name(key).startsWith(hiddenPrefix("tokenkeep"))).toBe(true);
    }
    expect(clearNaming("tokenkeep").name(key)).toBe(key);
  });
});

test("a store that fails at any call of a move leaves the record whole for everybody", async () => {
  // The moving sign-in or refresh may fail; what lies there is the old record or the new one.
  for (let call = 0; call < 6; call += 1) {
    for (const kind of ["fail", "loseAnswer"] as const) {
      const world = createWorld();
      const account = (await world.node({ names: { key: ONE } }).signIn(ADA)).account as never;
      const link = chaosStore(world.store);
      const mover = world.node({ store: link, names: { key: TWO, previous: ONE }, storeBreaker: false });
      await silent(mover, account);
      let puts = 0;
      const put = link.put.bind(link);
      const flaky = {
        ...link,
        put: (...given: Parameters<typeof put>) => {
          if (puts++ === call) link[kind]("put");
          return put(...given);
        },
      };
      const failing = world.node({ store: flaky, names: { key: TWO, previous: ONE }, storeBreaker: false });
      const renewed = await silent(failing, account, { forceRefresh: true });
      link.heal();
      await failing.cache.parts.partitions.drain();
      for (const names of [
        { key: ONE, next: TWO },
        { key: TWO, previous: ONE },
      ]) {
        const served = await silent(world.node({ names }), account);
        expect([call, kind, served.accessToken]).toEqual([call, kind, renewed.accessToken]);
      }
    }
  }
});
