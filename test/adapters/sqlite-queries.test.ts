import { DatabaseSync } from "node:sqlite";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { activityListSql } from "../../src/adapters/sqlite-activity.ts";
import { keyRange } from "../../src/adapters/sqlite-range.ts";
import { CREATE_SCHEMA } from "../../src/adapters/sqlite-schema.ts";
import type { ActivityQuery } from "../../src/store/account-activity-store.ts";

/** How SQLite will go about the query. */
function planOf(query: Omit<ActivityQuery, "limit">): string {
  const db = new DatabaseSync(":memory:");
  db.exec(CREATE_SCHEMA);
  const { sql, values } = activityListSql({ limit: 100, ...query });
  const steps = db.prepare(`EXPLAIN QUERY PLAN ${sql}`).all(...values);
  db.close();
  return steps.map((step) => String(step["detail"])).join("; ");
}

describe("listing accounts", () => {
  test.each<[string, Omit<ActivityQuery, "limit">]>([
    ["account_key>?", { cursor: "k" }],
    ["account_key>? AND account_key<?", { cursor: "k1", keyPrefix: "k" }],
    ["home_account_id=? AND account_key>?", { homeAccountId: "h", cursor: "k" }],
    ["tenant_id=? AND account_key>?", { tenantId: "t", cursor: "k" }],
    ["status=? AND account_key>?", { status: "needs-interaction", cursor: "k" }],
    ["account_key>?", { status: ["ok", "retry-later"], activeSince: 1, cursor: "k" }],
  ])("seeks by %s and never sorts", (seek, query) => {
    const plan = planOf(query);
    expect(plan).toContain(`(${seek})`);
    expect(plan).toContain("SEARCH account_activity USING INDEX");
    expect(plan).not.toContain("TEMP B-TREE");
  });

  test("with a list of no statuses lists nothing", () => {
    expect(activityListSql({ status: [], limit: 1 }).sql).toContain("status IN ()");
  });
});

describe("a range of keys", () => {
  const text = fc.string({ unit: "binary", maxLength: 6 }).filter((value) => !value.includes("\0"));
  const awkward = fc.array(fc.constantFrom("a", "%", "_", "\ud7ff", "\ue000", "\uffff", "\u{10ffff}"), {
    maxLength: 4,
  });
  const piece = fc.oneof(
    text,
    awkward.map((parts) => parts.join("")),
  );

  test("has exactly the keys that begin with the prefix and come after the cursor", () => {
    const keyed = fc.tuple(piece, fc.array(piece, { maxLength: 10 }), fc.boolean());
    const db = new DatabaseSync(":memory:");
    db.exec("CREATE TABLE keys (key TEXT PRIMARY KEY)");
    fc.assert(
      fc.property(keyed, fc.option(fc.nat(9), { nil: undefined }), ([prefix, ends, mix], at) => {
        const keys = [...new Set(ends.map((end, index) => (mix && index % 2 === 0 ? end : prefix + end)))];
        const order = keys.toSorted((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)));
        const cursor = at === undefined ? undefined : order[at];
        const after = cursor === undefined ? order : order.slice(order.indexOf(cursor) + 1);
        db.exec("DELETE FROM keys");
        for (const key of keys) db.prepare("INSERT INTO keys VALUES (?)").run(key);
        const range = keyRange("key", prefix, cursor);
        const where = ["1", ...range.map(([condition]) => condition)].join(" AND ");
        const found = db
          .prepare(`SELECT key FROM keys WHERE ${where} ORDER BY key`)
          .all(...range.flatMap(([, values]) => values));
        expect(found.map((row) => row["key"])).toEqual(after.filter((key) => key.startsWith(prefix)));
      }),
      { numRuns: 1_000, examples: [[["\ud7ff", ["\ue000", "a"], true], undefined]] },
    );
    db.close();
  });

  test("has one lower bound where one will do, so that no page steps over the ones before it", () => {
    const lower = (prefix: string, cursor?: string) =>
      keyRange("key", prefix, cursor).filter(([condition]) => condition.includes(">"));
    expect(lower("k:", "k:7")).toEqual([["key > ?", ["k:7"]]]);
    expect(lower("k:")).toEqual([["key >= ?", ["k:"]]]);
    expect(lower("", "k:7")).toEqual([["key > ?", ["k:7"]]]);
  });
});
