import pg from "pg";
import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from "vitest";
import { postgresStore, type PgPool, type PostgresStoreOptions } from "../../src/adapters/postgres.ts";
import {
  createPool,
  pgbouncerProgram,
  postgresVersions,
  startPgbouncer,
  startPostgres,
  type PostgresServer,
} from "../services/postgres.ts";

vi.setConfig({ testTimeout: 60_000, hookTimeout: 60_000 });

const KEPT = { ifVersion: null, ttlMs: 3_600_000 };
const FIRST = { ...KEPT, version: "first" };

const closing: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const close of closing.splice(0).toReversed()) await close();
});

let prefixes = 0;
const own = postgresVersions.filter(({ program }) => program !== undefined);

describe.each(own)("$name", ({ program = "" }) => {
  let server: PostgresServer;
  beforeAll(async () => {
    server = await startPostgres(program);
  });
  afterAll(() => server.stop());

  function pool(url = server.url, options: pg.PoolConfig = {}): pg.Pool {
    const made = createPool(url, options);
    closing.push(() => made.end());
    return made;
  }

  function storeOn(on: PgPool, options: Partial<PostgresStoreOptions> = {}) {
    const store = postgresStore({ pool: on, tablePrefix: `p${(prefixes += 1)}_`, ...options });
    closing.push(() => store.close());
    return store;
  }

  async function migrated(on: PgPool, options: Partial<PostgresStoreOptions> = {}) {
    const store = storeOn(on, options);
    await store.migrate();
    return { store, table: `p${prefixes}_records`, prefix: `p${prefixes}_` };
  }

  /** A transaction of somebody else's, on a connection of its own. */
  async function transaction() {
    const client = new pg.Client({ connectionString: server.url });
    client.on("error", () => undefined);
    await client.connect();
    await client.query("BEGIN");
    closing.push(() => client.end());
    return client;
  }

  /** Resolves once some statement waits for a row lock. */
  async function somebodyWaits(): Promise<void> {
    const watcher = pool();
    await expect
      .poll(async () => {
        const { rows } = await watcher.query(
          "SELECT 1 FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query LIKE '%guard%'",
        );
        return rows.length;
      })
      .toBeGreaterThan(0);
  }

  async function nobodyWaits(): Promise<void> {
    const watcher = pool();
    await expect
      .poll(async () => {
        const { rows } = await watcher.query("SELECT 1 FROM pg_stat_activity WHERE wait_event_type = 'Lock'");
        return rows.length;
      })
      .toBe(0);
  }

  describe("round trips", () => {
    test("after the first call has looked at the schema, every call is one statement, a conflict too", async () => {
      const counting = countStatements(pool());
      const { store } = await migrated(counting.pool);
      await store.get("warm up");
      const calls: readonly (readonly [string, () => Promise<unknown>])[] = [
        ["create", () => store.put("key", Buffer.from("1"), FIRST)],
        ["conflict of a create", () => store.put("key", Buffer.from("2"), { ...FIRST, version: "other" })],
        ["get", () => store.get("key")],
        ["get, unchanged", () => store.get("key", { unlessVersion: "first" })],
        [
          "replace",
          () => store.put("key", Buffer.from("2"), { ...FIRST, version: "next", ifVersion: "first" }),
        ],
        [
          "conflict",
          () => store.put("key", Buffer.from("3"), { ...FIRST, version: "late", ifVersion: "first" }),
        ],
        ["touch", () => store.touch("key", { ifVersion: "next", ttlMs: 7_200_000 })],
        ["lease", () => store.lease.acquire("key", { owner: "o", ttlMs: 60_000 })],
        ["lease that is held", () => store.lease.acquire("key", { owner: "p", ttlMs: 60_000 })],
        ["renew", () => store.lease.renew("key", { owner: "o", ttlMs: 60_000 })],
        ["release", () => store.lease.release("key", { owner: "o" })],
        ["counter", () => store.backplane.changeCounter()],
        ["publish", () => store.backplane.publish({ key: "key", version: "v" })],
        ["delete", () => store.delete("key", { ifVersion: "next" })],
      ];
      for (const [what, call] of calls) expect([what, await counting.during(call)]).toEqual([what, 1]);
    });
  });

  describe("a conflict", () => {
    test.each(["create", "replace"])(
      "of a %s that had to wait brings what is there then, not what was there before",
      async (kind) => {
        const { store, table } = await migrated(pool());
        const other = await transaction();
        if (kind === "replace") await store.put("key", Buffer.from("first"), FIRST);
        else await store.get("key");
        await other.query(
          kind === "replace"
            ? `UPDATE ${table} SET version = 'winner', bytes = 'winner' WHERE key = 'key'`
            : `INSERT INTO ${table} VALUES ('key', 'winner', 'winner', now() + interval '1 hour')`,
        );
        const ifVersion = kind === "replace" ? "first" : null;
        const waiting = store.put("key", Buffer.from("loser"), { ...FIRST, version: "loser", ifVersion });
        await somebodyWaits();
        await other.query("COMMIT");
        const answer = await waiting;
        expect(answer).toMatchObject({ stored: false, current: { version: "winner" } });
        if (answer.stored || answer.current === undefined) throw new Error("unreachable");
        expect(Buffer.from(answer.current.bytes).toString()).toBe("winner");
        expect(await store.get("key")).toMatchObject({ version: "winner" });
      },
    );

    test("in a race of many, always brings a version that came after the one it was measured by", async () => {
      const { store } = await migrated(pool());
      const versions = ["first"];
      await store.put("key", Buffer.from("0"), FIRST);
      const writers = Array.from({ length: 8 }, async (_, writer) => {
        let base = "first";
        for (let round = 0; round < 12;) {
          const version = `${writer}.${round}`;
          const answer = await store.put("key", Buffer.from(version), { ...FIRST, version, ifVersion: base });
          if (answer.stored) {
            versions.push(version);
            base = version;
            round += 1;
          } else {
            const seen = answer.current?.version ?? "nothing";
            // Its own base, or one it has seen before, would make it lose again and again.
            expect(seen).not.toBe(base);
            expect(Buffer.from(answer.current?.bytes ?? []).toString()).toBe(seen === "first" ? "0" : seen);
            base = seen;
          }
        }
      });
      await Promise.all(writers);
      expect(versions).toHaveLength(1 + 8 * 12);
    });
  });

  describe("a write whose caller has given up", () => {
    test("is given up by the server too: it fails after lockTimeoutMs and has written nothing when the lock is gone", async () => {
      const { store, table } = await migrated(pool(), { lockTimeoutMs: 200 });
      await store.put("key", Buffer.from("first"), FIRST);
      const other = await transaction();
      await other.query(`SELECT 1 FROM ${table} WHERE key = 'key' FOR UPDATE`);
      const writes = [
        store.put("key", Buffer.from("late"), { ...FIRST, version: "late", ifVersion: "first" }),
        store.touch("key", { ifVersion: "first", ttlMs: 99_000_000 }),
        store.delete("key", { ifVersion: "first" }),
      ];
      for (const outcome of await Promise.allSettled(writes)) {
        expect(outcome).toMatchObject({
          status: "rejected",
          reason: { code: "ERR_STORE_UNAVAILABLE", retryable: true },
        });
        expect(String((outcome as PromiseRejectedResult).reason)).toContain("nothing was written");
      }
      await other.query("COMMIT");
      expect(await store.get("key")).toMatchObject({ version: "first" });
    });

    test("while it waits for a lock: its connection is closed, and the write does not come to life", async () => {
      const one = pool();
      const { store, table } = await migrated(one, { lockTimeoutMs: 300 });
      await store.put("key", Buffer.from("first"), FIRST);
      const other = await transaction();
      await other.query(`SELECT 1 FROM ${table} WHERE key = 'key' FOR UPDATE`);
      const abort = new AbortController();
      const late = store.put("key", Buffer.from("late"), {
        ...FIRST,
        version: "late",
        ifVersion: "first",
        signal: abort.signal,
      });
      await somebodyWaits();
      const before = one.totalCount;
      abort.abort();
      await expect(late).rejects.toMatchObject({ retryable: true });
      expect(one.totalCount).toBe(before - 1);
      await nobodyWaits();
      await other.query("COMMIT");
      expect(await store.get("key")).toMatchObject({ version: "first" });
    });

    test("while it waits for a connection: it is never sent", async () => {
      const small = pool(server.url, { max: 1 });
      const counting = countStatements(small);
      const { store } = await migrated(counting.pool);
      await store.get("key");
      const taken = await small.connect();
      const abort = new AbortController();
      const sent = await counting.during(async () => {
        const late = store.put("key", Buffer.from("late"), { ...FIRST, signal: abort.signal });
        abort.abort();
        await expect(late).rejects.toMatchObject({ retryable: true });
        taken.release();
        // The connection that came too late has been given back: the next call gets it.
        expect(await store.get("key")).toBe(undefined);
      });
      expect(sent).toBe(1);
    });
  });

  describe("the tables", () => {
    test("that are not there are an error that names migrate(), and the same store works once they are", async () => {
      const store = storeOn(pool());
      const missing = {
        code: "ERR_STORE_OPEN",
        retryable: true,
        message: expect.stringContaining("store.migrate()"),
      };
      await expect(store.get("key")).rejects.toMatchObject(missing);
      await expect(store.put("key", Buffer.from("1"), FIRST)).rejects.toMatchObject(missing);
      expect((await store.inspect()).find(({ code }) => code === "schema")).toMatchObject({
        severity: "error",
      });
      await store.migrate();
      expect(await store.put("key", Buffer.from("1"), FIRST)).toEqual({ stored: true });
    });

    test("may be migrated again, and by many at once, and keep what they hold", async () => {
      const shared = pool();
      const schema = `s${(prefixes += 1)}`;
      const stores = Array.from({ length: 6 }, () => storeOn(shared, { schema, tablePrefix: "t_" }));
      await Promise.all(stores.map((store) => store.migrate()));
      await stores[0]?.put("key", Buffer.from("1"), FIRST);
      await Promise.all(stores.map((store) => store.migrate()));
      expect(await stores[1]?.get("key")).toMatchObject({ version: "first" });
    });

    test("of a newer tokenkeep are refused and left as they are", async () => {
      const shared = pool();
      const { prefix } = await migrated(shared);
      await shared.query(`UPDATE ${prefix}meta SET version = 2`);
      const store = storeOn(shared, { tablePrefix: prefix });
      const newer = { code: "ERR_STORE_OPEN", message: expect.stringContaining("newer tokenkeep") };
      await expect(store.get("key")).rejects.toMatchObject(newer);
      await expect(store.migrate()).rejects.toMatchObject(newer);
      expect((await shared.query(`SELECT version FROM ${prefix}meta`)).rows).toEqual([{ version: 2 }]);
    });

    test("need no more of a role than reading and writing rows once they are there", async () => {
      const admin = pool();
      const { store, prefix } = await migrated(admin);
      await store.put("key", Buffer.from("1"), FIRST);
      await admin.query(`CREATE ROLE ${prefix}app LOGIN`);
      const app = storeOn(pool(server.url.replace("//tokenkeep@", `//${prefix}app@`)), {
        tablePrefix: prefix,
      });
      await expect(app.get("key")).rejects.toMatchObject({ message: expect.stringContaining("grant it") });
      await admin.query(
        `GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO ${prefix}app`,
      );
      await admin.query(`GRANT SELECT, UPDATE ON SEQUENCE ${prefix}changes TO ${prefix}app`);
      expect(await app.get("key")).toMatchObject({ version: "first" });
      await app.backplane.publish({ key: "key", version: "v" });
      await app.migrate();
    });

    test("are purged in batches, and a row that somebody writes to is passed over", async () => {
      const shared = pool();
      const { store, table } = await migrated(shared);
      for (const key of ["1", "2", "3", "4", "5"]) await store.put(key, Buffer.from("1"), FIRST);
      await store.put("long", Buffer.from("1"), FIRST);
      await store.lease.acquire("key", { owner: "o", ttlMs: 1 });
      await shared.query(`UPDATE ${table} SET expires_at = now() - interval '1 s' WHERE key <> 'long'`);
      const other = await transaction();
      await other.query(`SELECT 1 FROM ${table} WHERE key = '3' FOR UPDATE`);
      const purged = [];
      for (let call = 0; call < 4; call += 1) purged.push(await store.admin.purgeExpired({ limit: 2 }));
      expect(purged).toEqual([2, 2, 1, 0]);
      await other.query("COMMIT");
      expect(await store.admin.purgeExpired({ limit: 2 })).toBe(1);
      expect((await store.admin.keys({ prefix: "", limit: 10 })).keys).toEqual(["long"]);
    });
  });

  describe("messages", () => {
    const listening = "SELECT pid FROM pg_stat_activity WHERE query LIKE 'LISTEN%'";

    test("come again after the listening connection was killed, and the counter has seen what was missed", async () => {
      const shared = pool();
      const { store, prefix } = await migrated(shared);
      const second = storeOn(pool(), { tablePrefix: prefix });
      const heard: string[] = [];
      const end = second.backplane.subscribe(({ key }) => heard.push(key));
      await expect.poll(async () => (await shared.query(listening)).rowCount).toBe(1);
      const before = await second.backplane.changeCounter();
      const [{ pid }] = (await shared.query(listening)).rows as [{ pid: number }];
      await shared.query("SELECT pg_terminate_backend($1)", [pid]);
      await expect
        .poll(async () => (await shared.query(`${listening} AND pid = $1`, [pid])).rowCount)
        .toBe(0);
      await store.backplane.publish({ key: "missed", version: "v" });
      expect(await second.backplane.changeCounter()).not.toBe(before);
      await expect
        .poll(async () => {
          await store.backplane.publish({ key: "again", version: "v" });
          return heard.includes("again");
        })
        .toBe(true);
      end();
      await expect.poll(async () => (await shared.query(listening)).rowCount).toBe(0);
    });

    test("too long for NOTIFY are left to the counter", async () => {
      const { store } = await migrated(pool());
      const before = await store.backplane.changeCounter();
      await store.backplane.publish({ key: "k".repeat(9_000), version: "v" });
      expect(await store.backplane.changeCounter()).not.toBe(before);
    });

    test("take no connection before anybody listens, and give it back when nobody does", async () => {
      const shared = pool();
      const { store } = await migrated(shared);
      await store.get("key");
      expect(shared.totalCount - shared.idleCount).toBe(0);
      const heard: string[] = [];
      const end = store.backplane.subscribe(({ key }) => heard.push(key));
      await expect
        .poll(async () => {
          await store.backplane.publish({ key: "key", version: "v" });
          return heard.length > 0;
        })
        .toBe(true);
      end();
      await expect.poll(() => shared.totalCount - shared.idleCount).toBe(0);
    });
  });

  test("a server that goes away is a retryable failure, never a miss; afterwards the store goes on and the counter has moved", async () => {
    const other = await startPostgres(program);
    closing.push(() => other.stop());
    const { store } = await migrated(pool(other.url));
    const end = store.backplane.subscribe(() => undefined);
    await store.put("key", Buffer.from("1"), FIRST);
    const before = await store.backplane.changeCounter();
    await other.kill();
    const down = { code: "ERR_STORE_UNAVAILABLE", retryable: true };
    // What a killed server leaves behind may answer a moment longer: with what is there.
    const fails = (ask: () => Promise<unknown>): Promise<void> => {
      const answer = async (): Promise<unknown> => {
        const given = await ask().catch((error: unknown) => error);
        expect(given).toBeDefined();
        return given;
      };
      return expect.poll(answer, { timeout: 30_000 }).toMatchObject(down);
    };
    await fails(() => store.get("key"));
    await fails(() => store.put("key", Buffer.from("2"), FIRST));
    await fails(() => store.lease.acquire("key", { owner: "o", ttlMs: 1_000 }));
    await other.restart();
    await expect.poll(() => store.get("key").catch(() => "down")).toMatchObject({ version: "first" });
    expect(await store.backplane.changeCounter()).not.toBe(before);
    end();
  });

  test("inspect says what is unsafe about the server", async () => {
    const { store } = await migrated(
      pool(server.url, { options: "-c default_transaction_isolation=serializable" }),
    );
    const found = (await store.inspect()).map(({ severity, code }) => `${severity} ${code}`);
    expect(found).toEqual([
      "info schema",
      "info server-version",
      "error durability",
      "warning isolation",
      "warning statement-timeout",
    ]);
  });

  test("close ends the subscription and nothing of the caller's", async () => {
    const shared = pool();
    const { store } = await migrated(shared);
    store.backplane.subscribe(() => undefined);
    await store.close();
    await store.close();
    await expect(store.get("key")).rejects.toMatchObject({ code: "ERR_CLOSED" });
    await expect(store.migrate()).rejects.toMatchObject({ code: "ERR_CLOSED" });
    expect((await shared.query("SELECT 1 AS one")).rows).toEqual([{ one: 1 }]);
  });

  test("strings that PostgreSQL cannot hold: keys are refused, names are kept readable", async () => {
    const { store } = await migrated(pool());
    await expect(store.get("nul \0")).rejects.toMatchObject({ option: "key" });
    const { activityRow } = await import("../../src/testing/contract/activity-rows.ts");
    const row = activityRow({ accountKey: "key", name: "A\0da" });
    expect(await store.activity.put(row, { revision: "r", ifRevision: null })).toEqual({ stored: true });
    expect((await store.activity.get("key"))?.row.name).toBe("A\ufffdda");
  });

  test.runIf(pgbouncerProgram)(
    "behind a transaction pooler messages may fall away without harm: statements work, and the counter of others moves",
    async () => {
      const pooler = await startPgbouncer(server.port);
      closing.push(() => pooler.stop());
      const { store, prefix } = await migrated(pool(pooler.url));
      const second = storeOn(pool(pooler.url), { tablePrefix: prefix });
      const end = second.backplane.subscribe(() => undefined);
      const before = await second.backplane.changeCounter();
      const writers = Array.from({ length: 30 }, (_, index) =>
        (index % 2 === 0 ? store : second).put(`key ${index}`, Buffer.from("1"), FIRST),
      );
      expect((await Promise.all(writers)).every(({ stored }) => stored)).toBe(true);
      await store.backplane.publish({ key: "key 1", version: "v" });
      expect(await second.backplane.changeCounter()).not.toBe(before);
      end();
    },
  );
});

/** The same pool, with every statement counted. */
function countStatements(pool: pg.Pool): {
  readonly pool: PgPool;
  during(call: () => Promise<unknown>): Promise<number>;
} {
  let statements = 0;
  const counting: PgPool = {
    on: (event, listener) => pool.on(event, listener),
    removeListener: (event, listener) => pool.removeListener(event, listener),
    async connect() {
      const client = await pool.connect();
      return new Proxy(client, {
        get(target, property) {
          const value: unknown = Reflect.get(target, property);
          if (property === "query") statements += 1;
          return typeof value === "function" ? (value.bind(target) as unknown) : value;
        },
      });
    },
  };
  return {
    pool: counting,
    async during(call) {
      const before = statements;
      await call();
      return statements - before;
    },
  };
}
