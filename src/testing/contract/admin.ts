/** The published contract of a {@link BlobAdmin}. */
import { bytesOf, fresh } from "./bytes.ts";
import { registerClauses, type Clause, type Closable, type ContractRunner } from "./runner.ts";
import { sleep, systemRuntime } from "../../runtime.ts";
import type { BlobAdmin } from "../../store/blob-admin.ts";
import type { BlobStore } from "../../store/blob-store.ts";

/** An empty store and its admin part, opened for one test. */
export interface OpenedBlobAdmin extends Closable {
  /** The store that the administration is of. */
  readonly store: BlobStore;
  /** The administration under test. */
  readonly admin: BlobAdmin;
  /** Moves the clock that the backend expires values by. Default: really waits that long. */
  readonly advance?: (ms: number) => Promise<void> | void;
}

/** What the contract of a store's administration is run with. */
export interface BlobAdminContractOptions extends ContractRunner {
  /** Opens a fresh one for each test. */
  readonly open: () => Promise<OpenedBlobAdmin>;
  /** What the backend can do; tests of anything else are left out. */
  readonly capabilities?: {
    /** The shortest time the backend can keep a value for, ms. Default 1,000. */
    readonly ttlStepMs?: number;
    /** Whether the backend drops expired values by itself, so that there is nothing to purge. Default false. */
    readonly dropsExpiredItself?: boolean;
  };
}

interface AdminContext extends Closable {
  readonly store: BlobStore;
  readonly admin: BlobAdmin;
  readonly expireShort: () => Promise<void>;
  readonly ttlStepMs: number;
  readonly dropsExpiredItself: boolean;
}

type Context = Parameters<Clause<AdminContext>["check"]>[0];

const LONG_MS = 3_600_000;

/** Registers the suite. */
export function blobAdminContract(options: BlobAdminContractOptions): void {
  const { ttlStepMs = 1_000, dropsExpiredItself = false } = options.capabilities ?? {};
  const open = async (): Promise<AdminContext> => {
    const { store, admin, close, advance = (ms: number) => sleep(systemRuntime, ms) } = await options.open();
    const expireShort = async (): Promise<void> => advance(2 * ttlStepMs);
    return { store, admin, close, expireShort, ttlStepMs, dropsExpiredItself };
  };
  registerClauses(options, "blob admin", open, clauses);
}

const clauses: readonly Clause<AdminContext>[] = [
  {
    title: "keys lists the keys that begin with the prefix, and no wildcard in it means anything",
    async check(context) {
      const keys = ["a%:1", "a%:2", "ab:3", "a_:4", "A%:5", "a%", "a", "b", "a%:Ünï🔑", "a%:\u{10ffff}z"];
      for (const key of keys) await put(context, key, LONG_MS);
      const { expect } = context;
      const expected = ["a%", "a%:1", "a%:2", "a%:Ünï🔑", "a%:\u{10ffff}z"];
      expect((await list(context, "a%", 100)).toSorted()).toEqual(expected.toSorted());
      expect(await list(context, "a_", 100)).toEqual(["a_:4"]);
      expect((await list(context, "", 100)).toSorted()).toEqual(keys.toSorted());
      expect(await list(context, "absent", 100)).toEqual([]);
    },
  },
  {
    title: "keys come page by page, each key once, at most limit on a page, also while keys come and go",
    async check(context) {
      const { admin, store, expect } = context;
      const lasting = Array.from({ length: 24 }, (_, index) => `p:${String(index * 10).padStart(4, "0")}`);
      for (const key of lasting) await put(context, key, LONG_MS);
      const leaving = { key: "p:0235", version: await put(context, "p:0235", LONG_MS) };
      const seen: string[] = [];
      let cursor: string | undefined;
      for (let page = 0; page === 0 || cursor !== undefined; page += 1) {
        const answer = await admin.keys({
          prefix: "p:",
          limit: 5,
          ...(cursor === undefined ? {} : { cursor }),
        });
        expect(answer.keys.length <= 5).toBe(true);
        seen.push(...answer.keys);
        cursor = answer.cursor;
        await put(context, `p:${String(page * 30 + 1).padStart(4, "0")}`, LONG_MS);
        if (page === 1) await store.delete(leaving.key, { ifVersion: leaving.version });
      }
      expect(new Set(seen).size).toBe(seen.length);
      expect(lasting.filter((key) => !seen.includes(key))).toEqual([]);
    },
  },
  {
    title: "keys leaves expired ones out",
    async check(context) {
      await put(context, "p:short", context.ttlStepMs);
      await put(context, "p:long", LONG_MS);
      await context.expireShort();
      context.expect(await list(context, "p:", 100)).toEqual(["p:long"]);
    },
  },
  {
    title: "purgeExpired deletes at most limit expired values, says how many, and no other value",
    async check(context) {
      const { admin, store, expect, dropsExpiredItself } = context;
      for (const key of ["1", "2", "3", "4", "5"]) await put(context, `short ${key}`, context.ttlStepMs);
      const version = await put(context, "long", LONG_MS);
      expect(await admin.purgeExpired({ limit: 100 })).toBe(0);
      await context.expireShort();
      const purged = [];
      for (let call = 0; call < 4; call += 1) purged.push(await admin.purgeExpired({ limit: 2 }));
      expect(purged).toEqual(dropsExpiredItself ? [0, 0, 0, 0] : [2, 2, 1, 0]);
      expect(await store.get("long", { unlessVersion: version })).toBe("unchanged");
    },
  },
];

async function put({ store, expect }: Context, key: string, ttlMs: number): Promise<string> {
  const version = fresh();
  const answer = await store.put(key, bytesOf(key), { version, ifVersion: null, ttlMs });
  expect(answer.stored).toBe(true);
  return version;
}

/** All pages together. */
async function list({ admin }: Context, prefix: string, limit: number): Promise<string[]> {
  const keys: string[] = [];
  let cursor: string | undefined;
  do {
    const page = await admin.keys({ prefix, limit, ...(cursor === undefined ? {} : { cursor }) });
    keys.push(...page.keys);
    cursor = page.cursor;
  } while (cursor !== undefined);
  return keys;
}
