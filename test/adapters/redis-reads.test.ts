import { describe, expect, test } from "vitest";
import type { RedisDriver, RedisReply } from "../../src/adapters/redis-client.ts";
import { createRedisConnection } from "../../src/adapters/redis-connection.ts";
import { redisReads } from "../../src/adapters/redis-reads.ts";
import { systemRuntime } from "../../src/runtime.ts";

/** A client, or a proxy before the server, that answers as no Redis does: none can be made to. */
function readingFrom(send: () => Promise<RedisReply>): (key: string) => Promise<unknown> {
  const driver: RedisDriver = {
    started: () => Promise.resolve(),
    isReady: () => true,
    joinsKeys: true,
    send,
    sendToMasters: () => Promise.resolve([]),
    masters: () => Promise.resolve([]),
    close: () => undefined,
  };
  return redisReads(createRedisConnection(driver, systemRuntime));
}

const VALUE = Buffer.from("\u0002v1bytes");

describe("readings that were joined", () => {
  test.each<[string, () => Promise<RedisReply>]>([
    ["nothing", () => Promise.resolve(null)],
    ["a number", () => Promise.resolve(1)],
    ["fewer values than keys", () => Promise.resolve([VALUE])],
    ["more values than keys", () => Promise.resolve([VALUE, VALUE, VALUE])],
  ])("all fail, and none is a miss, where the answer is %s", async (_what, send) => {
    const read = readingFrom(send);
    // Connected.
    await read("first").catch(() => undefined);
    const outcomes = await Promise.allSettled([read("a"), read("b")]);
    for (const outcome of outcomes) {
      expect(outcome).toMatchObject({ status: "rejected", reason: { code: "ERR_STORE_UNAVAILABLE" } });
    }
  });

  test("all fail where the client throws instead of rejecting", async () => {
    let calls = 0;
    const read = readingFrom(() => {
      calls += 1;
      if (calls > 1) throw new TypeError("of the client");
      return Promise.resolve(VALUE);
    });
    expect(await read("first")).toMatchObject({ version: "v1" });
    for (const outcome of await Promise.allSettled([read("a"), read("b")])) {
      expect(outcome).toMatchObject({ status: "rejected", reason: { code: "ERR_STORE_UNAVAILABLE" } });
    }
  });
});
