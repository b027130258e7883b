/** The published contract of an {@link AccountActivityStore}. */
import { activityListClauses } from "./activity-list.ts";
import { activityRow, expectRow } from "./activity-rows.ts";
import { everyByte, fresh } from "./bytes.ts";
import { registerClauses, type Clause, type Closable, type ContractRunner } from "./runner.ts";
import type { AccountActivityStore } from "../../store/account-activity-store.ts";

/** An empty activity store, opened for one test. */
export interface OpenedActivityStore extends Closable {
  /** The store under test. */
  readonly activity: AccountActivityStore;
  /** Another client of the same data, as another process would have. Default: `activity` itself. */
  readonly second?: AccountActivityStore;
}

/** What the contract of an activity store is run with. */
export interface ActivityStoreContractOptions extends ContractRunner {
  /** Opens a fresh one for each test. */
  readonly open: () => Promise<OpenedActivityStore>;
}

export interface ActivityContext extends Closable {
  readonly activity: AccountActivityStore;
  readonly second: AccountActivityStore;
}

const RACING_WRITERS = 20;

/** Registers the suite. */
export function activityStoreContract(options: ActivityStoreContractOptions): void {
  const open = async (): Promise<ActivityContext> => {
    const { activity, second = activity, close } = await options.open();
    return { activity, second, close };
  };
  registerClauses(options, "account activity store", open, [...rowClauses, ...activityListClauses]);
}

const rowClauses: readonly Clause<ActivityContext>[] = [
  {
    title: "a row that is not there is undefined",
    async check({ activity, expect }) {
      expect(await activity.get("absent")).toBe(undefined);
    },
  },
  {
    title: "a row comes back with every field, its bytes and its revision",
    async check({ activity, second, expect }) {
      const row = activityRow({ accountKey: "key", sealedProperties: everyByte() });
      const revision = fresh();
      expect(await activity.put(row, { revision, ifRevision: null })).toEqual({ stored: true });
      await expectRow(expect, activity, { row, revision });
      await expectRow(expect, second, { row, revision });
    },
  },
  {
    title: "fields that are undefined stay undefined, also over a row that had them",
    async check({ activity, expect }) {
      const [first, next] = [fresh(), fresh()];
      await activity.put(activityRow({ accountKey: "key" }), { revision: first, ifRevision: null });
      const row = activityRow({
        accountKey: "key",
        name: undefined,
        failureCode: undefined,
        failureSubError: undefined,
        failureClaims: undefined,
        failureCorrelationId: undefined,
        failedAt: undefined,
        nextAttemptAt: undefined,
        lastSignInAt: undefined,
        lastRefreshAt: undefined,
        lastWorkerRunAt: undefined,
        credentialFingerprint: undefined,
        sealedProperties: undefined,
      });
      await activity.put(row, { revision: next, ifRevision: first });
      await expectRow(expect, activity, { row, revision: next });
    },
  },
  {
    title: "empty, false, zero and Unicode values are kept apart from undefined",
    async check({ activity, expect }) {
      const row = activityRow({
        accountKey: "key:Ünï 🔑 '%_",
        username: "мария.鈴木+tag@Exämple.com",
        name: "",
        failureClaims: '{"access_token":{"nbf":{"essential":true,"value":"1"}}}',
        failedAttempts: 0,
        failedAt: 0,
        confirmed: false,
        sealedProperties: new Uint8Array(0),
      });
      const revision = fresh();
      await activity.put(row, { revision, ifRevision: null });
      await expectRow(expect, activity, { row, revision });
    },
  },
  {
    title: "a row is not changed by what the caller does to its arrays, before or after",
    async check({ activity, expect }) {
      const sealedProperties = everyByte();
      const row = activityRow({ accountKey: "key", sealedProperties });
      const revision = fresh();
      await activity.put(row, { revision, ifRevision: null });
      sealedProperties.fill(0);
      (await activity.get("key"))?.row.sealedProperties?.fill(0);
      (await activity.list({ limit: 1 })).rows[0]?.row.sealedProperties?.fill(0);
      await expectRow(expect, activity, { row: { ...row, sealedProperties: everyByte() }, revision });
    },
  },
  {
    title: "put with ifRevision null requires that there is no row",
    async check({ activity, expect }) {
      const row = activityRow({ accountKey: "key" });
      const revision = fresh();
      await activity.put(row, { revision, ifRevision: null });
      const other = { ...row, username: "other" };
      expect(await activity.put(other, { revision: fresh(), ifRevision: null })).toEqual({ stored: false });
      await expectRow(expect, activity, { row, revision });
    },
  },
  {
    title: "put writes the row only if its revision is ifRevision",
    async check({ activity, expect }) {
      const row = activityRow({ accountKey: "key" });
      const [first, next] = [fresh(), fresh()];
      expect(await activity.put(row, { revision: fresh(), ifRevision: first })).toEqual({ stored: false });
      expect(await activity.get("key")).toBe(undefined);
      await activity.put(row, { revision: first, ifRevision: null });
      const changed = { ...row, username: "changed" };
      expect(await activity.put(changed, { revision: next, ifRevision: first })).toEqual({ stored: true });
      expect(await activity.put(row, { revision: fresh(), ifRevision: first })).toEqual({ stored: false });
      await expectRow(expect, activity, { row: changed, revision: next });
    },
  },
  {
    title: `of ${RACING_WRITERS} writers at once exactly one writes the row`,
    async check({ activity, second, expect }) {
      for (const ifRevision of [null, "first"]) {
        const accountKey = `key ${ifRevision}`;
        if (ifRevision !== null) {
          await activity.put(activityRow({ accountKey }), { revision: ifRevision, ifRevision: null });
        }
        const answers = await Promise.all(
          Array.from({ length: RACING_WRITERS }, (_, writer) =>
            (writer % 2 === 0 ? activity : second).put(activityRow({ accountKey }), {
              revision: fresh(),
              ifRevision,
            }),
          ),
        );
        expect(answers.filter(({ stored }) => stored).length).toBe(1);
      }
    },
  },
  {
    title: "delete removes the row only if its revision is ifRevision",
    async check({ activity, expect }) {
      const row = activityRow({ accountKey: "key" });
      const revision = fresh();
      expect(await activity.delete("key", { ifRevision: revision })).toBe(false);
      await activity.put(row, { revision, ifRevision: null });
      expect(await activity.delete("key", { ifRevision: fresh() })).toBe(false);
      await expectRow(expect, activity, { row, revision });
      expect(await activity.delete("key", { ifRevision: revision })).toBe(true);
      expect(await activity.get("key")).toBe(undefined);
      expect(await activity.put(row, { revision: fresh(), ifRevision: revision })).toEqual({ stored: false });
      expect(await activity.get("key")).toBe(undefined);
    },
  },
  {
    title: "account keys that differ only by case or a trailing space are different rows",
    async check({ activity, expect }) {
      const rows = ["key", "KEY", "key ", "key\u00e9", "keye\u0301"].map((accountKey) =>
        activityRow({ accountKey }),
      );
      const revision = fresh();
      for (const row of rows) await activity.put(row, { revision, ifRevision: null });
      for (const row of rows) await expectRow(expect, activity, { row, revision });
    },
  },
];
