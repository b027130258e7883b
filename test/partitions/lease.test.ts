import { describe, expect, test } from "vitest";
import type { RefreshLease } from "../../src/store/refresh-lease.ts";
import {
  ONE_TIME_TTL_MS,
  REQUEST_MS,
  REUSABLE_TTL_MS,
  down,
  never,
  setUp,
  unreadable,
  wait,
  watch,
} from "./lease-world.ts";

describe.each(["reusable", "one-time"] as const)("one refresh, %s refresh tokens", (mode) => {
  const ttlMs = mode === "one-time" ? ONE_TIME_TTL_MS : REUSABLE_TTL_MS;

  test("20 callers in 4 processes cost one call, and all get its answer", async () => {
    const { runtime, provider, process, renewal } = setUp(mode);
    const processes = Array.from({ length: 4 }, () => process());
    const calls = processes.flatMap((one) => Array.from({ length: 5 }, () => one.run(renewal(500))));
    await runtime.advance(2_000);
    expect(new Set(await Promise.all(calls))).toEqual(new Set(["token 1"]));
    expect(provider.calls).toBe(1);
    expect(runtime.pendingTimers()).toBe(0);
  });

  test("a provider that takes 30 s is still asked only once: the lease is renewed while the work lasts", async () => {
    const { runtime, provider, process, renewal } = setUp(mode);
    const calls = [process(), process()].map((one) => one.run(renewal(REQUEST_MS)));
    await runtime.advance(REQUEST_MS + 1_000);
    expect(await Promise.all(calls)).toEqual(["token 1", "token 1"]);
    expect(provider.calls).toBe(1);
  });

  test("who gets the lease first looks whether somebody has just finished", async () => {
    const { provider, process, renewal, keep } = setUp(mode);
    keep("there already");
    expect(await process().run(renewal(500))).toBe("there already");
    expect(provider.calls).toBe(0);
  });

  test("other keys do not wait", async () => {
    const { runtime, provider, process, renewal } = setUp(mode);
    const one = process();
    const calls = ["a", "b"].map((key) => one.run(renewal(500, { key })));
    await runtime.advance(500);
    await Promise.all(calls);
    expect(provider.most).toBe(2);
  });

  test("who may answer with something meanwhile neither waits nor reads", async () => {
    const { runtime, lease, provider, process, renewal } = setUp(mode);
    await lease.acquire("partition", { owner: "somebody", ttlMs: 60_000 });
    const answer = process().run(renewal(0, { meanwhile: () => "old but valid", recheck: unreadable }));
    expect(await answer).toBe("old but valid");
    expect(provider.calls).toBe(0);
    expect(runtime.pendingTimers()).toBe(0);
  });

  test("a holder that died is waited for until its time is up, and no longer", async () => {
    const { runtime, provider, process, renewal } = setUp(mode);
    // Its timers never fire and its request never ends.
    const frozen = { ...runtime, setTimer: () => undefined, clearTimer: () => {} };
    watch(process({ runtime: frozen }).run(renewal(0, { work: never })));
    await runtime.advance(0);
    const second = watch(process().run(renewal(0)));
    await runtime.advance(ttlMs - 1);
    expect(provider.calls).toBe(0);
    await runtime.advance(1);
    expect(second.value).toBe("token 1");
  });

  test("what can wait is done by whoever gets the lease, and by nobody who would have to wait for it", async () => {
    const { runtime, lease, provider, process, renewal, keep } = setUp(mode);
    const both = [process(), process()].map((one) => one.runIfFree(renewal(500)));
    await runtime.advance(500);
    expect(await Promise.all(both)).toEqual(["token 1", undefined]);
    keep("there already");
    expect(await process().runIfFree(renewal(500))).toBe("there already");
    const unsure = process({ lease: { ...lease, acquire: down } });
    expect(await unsure.runIfFree(renewal(500))).toBeUndefined();
    await expect(process().runIfFree(renewal(500, { recheck: unreadable }))).rejects.toMatchObject({
      code: "ERR_STORE_UNAVAILABLE",
    });
    expect(provider.calls).toBe(1);
    expect(await lease.acquire("partition", { owner: "next", ttlMs: 1 })).toEqual({ held: true });
    expect(runtime.pendingTimers()).toBe(0);
  });

  test("an error of the work reaches its caller as it is and gives the lease back", async () => {
    const { runtime, lease, process, renewal } = setUp(mode);
    const failure = new Error("invalid_grant");
    const failed = process().run(renewal(0, { work: () => Promise.reject(failure) }));
    await expect(failed).rejects.toBe(failure);
    expect(await lease.acquire("partition", { owner: "next", ttlMs: 1_000 })).toEqual({ held: true });
    expect(runtime.pendingTimers()).toBe(0);
  });

  test("an error of the work while others wait lets the next one try", async () => {
    const { runtime, provider, process, renewal } = setUp(mode);
    const work = async (): Promise<never> => {
      await wait(runtime, 500);
      throw new Error("network_error");
    };
    const first = watch(process().run(renewal(0, { work })));
    const second = watch(process().run(renewal(0)));
    await runtime.advance(1_000);
    expect(first.error).toMatchObject({ message: "network_error" });
    expect(second.value).toBe("token 1");
    expect(provider.calls).toBe(1);
  });

  test("the lease is held until the work, with its save, is done, and then given back at once", async () => {
    const { runtime, lease, process, renewal } = setUp(mode);
    const mine = { owner: "mine", ttlMs: 1_000 };
    let during: unknown;
    const work = async (): Promise<string> => {
      await wait(runtime, 20_000);
      during = await lease.acquire("partition", mine);
      return "saved";
    };
    const call = process().run(renewal(0, { work }));
    await runtime.advance(20_000);
    expect(await call).toBe("saved");
    expect(during).toMatchObject({ held: false });
    expect(await lease.acquire("partition", mine)).toEqual({ held: true });
  });

  test("a release that fails is told and does not spoil the answer", async () => {
    const { lease, failures, process, renewal } = setUp(mode);
    const call = process({ lease: { ...lease, release: down } }).run(
      renewal(0, { work: async () => "token" }),
    );
    expect(await call).toBe("token");
    expect(failures).toEqual(["lease release"]);
  });

  test("a release that never answers does not keep the answer for long", async () => {
    const { runtime, lease, failures, process, renewal } = setUp(mode);
    const call = watch(process({ lease: { ...lease, release: never } }).run(renewal(0)));
    await runtime.advance(6_000);
    expect(call.value).toBe("token 1");
    expect(failures).toEqual(["lease release"]);
  });

  test("a renewal that fails is told, and the next one keeps the lease", async () => {
    const { runtime, lease, failures, provider, process, renewal } = setUp(mode);
    let renewals = 0;
    const renew: RefreshLease["renew"] = (key, options) =>
      (renewals += 1) === 1 ? down() : lease.renew(key, options);
    const first = process({ lease: { ...lease, renew } }).run(renewal(REQUEST_MS));
    const second = process().run(renewal(0));
    await runtime.advance(REQUEST_MS + 1_000);
    expect(await Promise.all([first, second])).toEqual(["token 1", "token 1"]);
    expect(provider.calls).toBe(1);
    expect(failures).toEqual(["lease renew"]);
  });

  test("work that never ends keeps others out only for a while", async () => {
    const { runtime, lease, process, renewal } = setUp(mode);
    watch(process().run(renewal(0, { work: never })));
    await runtime.advance(2 * (REQUEST_MS + 10_000) + ttlMs);
    expect(await lease.acquire("partition", { owner: "next", ttlMs: 1 })).toEqual({ held: true });
    expect(runtime.pendingTimers()).toBe(0);
  });

  test("a lease that was lost is not asked for again and again", async () => {
    const { runtime, lease, process, renewal } = setUp(mode);
    let renewals = 0;
    const renew = async (): Promise<boolean> => (renewals += 1) < 1;
    watch(process({ lease: { ...lease, renew } }).run(renewal(0, { work: never })));
    await runtime.advance(10 * ttlMs);
    expect(renewals).toBe(1);
  });

  test("one reading that fails while waiting is told, and the wait goes on", async () => {
    const { runtime, lease, failures, provider, process, renewal, keep } = setUp(mode);
    await lease.acquire("partition", { owner: "somebody", ttlMs: 60_000 });
    let reads = 0;
    const recheck = (): Promise<string | undefined> =>
      (reads += 1) === 1 ? unreadable() : Promise.resolve(reads > 2 ? "found" : undefined);
    keep("");
    const call = watch(process().run(renewal(0, { recheck })));
    await runtime.advance(1_000);
    expect(call.value).toBe("found");
    expect(failures).toEqual(["lease recheck"]);
    expect(provider.calls).toBe(0);
  });

  test("a reading that fails for another reason than the store ends the wait with its error", async () => {
    const { lease, process, renewal } = setUp(mode);
    await lease.acquire("partition", { owner: "somebody", ttlMs: 60_000 });
    const defect = new RangeError("a defect");
    const call = process().run(renewal(0, { recheck: () => Promise.reject(defect) }));
    await expect(call).rejects.toBe(defect);
  });
});
