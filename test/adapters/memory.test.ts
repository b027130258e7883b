import { describe, expect, test } from "vitest";
import { memoryStore } from "../../src/adapters/memory.ts";
import {
  activityStoreContract,
  backplaneContract,
  blobAdminContract,
  blobStoreContract,
  refreshLeaseContract,
} from "../../src/testing/contract/index.ts";
import { fakeRuntime } from "./fake-runtime.ts";

const runner = { name: "memory", test, expect, describe };

async function open() {
  const runtime = fakeRuntime();
  const store = memoryStore({ runtime });
  return { ...store, store, advance: (ms: number) => runtime.advance(ms), close: async () => {} };
}

blobStoreContract({ ...runner, open });
activityStoreContract({ ...runner, open });
blobAdminContract({ ...runner, open });
refreshLeaseContract({ ...runner, open });
backplaneContract({
  ...runner,
  open: async () => ({ ...(await open()), write: async () => {} }),
});

describe("memory store", () => {
  test("expires values by the system's clock if it is given no other", async () => {
    const store = memoryStore();
    await store.put("key", Uint8Array.of(1), { version: "v", ifVersion: null, ttlMs: 60_000 });
    expect(await store.get("key")).toMatchObject({ version: "v" });
  });

  test("drops an expired value as soon as somebody asks for it", async () => {
    const runtime = fakeRuntime();
    const store = memoryStore({ runtime });
    await store.put("key", Uint8Array.of(1), { version: "v", ifVersion: null, ttlMs: 1_000 });
    await runtime.advance(1_000);
    expect(await store.get("key")).toBe(undefined);
    expect(await store.admin.purgeExpired({ limit: 10 })).toBe(0);
  });

  test.each([0, -1, Number.NaN])(
    "refuses a ttlMs of %s rather than keep a value for no time or for ever",
    async (ttlMs) => {
      const refused = memoryStore().put("key", Uint8Array.of(1), { version: "v", ifVersion: null, ttlMs });
      await expect(refused).rejects.toMatchObject({ code: "ERR_OPTION_INVALID", option: "ttlMs" });
    },
  );

  test.each([0, 1_001, 1.5])("refuses a page of %s accounts", async (limit) => {
    const refused = memoryStore().activity.list({ limit });
    await expect(refused).rejects.toMatchObject({ code: "ERR_OPTION_INVALID", option: "limit" });
  });
});
