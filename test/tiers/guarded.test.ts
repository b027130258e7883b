import { describe, expect, test } from "vitest";
import { memoryActivity } from "../../src/adapters/memory-activity.ts";
import { memoryStore } from "../../src/adapters/memory.ts";
import { guardActivity, guardLease } from "../../src/tiers/guarded.ts";
import { createStoreCalls, type StoreCalls } from "../../src/tiers/store-calls.ts";
import { fakeRuntime, type FakeRuntime } from "../adapters/fake-runtime.ts";
import { hangableStore, type HangableStore } from "../support/hangable.ts";
import { settle } from "../support/settle.ts";
import { BUDGETS } from "./support.ts";

function setting(): { runtime: FakeRuntime; link: HangableStore; calls: StoreCalls } {
  const runtime = fakeRuntime();
  const link = hangableStore({ ...memoryStore({ runtime }), activity: memoryActivity() });
  const calls = createStoreCalls({
    name: "test",
    runtime,
    budgets: BUDGETS,
    breaker: false,
    onFailure: () => false,
  });
  return { runtime, link, calls };
}

const codeOf = (call: Promise<unknown>): Promise<unknown> =>
  call.then(
    () => "answered",
    (error: { code: unknown }) => error.code,
  );

describe("a refresh lease", () => {
  const mine = { owner: "me", ttlMs: 60_000 };
  const theirs = { owner: "them", ttlMs: 60_000 };

  test("that is granted after its caller has given up is given back", async () => {
    const { runtime, link, calls } = setting();
    const lease = guardLease(link.lease!, calls);
    link.hang();
    const asked = codeOf(lease.acquire("key", mine));
    await runtime.advance(BUDGETS.write);
    expect(await asked).toBe("ERR_STORE_UNAVAILABLE");
    link.resume();
    await settle();
    expect(await lease.acquire("key", theirs)).toEqual({ held: true });
  });

  test("that somebody else has is left alone", async () => {
    const { runtime, link, calls } = setting();
    const lease = guardLease(link.lease!, calls);
    await lease.acquire("key", theirs);
    link.hang();
    const asked = codeOf(lease.acquire("key", mine));
    await runtime.advance(BUDGETS.write);
    link.resume();
    await settle();
    expect(await asked).toBe("ERR_STORE_UNAVAILABLE");
    expect(await lease.renew("key", theirs)).toBe(true);
  });

  test.each(["renew", "release"] as const)("does not hold whoever would %s it", async (operation) => {
    const { runtime, link, calls } = setting();
    const lease = guardLease(link.lease!, calls);
    link.hang();
    const asked = codeOf(lease[operation]("key", mine));
    await runtime.advance(BUDGETS.write);
    expect(await asked).toBe("ERR_STORE_UNAVAILABLE");
  });
});

test("activity rows have budgets as records have, and longer ones for a page of them", async () => {
  const { runtime, link, calls } = setting();
  const activity = guardActivity(link.activity!, calls);
  link.hang();
  const ended: string[] = [];
  const note = (name: string) => (): void => void ended.push(name);
  void activity.get("key").catch(note("get"));
  void activity.delete("key", { ifRevision: "1" }).catch(note("delete"));
  void activity.list({ limit: 1 }).catch(note("list"));
  await runtime.advance(BUDGETS.read);
  expect(ended).toEqual(["get"]);
  await runtime.advance(BUDGETS.write);
  expect(ended).toEqual(["get", "delete"]);
  await runtime.advance(15_000);
  expect(ended).toEqual(["get", "delete", "list"]);
});
