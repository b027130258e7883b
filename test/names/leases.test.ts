/** While names change a lease is held under two of them: both or none. */
import { expect, test } from "vitest";
import { memoryStore } from "../../src/adapters/memory.ts";
import { createSealer } from "../../src/envelope/sealer.ts";
import { nameStore } from "../../src/names/named-store.ts";
import { nameKeyObject } from "../../src/names/naming.ts";
import { namingsOf } from "../../src/names/namings.ts";
import { systemRuntime as runtime } from "../../src/runtime.ts";
import type { RefreshLease } from "../../src/store/refresh-lease.ts";
import { testKeys } from "../support/world.ts";

test("a lease that fails under its second name is given back under its first", async () => {
  const inner = memoryStore();
  let calls = 0;
  const lease: RefreshLease = {
    ...inner.lease,
    acquire: (name, options) => {
      calls += 1;
      return calls === 2 ? Promise.reject(new Error("down")) : inner.lease.acquire(name, options);
    },
  };
  const [key, next] = [1, 2].map((fill) => nameKeyObject(new Uint8Array(32).fill(fill), "key"));
  const named = nameStore(
    { ...inner, lease },
    {
      namings: namingsOf("tokenkeep", { key: key!, next: next! }),
      sealer: createSealer(testKeys(), runtime),
      namespace: "tokenkeep",
      runtime,
      emit: () => undefined,
    },
  );
  const ttlMs = 60_000;
  await expect(named.lease!.acquire("key", { owner: "one", ttlMs })).rejects.toThrow("down");
  expect(await named.lease!.acquire("key", { owner: "another", ttlMs })).toEqual({ held: true });
});
