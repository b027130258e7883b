import { describe, expect, test } from "vitest";
import type { KeptLeases, RequestGuard } from "../../src/partitions/lease.ts";
import type { RefreshLease } from "../../src/store/refresh-lease.ts";
import type { FakeRuntime } from "../adapters/fake-runtime.ts";
import {
  LOST,
  ONE_TIME_TTL_MS,
  REQUEST_MS,
  down,
  never,
  setUp,
  unreadable,
  wait,
  watch,
} from "./lease-world.ts";

describe("one-time refresh tokens", () => {
  /** A process that gets the lease, then does `before` with it until its request is due. */
  async function guarded(
    before: (world: ReturnType<typeof setUp>) => Promise<void>,
    lease?: Partial<RefreshLease>,
  ) {
    const world = setUp("one-time");
    const call = watch(
      world.process({ lease: { ...world.lease, ...lease } }).run(
        world.renewal(0, {
          async work(guard) {
            await before(world);
            await guard();
            world.provider.calls += 1;
            return "sent";
          },
        }),
      ),
    );
    await world.runtime.advance(60_000);
    return { call, ...world };
  }

  test("the request is sent while the lease outlasts it", async () => {
    const { call } = await guarded(({ runtime }) => wait(runtime, 9_000), { renew: down });
    expect(call.value).toBe("sent");
  });

  test("nothing is sent when too little time is left and the lease cannot be renewed", async () => {
    const { call, provider } = await guarded(({ runtime }) => wait(runtime, 9_001), { renew: down });
    expect(call.error).toMatchObject(LOST);
    expect(provider.calls).toBe(0);
  });

  test("nothing is sent when the backend does not answer the renewal in time", async () => {
    const { call, provider } = await guarded(({ runtime }) => wait(runtime, 9_001), { renew: never });
    expect(call.error).toMatchObject(LOST);
    expect(provider.calls).toBe(0);
  });

  test("a lease with too little time left is renewed on the spot", async () => {
    const { call, lease } = await guarded(({ runtime }) => wait(runtime, 12_000));
    expect(call.value).toBe("sent");
    expect(await lease.acquire("partition", { owner: "next", ttlMs: 1 })).toEqual({ held: true });
  });

  test("nothing is sent when somebody else has the lease by now, however recently it was ours", async () => {
    const { call, provider } = await guarded(({ runtime }) => wait(runtime, 14_000), {
      renew: async () => false,
    });
    expect(call.error).toMatchObject(LOST);
    expect(provider.calls).toBe(0);
  });

  test.each(["monotonicNow", "now"] as const)(
    "a process that was frozen sends nothing, though only its clock %s went on",
    async (clock) => {
      const { runtime, provider, process, renewal, lease } = setUp("one-time");
      let slept = 0;
      const own = { ...runtime, [clock]: () => runtime[clock]() + slept };
      const work = async (guard: RequestGuard): Promise<string> => {
        slept = ONE_TIME_TTL_MS;
        await guard();
        provider.calls += 1;
        return "sent";
      };
      const taken: RefreshLease = { ...lease, renew: async () => false };
      const call = process({ runtime: own, lease: taken }).run(renewal(0, { work }));
      await expect(call).rejects.toMatchObject(LOST);
      expect(provider.calls).toBe(0);
    },
  );

  test("time counts from when the lease was asked for, not from when it was granted", async () => {
    const { runtime, lease, provider, process, renewal } = setUp("one-time");
    const slow: RefreshLease = {
      ...lease,
      renew: down,
      async acquire(key, options) {
        const answer = await lease.acquire(key, options);
        await wait(runtime, 5_000);
        return answer;
      },
    };
    const work = async (guard: RequestGuard): Promise<string> => {
      await wait(runtime, 5_000);
      await guard();
      provider.calls += 1;
      return "sent";
    };
    const call = watch(process({ lease: slow }).run(renewal(0, { work })));
    await runtime.advance(10_000);
    expect(call.error).toMatchObject(LOST);
    expect(provider.calls).toBe(0);
  });

  test("time counts from when a renewal was asked for, not from when it was answered", async () => {
    const { runtime, lease, provider, process, renewal } = setUp("one-time");
    let renewals = 0;
    const renew = async (): Promise<boolean> => {
      if ((renewals += 1) > 1) return down();
      await wait(runtime, 5_900);
      return true;
    };
    const work = async (guard: RequestGuard): Promise<string> => {
      // The renewal is asked for after 13.3 s and answered after 19.2 s.
      await wait(runtime, 22_500);
      await guard();
      provider.calls += 1;
      return "sent";
    };
    const call = watch(process({ lease: { ...lease, renew } }).run(renewal(0, { work })));
    await runtime.advance(23_000);
    expect(renewals).toBe(2);
    expect(call.error).toMatchObject(LOST);
    expect(provider.calls).toBe(0);
  });

  test("a guard that outlives its work lets nothing through", async () => {
    const { process, renewal } = setUp("one-time");
    let kept: RequestGuard = async () => {};
    await process().run(renewal(0, { work: async (guard) => ((kept = guard), "done") }));
    await expect(kept()).rejects.toMatchObject(LOST);
  });

  test("work that dawdled past its hold may not send, and a request let through is held to its end", async () => {
    const dawdling = await guardedAfter(119_000);
    expect(dawdling.error).toMatchObject(LOST);
    const sent = await guardedAfter(79_000, 60_000);
    expect(sent).toMatchObject({ value: "sent", sameHolder: true });
  });

  /** Work whose request is due after `dueMs` and whose save is done `afterMs` later. */
  async function guardedAfter(dueMs: number, afterMs = 0) {
    const { runtime, lease, process, renewal } = setUp("one-time");
    let sameHolder = false;
    const work = async (guard: RequestGuard): Promise<string> => {
      await wait(runtime, dueMs);
      await guard();
      await wait(runtime, afterMs);
      sameHolder = !(await lease.acquire("partition", { owner: "thief", ttlMs: 1 })).held;
      return "sent";
    };
    const call = watch(process().run(renewal(0, { work })));
    await runtime.advance(dueMs + afterMs);
    return { ...call, sameHolder };
  }

  test("whoever waits too long is told to try again, because an extra call could sign the user out", async () => {
    const { runtime, lease, provider, process, renewal } = setUp("one-time");
    await lease.acquire("partition", { owner: "somebody", ttlMs: 3_600_000 });
    const call = watch(process().run(renewal(0)));
    await runtime.advance(2 * ONE_TIME_TTL_MS - 1);
    expect(call).toEqual({});
    await runtime.advance(1);
    expect(call.error).toMatchObject(LOST);
    expect(provider.calls).toBe(0);
    expect(runtime.pendingTimers()).toBe(0);
  });

  test("what cannot be read before the request might be a newer token, so nothing is sent", async () => {
    const { lease, provider, process, renewal } = setUp("one-time");
    const call = process().run(renewal(0, { recheck: unreadable }));
    await expect(call).rejects.toMatchObject(LOST);
    expect(provider.calls).toBe(0);
    expect(await lease.acquire("partition", { owner: "next", ttlMs: 1 })).toEqual({ held: true });
  });
});

describe("one-time refresh tokens: what came of the work is not in the store yet", () => {
  function unsaved() {
    const stored = Promise.withResolvers<void>();
    let isStored = false;
    const whenStored = (): Promise<void> | undefined => (isStored ? undefined : stored.promise);
    const store = (): void => {
      isStored = true;
      stored.resolve();
    };
    return { whenStored, store, recheck: async () => (isStored ? "stored" : undefined) };
  }

  async function soon(runtime: FakeRuntime, work: Promise<unknown>): Promise<void> {
    const seen = watch(work);
    await runtime.advance(1_000);
    expect(seen.value).toBeDefined();
  }

  test("the lease is kept until it is: then others get it at once", async () => {
    const { runtime, provider, process, renewal } = setUp("one-time");
    const { whenStored, store, recheck } = unsaved();
    const changes = { whenStored, recheck };
    await soon(runtime, process().run(renewal(10, changes)));
    const other = watch(process().run(renewal(10, changes)));
    await runtime.advance(5_000);
    expect([other, provider.calls]).toEqual([{}, 1]);
    store();
    await runtime.advance(500);
    expect([other, provider.calls]).toEqual([{ value: "stored" }, 1]);
  });

  test("the process that has it goes on under the lease it has, with all its clients", async () => {
    const { runtime, provider, process, renewal } = setUp("one-time");
    const { whenStored, store, recheck } = unsaved();
    const changes = { whenStored, recheck };
    const kept: KeptLeases = new Map();
    const [one, another] = [process({ kept }), process({ kept })];
    await soon(runtime, one.run(renewal(10, changes)));
    await soon(runtime, another.run(renewal(10, changes)));
    await soon(runtime, one.runIfFree(renewal(10, changes)));
    expect(provider.calls).toBe(3);
    const other = watch(process().run(renewal(10, changes)));
    await runtime.advance(5_000);
    expect([other, provider.calls]).toEqual([{}, 3]);
    store();
    await runtime.advance(500);
    expect(other).toEqual({ value: "stored" });
    expect(kept.size).toBe(0);
  });

  test("it is kept for a while only, and its process asks for another one then", async () => {
    const { runtime, provider, process, renewal } = setUp("one-time");
    const { whenStored, recheck } = unsaved();
    const changes = { whenStored, recheck };
    const own = process();
    await soon(runtime, own.run(renewal(10, changes)));
    await runtime.advance(10 * ONE_TIME_TTL_MS);
    await soon(runtime, process().run(renewal(10, { recheck })));
    await soon(runtime, own.run(renewal(10, changes)));
    expect(provider.calls).toBe(3);
  });

  test("it is kept for less than three leases, and not renewed in the last of them", async () => {
    const { runtime, lease, process, renewal } = setUp("one-time");
    const { whenStored, recheck } = unsaved();
    const begunAtMs = runtime.monotonicNow();
    const renewedAfterMs: number[] = [];
    const renew: RefreshLease["renew"] = (key, options) => {
      renewedAfterMs.push(runtime.monotonicNow() - begunAtMs);
      return lease.renew(key, options);
    };
    await soon(runtime, process({ lease: { ...lease, renew } }).run(renewal(0, { whenStored, recheck })));
    await runtime.advance(3 * ONE_TIME_TTL_MS - 1_001);
    expect(renewedAfterMs).toHaveLength(5);
    expect(Math.max(...renewedAfterMs)).toBeLessThan(2 * ONE_TIME_TTL_MS);
    expect(await lease.acquire("partition", { owner: "next", ttlMs: 1 })).toEqual({ held: true });
  });
});

describe("reusable refresh tokens", () => {
  test("a lost lease, or one with little time left, lets the request pass without asking anybody", async () => {
    const { runtime, lease, provider, process, renewal } = setUp("reusable");
    const work = async (guard: RequestGuard): Promise<string> => {
      await wait(runtime, 11_000);
      await guard();
      provider.calls += 1;
      return "sent";
    };
    for (const renew of [async () => false, down, never]) {
      const call = watch(process({ lease: { ...lease, renew } }).run(renewal(0, { work })));
      await runtime.advance(11_000);
      expect(call.value).toBe("sent");
    }
  });

  test("whoever has waited for longer than any request takes makes an extra call", async () => {
    const { runtime, lease, provider, process, renewal } = setUp("reusable");
    await lease.acquire("partition", { owner: "somebody", ttlMs: 3_600_000 });
    const call = watch(process().run(renewal(0)));
    await runtime.advance(REQUEST_MS + 10_000 - 1);
    expect(provider.calls).toBe(0);
    await runtime.advance(1);
    expect(call.value).toBe("token 1");
    expect(await lease.renew("partition", { owner: "somebody", ttlMs: 1 })).toBe(true);
  });

  test("a reading that fails before the request is told and does not stand in its way", async () => {
    const { runtime, failures, process, renewal } = setUp("reusable");
    const call = watch(process().run(renewal(0, { recheck: unreadable })));
    await runtime.advance(0);
    expect(call.value).toBe("token 1");
    expect(failures).toEqual(["lease recheck"]);
  });
});
