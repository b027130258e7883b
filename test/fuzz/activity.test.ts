/** Activity rows that somebody has changed: their columns are in clear, and a database keeps what it is given. */
import { join } from "node:path";
import { DatabaseSync, type SQLInputValue } from "node:sqlite";
import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { sqliteStore, type SqliteStore } from "../../src/adapters/sqlite.ts";
import { ACTIVITY_COLUMNS } from "../../src/adapters/sqlite-schema.ts";
import { createSealer } from "../../src/envelope/sealer.ts";
import type { AccountActivity } from "../../src/index.ts";
import { systemRuntime } from "../../src/runtime.ts";
import { temporaryFolder } from "../adapters/children.ts";
import { collect } from "../support/collect.ts";
import { claimsOf } from "../support/network.ts";
import {
  ADA,
  BEN,
  createNode,
  createWorld,
  READ,
  testKeys,
  type Node,
  type World,
} from "../support/world.ts";
import { expectNoSecret, guardPrototypes, settled } from "./promises.ts";

guardPrototypes();

interface Properties {
  readonly plan: string;
}

let world: World;
let store: SqliteStore;
let db: DatabaseSync;
let folder: ReturnType<typeof temporaryFolder>;

const onBeforeWrite = (): Properties => ({ plan: "gold" });
const node = (): Node => createNode(world.authority, { store, activity: { onBeforeWrite } as never });

beforeAll(async () => {
  world = createWorld();
  folder = temporaryFolder();
  const path = join(folder.path, "tokens.db");
  store = sqliteStore({ path, durability: "normal" });
  for (const user of [ADA, BEN]) await node().signIn(user);
  db = new DatabaseSync(path);
  db.exec("PRAGMA busy_timeout = 5000; PRAGMA synchronous = OFF");
  db.exec("CREATE TEMP TABLE genuine AS SELECT * FROM account_activity");
});
afterAll(async () => {
  db.close();
  await store.close();
  folder.remove();
});

const COLUMNS = Object.values(ACTIVITY_COLUMNS).map((definition) => definition.split(" ")[0]!);
const KEY_AND_STATUS = ["account_key", "status"];

/** Changes columns of Ada's row, every row being as it was written before. */
function change(columns: Readonly<Record<string, SQLInputValue>>): void {
  db.exec("DELETE FROM account_activity; INSERT INTO account_activity SELECT * FROM genuine");
  for (const [column, value] of Object.entries(columns)) {
    // A column that must not be empty stays as it was.
    db.prepare(
      `UPDATE OR IGNORE account_activity SET ${column} = ? WHERE username = ? OR home_account_id = ?`,
    ).run(value, ADA, world.authority.homeAccountId(ADA));
  }
}

const anyValue: fc.Arbitrary<SQLInputValue> = fc.oneof(
  fc.constantFrom<SQLInputValue>(
    null,
    "",
    "%",
    "tokenkeep:",
    "tokenkeep:user:%zz",
    0,
    -1,
    1.5,
    2 ** 53,
    "__proto__",
  ),
  fc.constant(2n ** 62n),
  fc.constantFrom<SQLInputValue>(ADA, BEN),
  fc.string({ unit: "binary", maxLength: 30 }).map((text) => text.toWellFormed().replaceAll("\0", "")),
  fc.uint8Array({ maxLength: 40 }),
  fc.double({ noNaN: true }),
);

/** Every account that is listed, and what came of acting for it. */
async function workThrough(worker: Node) {
  const listed = await settled(collect(worker.cache.accounts()));
  if ("error" in listed) return listed;
  const served = [];
  for (const account of listed.result) {
    const outcome = await settled(worker.client.acquireTokenSilent({ account, scopes: READ }));
    served.push({ account, outcome });
  }
  return { result: served };
}

function expectOwnToken({ account, outcome }: { account: AccountActivity; outcome: object }): void {
  if (!("result" in outcome)) return;
  const { accessToken, account: owner } = outcome.result as { accessToken: string; account: AccountActivity };
  expect(owner.homeAccountId).toBe(account.homeAccountId);
  const user = account.homeAccountId === world.authority.homeAccountId(BEN) ? BEN : ADA;
  expect(claimsOf(accessToken)["preferred_username"]).toBe(user);
}

describe("a row with any values in its columns", () => {
  test("ends no listing with anything but a documented error, and gives nobody another's token", async () => {
    let listings = 0;
    await fc.assert(
      fc.asyncProperty(
        fc.dictionary(fc.constantFrom(...COLUMNS), anyValue, { maxKeys: 3 }),
        async (columns) => {
          change(columns);
          const worker = node();
          const outcome = await workThrough(worker);
          expectNoSecret(worker.events, world.authority.issued);
          if ("error" in outcome) return expectNoSecret(outcome.error, world.authority.issued);
          listings += 1;
          for (const one of outcome.result) expectOwnToken(one);
          // A broken row harms nobody else.
          const bens = outcome.result.filter(
            ({ account }) => account.username === BEN && account.status === "ok",
          );
          expect(bens.some(({ outcome: served }) => "result" in served)).toBe(true);
        },
      ),
      { numRuns: 400 },
    );
    expect(listings).toBeGreaterThan(200);
  });

  test("ends no flow of its user's", async () => {
    const { account } = await node().signIn(ADA);
    db.exec("DELETE FROM temp.genuine; INSERT INTO temp.genuine SELECT * FROM account_activity");
    const columns = COLUMNS.filter((column) => !KEY_AND_STATUS.includes(column));
    await fc.assert(
      fc.asyncProperty(
        fc.dictionary(fc.constantFrom(...columns), anyValue, { maxKeys: 3 }),
        async (values) => {
          change(values);
          const { client } = node();
          const renewed = await client.acquireTokenSilent({
            account: account!,
            scopes: READ,
            forceRefresh: true,
          });
          expect(renewed.metadata.saved).toBe(true);
        },
      ),
      { numRuns: 150 },
    );
  });
});

describe("sealed properties", () => {
  const sealer = createSealer(testKeys(), systemRuntime);
  const sealedFor = (key: string, text: string): Uint8Array =>
    sealer.seal(Buffer.from(text), { namespace: "tokenkeep", key, kind: "activity" });
  const rowOf = (user: string) =>
    db.prepare("SELECT account_key, sealed_properties FROM temp.genuine WHERE username = ?").get(user) as {
      account_key: string;
      sealed_properties: Uint8Array;
    };

  async function propertiesWith(bytes: SQLInputValue) {
    change({ sealed_properties: bytes });
    const worker = node();
    const accounts = await collect(worker.cache.accounts());
    expect(accounts.map(({ username }) => username).toSorted()).toEqual([ADA, BEN]);
    expect(accounts.find(({ username }) => username === BEN)?.properties).toEqual({ plan: "gold" });
    return accounts.find(({ username }) => username === ADA)?.properties as unknown;
  }

  test("are there as long as nobody has touched them", async () => {
    expect(await propertiesWith(rowOf(ADA).sealed_properties)).toEqual({ plan: "gold" });
  });

  test("with any bit flipped or cut at any length are none", async () => {
    const genuine = Buffer.from(rowOf(ADA).sealed_properties);
    for (let bit = 0; bit < genuine.length * 8; bit += 5) {
      const bytes = Buffer.from(genuine);
      bytes[bit >> 3]! ^= 1 << (bit & 7);
      expect(await propertiesWith(bytes), `bit ${bit}`).toBeUndefined();
    }
    for (let length = 0; length < genuine.length; length += 1) {
      expect(await propertiesWith(genuine.subarray(0, length)), `first ${length}`).toBeUndefined();
    }
  });

  test("of any kind are none: another user's, in clear, text, or sealed and no JSON", async () => {
    const { account_key: key } = rowOf(ADA);
    expect(await propertiesWith(rowOf(BEN).sealed_properties)).toBeUndefined();
    for (const text of ['{"plan":"gold"}', 'TKP\u0001{"plan":"gold"}', "", "{ broken"]) {
      expect(await propertiesWith(text)).toBeUndefined();
      expect(await propertiesWith(Buffer.from(text))).toBeUndefined();
    }
    expect(await propertiesWith(7)).toBeUndefined();
    expect(await propertiesWith(sealedFor(key, "{ broken"))).toBeUndefined();
    expect(await propertiesWith(sealedFor(key, ""))).toBeUndefined();
  });

  test("that are authentic are what they are, and reach no prototype", async () => {
    const { account_key: key } = rowOf(ADA);
    await fc.assert(
      fc.asyncProperty(fc.json(), async (json) => {
        expect(await propertiesWith(sealedFor(key, json))).toEqual(JSON.parse(json));
      }),
      { numRuns: 100 },
    );
    const found = (await propertiesWith(sealedFor(key, '{"__proto__":{"polluted":true}}'))) as object;
    expect(Object.getPrototypeOf(found)).toBe(Object.prototype);
  });
});
