import { expect, test } from "vitest";
import type { AccountActivityStore } from "../../src/store/account-activity-store.ts";
import { chaosStore } from "../support/chaos.ts";
import { dateRuntime } from "../support/date-runtime.ts";
import { passTime, steerDates } from "../support/dates.ts";
import { ADA, createWorld, READ } from "../support/world.ts";

steerDates();

/** Counts what is asked of the rows. */
function counted(inner: AccountActivityStore): AccountActivityStore & { readonly calls: string[] } {
  const calls: string[] = [];
  return {
    calls,
    name: inner.name,
    get: (key) => (calls.push("get"), inner.get(key)),
    put: (row, options) => (calls.push("put"), inner.put(row, options)),
    delete: (key, options) => (calls.push("delete"), inner.delete(key, options)),
    list: (query) => (calls.push("list"), inner.list(query)),
  };
}

test("a token that is read from the store costs one reading; that it was used is noted once a minute", async () => {
  const world = createWorld();
  const activity = counted(world.store.activity);
  const link = chaosStore({ ...world.store, activity });
  const { account } = await world.node().signIn(ADA, READ);
  const node = world.node({ store: link, l1: false, runtime: dateRuntime() });
  const silent = async (): Promise<{ store: string[]; rows: string[] }> => {
    link.forgetCalls();
    activity.calls.splice(0);
    const { metadata } = await node.client.acquireTokenSilent({ account: account!, scopes: READ });
    expect(metadata.cacheLevel).toBe("L2");
    return { store: link.calls.map(({ operation }) => operation), rows: [...activity.calls] };
  };
  const lastActivityAt = async (): Promise<number> => {
    const { rows } = await world.store.activity.list({ limit: 10 });
    return rows[0]!.row.lastActivityAt;
  };

  expect(await silent()).toEqual({ store: ["get"], rows: ["get", "put"] });
  const noted = await lastActivityAt();
  for (let call = 0; call < 5; call += 1) {
    passTime(10_000);
    expect(await silent()).toEqual({ store: ["get"], rows: [] });
  }
  expect(await lastActivityAt()).toBe(noted);
  passTime(10_000);
  expect(await silent()).toEqual({ store: ["get"], rows: ["get", "put"] });
  expect(await lastActivityAt()).toBe(noted + 60_000);
});
