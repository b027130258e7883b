/** The contract suites on one kind of server, by one kind of client. */
import { describe, expect, test } from "vitest";
import { redisStore } from "../../src/adapters/redis.ts";
import {
  activityStoreContract,
  backplaneContract,
  blobAdminContract,
  blobStoreContract,
  refreshLeaseContract,
} from "../../src/testing/contract/index.ts";
import type { MakeClient } from "./redis-clients.ts";

// Real time: the server counts it.
const ttlStepMs = 200;
const capabilities = { canFail: true, ttlStepMs };
let writes = 0;

/** @param flush empties the server: the suites use the same few keys again and again */
export function redisContracts(name: string, make: MakeClient, flush: () => Promise<unknown>): void {
  const runner = { name, test, expect, describe };
  const open = opener(make, flush);
  redisRecordContracts(name, make, flush);

  activityStoreContract({
    ...runner,
    open: async () => {
      const opened = await open();
      return { ...opened, activity: opened.store.activity, second: opened.second.activity };
    },
  });

  blobAdminContract({
    ...runner,
    capabilities: { ttlStepMs, dropsExpiredItself: true },
    open: async () => {
      const opened = await open();
      return { ...opened, admin: opened.store.admin };
    },
  });

  backplaneContract({
    ...runner,
    open: async () => {
      const { store, second, ...opened } = await open();
      const options = { ifVersion: null, ttlMs: 60_000 };
      const write = () => store.put(`key ${(writes += 1)}`, Uint8Array.of(1), { version: "v", ...options });
      return { ...opened, backplane: store.backplane, second: second.backplane, write };
    },
  });
}

/** What the way to the server decides: records and leases. */
export function redisRecordContracts(name: string, make: MakeClient, flush: () => Promise<unknown>): void {
  const runner = { name, test, expect, describe, capabilities };
  const open = opener(make, flush);

  blobStoreContract({ ...runner, open });

  refreshLeaseContract({
    ...runner,
    open: async () => {
      const opened = await open();
      return { ...opened, lease: opened.store.lease, second: opened.second.lease };
    },
  });
}

function opener(make: MakeClient, flush: () => Promise<unknown>) {
  return async () => {
    await flush();
    const owned = [make(), make()] as const;
    const store = redisStore({ client: owned[0].client });
    const second = redisStore({ client: owned[1].client });
    return {
      store,
      second,
      fail: () => store.close(),
      async close() {
        await store.close();
        await second.close();
        for (const { dispose } of owned) dispose();
      },
    };
  };
}
