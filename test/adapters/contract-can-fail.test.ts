/** The contract suites, run on stores that break one promise each: the suite must say which. */
import { describe, expect, test } from "vitest";
import { memoryStore } from "../../src/adapters/memory.ts";
import {
  activityStoreContract,
  backplaneContract,
  blobAdminContract,
  blobStoreContract,
  refreshLeaseContract,
} from "../../src/testing/contract/index.ts";
import type { RefreshLease } from "../../src/store/refresh-lease.ts";
import type { Store } from "../../src/store/store.ts";
import { ACTIVITY_FAULTS } from "./broken/activity-faults.ts";
import { BLOB_FAULTS } from "./broken/blob-faults.ts";
import type { Break, MemoryStore } from "./broken/fault.ts";
import { LEASE_FAULTS } from "./broken/lease-faults.ts";
import { OTHER_FAULTS } from "./broken/other-faults.ts";
import { fakeRuntime } from "./fake-runtime.ts";

const FAULTS = [...BLOB_FAULTS, ...ACTIVITY_FAULTS, ...LEASE_FAULTS, ...OTHER_FAULTS];

describe("the contract suites can fail", () => {
  test("no clause goes red for a store that keeps every promise", async () => {
    expect(await redTitles(() => ({}))).toEqual([]);
  });

  test.each(FAULTS)("a store that %s is caught", async (_fault, breakIt, red) => {
    const titles = await redTitles(breakIt);
    expect(titles.filter((title) => title.includes(red))).toHaveLength(1);
  });

  test("every clause goes red for at least one of these stores", async () => {
    const all: string[] = [];
    await redTitles(() => ({}), all);
    const red = new Set<string>();
    for (const [, breakIt] of FAULTS) {
      for (const title of await redTitles(breakIt)) red.add(title);
    }
    expect(all.filter((title) => !red.has(title))).toEqual([]);
  });

  test("failures told as misses, and errors that name the key, are caught", async () => {
    const mute = await redFailures({ get: async () => undefined });
    expect(mute).toEqual(["a failure is an error, never a miss and never a conflict"]);
    const talkative = await redFailures({
      get: (key) => Promise.reject(new Error("outer", { cause: new Error(key) })),
    });
    expect(talkative).toEqual(["an error names neither the key nor the bytes, nor do its causes"]);
    const silent = await redFailures({ get: () => Promise.reject(new Error("down")) });
    expect(silent).toEqual([]);
  });

  test("a dead lease backend told as a lease that is held or lost, and errors that name it, are caught", async () => {
    const down = () => Promise.reject(new Error("down"));
    const talkative = (key: string, { owner }: { readonly owner: string }) =>
      Promise.reject(new Error("outer", { cause: new Error(`${key} ${owner}`) }));
    const dead = "a dead backend is an error: neither held by somebody, nor granted, nor lost";
    expect(await redLeaseFailures({ acquire: async () => ({ held: false }) })).toEqual([dead]);
    expect(await redLeaseFailures({ acquire: async () => ({ held: true }) })).toEqual([dead]);
    expect(await redLeaseFailures({ renew: async () => false })).toEqual([dead]);
    expect(await redLeaseFailures({ release: async () => {} })).toEqual([dead]);
    const named = "an error names neither the key nor the owner, nor do its causes";
    expect(await redLeaseFailures({ acquire: talkative })).toEqual([named]);
    expect(await redLeaseFailures({ renew: talkative })).toEqual([named]);
    expect(await redLeaseFailures({ release: talkative })).toEqual([named]);
    expect(await redLeaseFailures({ acquire: down })).toEqual([]);
  });
});

/** Runs every suite on a broken store with a runner that only collects. @returns the titles that failed. */
async function redTitles(breakIt: Break, all: string[] = []): Promise<string[]> {
  const collected: { readonly title: string; readonly body: () => Promise<void> }[] = [];
  const collect = (title: string, body: () => Promise<void>): void => void collected.push({ title, body });
  const runner = { name: "broken", test: collect, expect, describe: (_: string, body: () => void) => body() };
  const open = async () => {
    const runtime = fakeRuntime();
    const whole = memoryStore({ runtime });
    const [store, other] = [whole, whole].map((client): MemoryStore => ({ ...client, ...breakIt(client) }));
    if (store === undefined || other === undefined) throw new Error("unreachable");
    const advance = (ms: number) => runtime.advance(ms);
    return { ...store, store, other, advance, write: async () => {}, close: async () => {} };
  };
  blobStoreContract({
    ...runner,
    open: async () => {
      const opened = await open();
      return { ...opened, second: opened.other };
    },
  });
  activityStoreContract({ ...runner, open });
  blobAdminContract({ ...runner, open });
  backplaneContract({ ...runner, open });
  refreshLeaseContract({ ...runner, open });
  all.push(...collected.map(({ title }) => title));
  return failing(collected);
}

/** The clauses on failures, on a store whose calls do this once it has failed. */
async function redFailures(whenFailed: Partial<Store>): Promise<string[]> {
  const collected: { readonly title: string; readonly body: () => Promise<void> }[] = [];
  const down = () => Promise.reject(new Error("down"));
  blobStoreContract({
    name: "broken",
    expect,
    test: (title, body) => void collected.push({ title, body }),
    describe: (_, body) => body(),
    capabilities: { canFail: true },
    open: async () => {
      const store: Store = { ...memoryStore({ runtime: fakeRuntime() }) };
      const fail = () =>
        void Object.assign(store, { get: down, put: down, touch: down, delete: down }, whenFailed);
      return { store, fail, advance: () => {}, close: async () => {} };
    },
  });
  return failing(collected.slice(-2));
}

/** The same for leases. */
async function redLeaseFailures(whenFailed: Partial<RefreshLease>): Promise<string[]> {
  const collected: { readonly title: string; readonly body: () => Promise<void> }[] = [];
  const down = () => Promise.reject(new Error("down"));
  refreshLeaseContract({
    name: "broken",
    expect,
    test: (title, body) => void collected.push({ title, body }),
    describe: (_, body) => body(),
    capabilities: { canFail: true },
    open: async () => {
      const lease = { ...memoryStore({ runtime: fakeRuntime() }).lease };
      const fail = () => void Object.assign(lease, { acquire: down, renew: down, release: down }, whenFailed);
      return { lease, fail, advance: () => {}, close: async () => {} };
    },
  });
  return failing(collected.slice(-2));
}

async function failing(
  collected: readonly { title: string; body: () => Promise<void> }[],
): Promise<string[]> {
  const red: string[] = [];
  for (const { title, body } of collected) {
    try {
      await body();
    } catch {
      red.push(title);
    }
  }
  return red;
}
