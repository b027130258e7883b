import { describe, expect, test } from "vitest";
import type { RequestGuard } from "../../src/partitions/lease.ts";
import type { RefreshLease } from "../../src/store/refresh-lease.ts";
import { down, never, setUp, wait, watch } from "./lease-world.ts";

describe.each(["reusable", "one-time"] as const)("without a lease backend, %s refresh tokens", (mode) => {
  test("every process looks, and then works by itself, where there is no lease at all", async () => {
    const { provider, process, renewal, failures } = setUp(mode);
    const work = (guard: RequestGuard): Promise<string> => guard().then(() => `${(provider.calls += 1)}`);
    const alone = process({ lease: undefined });
    await Promise.all([1, 2].map(() => alone.run(renewal(0, { work }))));
    expect(provider.calls).toBe(2);
    const found = await alone.run(renewal(0, { work, recheck: async () => "there already" }));
    expect(found).toBe("there already");
    expect(provider.calls).toBe(2);
    expect(failures).toEqual([]);
  });

  test("a dead backend costs an extra call, not a failure, after one more look", async () => {
    const { runtime, lease, failures, provider, process, renewal } = setUp(mode);
    const throwing: RefreshLease["acquire"] = () => {
      throw new Error("closed");
    };
    for (const acquire of [down, throwing]) {
      const call = watch(
        process({ lease: { ...lease, acquire } }).run(renewal(0, { recheck: async () => undefined })),
      );
      await runtime.advance(0);
      expect(call.value).toMatch(/^token/);
    }
    expect(provider.calls).toBe(2);
    expect(failures).toEqual(["lease acquire", "lease acquire"]);
    expect(await process({ lease: { ...lease, acquire: down } }).run(renewal(0))).toBe("token 2");
    expect(provider.calls).toBe(2);
  });

  test("a backend that never answers is a dead one", async () => {
    const { runtime, lease, failures, process, renewal } = setUp(mode);
    const call = watch(process({ lease: { ...lease, acquire: never } }).run(renewal(0)));
    await runtime.advance(5_999);
    expect(call).toEqual({});
    await runtime.advance(1);
    expect(call.value).toBe("token 1");
    expect(failures).toEqual(["lease acquire"]);
  });

  test("a lease that was granted although the answer failed, or came too late, is given back", async () => {
    for (const late of [false, true]) {
      const { runtime, lease, process, renewal } = setUp(mode);
      const acquire: RefreshLease["acquire"] = async (key, options) => {
        if (late) await wait(runtime, 10_000);
        const answer = await lease.acquire(key, options);
        if (late) return answer;
        throw new Error("the connection was reset");
      };
      watch(process({ lease: { ...lease, acquire } }).run(renewal(0)));
      await runtime.advance(10_000);
      expect(await lease.acquire("partition", { owner: "next", ttlMs: 1 })).toEqual({ held: true });
    }
  });

  test("a backend that dies while others wait lets them look again and then work", async () => {
    const { runtime, lease, provider, process, renewal } = setUp(mode);
    await lease.acquire("partition", { owner: "somebody", ttlMs: 60_000 });
    let asked = 0;
    const acquire: RefreshLease["acquire"] = (key, options) =>
      (asked += 1) > 3 ? down() : lease.acquire(key, options);
    const call = watch(process({ lease: { ...lease, acquire } }).run(renewal(0)));
    await runtime.advance(1_000);
    expect(call.value).toBe("token 1");
    expect(provider.calls).toBe(1);
  });
});
