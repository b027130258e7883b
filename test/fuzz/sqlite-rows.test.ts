/** Rows of the records table that somebody has changed by hand: a column keeps values of any type. */
import { join } from "node:path";
import { DatabaseSync, type SQLInputValue } from "node:sqlite";
import fc from "fast-check";
import { afterAll, beforeAll, expect, test } from "vitest";
import { sqliteStore, type SqliteStore } from "../../src/adapters/sqlite.ts";
import type { AccountRef } from "../../src/index.ts";
import { temporaryFolder } from "../adapters/children.ts";
import { claimsOf } from "../support/network.ts";
import { ADA, BEN, createNode, createWorld, READ, type Node, type World } from "../support/world.ts";
import { expectNoSecret, guardPrototypes, settled } from "./promises.ts";

guardPrototypes();

let world: World;
let store: SqliteStore;
let db: DatabaseSync;
let folder: ReturnType<typeof temporaryFolder>;
let ada: AccountRef;
let ben: AccountRef;

const node = (): Node => createNode(world.authority, { store });

beforeAll(async () => {
  world = createWorld();
  folder = temporaryFolder();
  const path = join(folder.path, "tokens.db");
  store = sqliteStore({ path, durability: "normal" });
  ada = (await node().signIn(ADA)).account!;
  ben = (await node().signIn(BEN)).account!;
  db = new DatabaseSync(path);
  db.exec("PRAGMA busy_timeout = 5000; PRAGMA synchronous = OFF");
  db.exec("CREATE TEMP TABLE genuine AS SELECT * FROM records");
});
afterAll(async () => {
  db.close();
  await store.close();
  folder.remove();
});

/** Changes columns of Ada's record, every record being as it was written before. */
function change(columns: Readonly<Record<string, SQLInputValue>>): void {
  db.exec("DELETE FROM records; INSERT INTO records SELECT * FROM genuine");
  for (const [column, value] of Object.entries(columns)) {
    const where = `key LIKE '%' || ?`;
    db.prepare(`UPDATE OR IGNORE records SET ${column} = ? WHERE ${where}`).run(value, ada.homeAccountId);
  }
}

const anyValue: fc.Arbitrary<SQLInputValue> = fc.oneof(
  fc.constantFrom<SQLInputValue>(null, "", 0, -1, 1.5, 2 ** 53, "TKE\u0001\u0001", "{}", "abc"),
  fc.constant(2n ** 62n),
  fc.string(),
  fc.uint8Array({ maxLength: 100 }),
  fc.double({ noNaN: true }),
);

test("a record with any values in its columns is served as it was, a miss, or not now; the next sign-in mends it", async () => {
  const columns = fc.dictionary(fc.constantFrom("version", "bytes", "expires_at"), anyValue, { minKeys: 1 });
  await fc.assert(
    fc.asyncProperty(columns, async (values) => {
      change(values);
      const reader = node();
      const outcome = await settled(reader.client.acquireTokenSilent({ account: ada, scopes: READ }));
      expectNoSecret(reader.events, world.authority.issued);
      if ("error" in outcome) expectNoSecret(outcome.error, world.authority.issued);
      else expect(claimsOf(outcome.result.accessToken)["preferred_username"]).toBe(ADA);
      const other = await node().client.acquireTokenSilent({ account: ben, scopes: READ });
      expect(other.metadata.cacheLevel).toBe("L2");
      await expectMended();
    }),
    { numRuns: 200 },
  );
});

/** Unless the store itself says that it cannot read the row. */
async function expectMended(): Promise<void> {
  const { accessToken, metadata } = await node().signIn(ADA);
  const again = await settled(node().client.acquireTokenSilent({ account: ada, scopes: READ }));
  if (metadata.saved) expect(again).toMatchObject({ result: { accessToken } });
  else expect(again).toMatchObject({ error: { code: "ERR_STORE_UNAVAILABLE", retryable: true } });
}
