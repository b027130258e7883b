import { readFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { redisStore } from "../../src/adapters/redis.ts";
import { ROOT } from "../../scripts/lib/tree.ts";
import { redisProgram } from "../services/redis.ts";
import { startTlsRedis, type TlsRedis } from "../services/redis-tls.ts";
import { ioRedis, nodeRedis, type OwnedClient, type Reach } from "./redis-clients.ts";
import { redisContracts } from "./redis-contract.ts";

/** The user of the page, with the keys that the suites use beside the store's own: they have no namespace. */
const page = readFileSync(join(ROOT, "docs/stores/redis.md"), "utf8");
const documented = /ACL SETUSER (app on .*)/.exec(page)?.[1] ?? "";
const everyKey = documented.replace("app on >password ~tokenkeep:* ~{tokenkeep:*", "suite on >password ~*");

describe.skipIf(!redisProgram)("Redis with TLS and ACL users", () => {
  let server: TlsRedis;

  beforeAll(async () => {
    server = await startTlsRedis([`user ${documented}`, `user ${everyKey}`]);
  });
  afterAll(() => server.stop());

  const reach = (username: string): Reach => ({
    port: server.port,
    username,
    password: "password",
    ca: server.ca,
  });
  const flush = (): Promise<void> => server.flush();
  redisContracts("redis with TLS by node-redis", () => nodeRedis(reach("suite")), flush);
  redisContracts("redis with TLS by ioredis", () => ioRedis(reach("suite")), flush);

  test.each<[string, (reach: Reach) => OwnedClient]>([
    ["node-redis", nodeRedis],
    ["ioredis", ioRedis],
  ])("by %s, the documented user may do all the store does, and nothing elsewhere", async (_name, make) => {
    await server.flush();
    const owned = make(reach("app"));
    const store = redisStore({ client: owned.client });
    try {
      const version = "v1";
      const options = { version, ifVersion: null, ttlMs: 60_000 };
      await store.put("tokenkeep:v1:key", Uint8Array.of(1), options);
      expect(await store.touch("tokenkeep:v1:key", { ifVersion: version, ttlMs: 90_000 })).toBe(true);
      expect(await store.lease.acquire("key", { owner: "me", ttlMs: 1_000 })).toEqual({ held: true });
      await store.backplane.publish({ key: "tokenkeep:v1:key", version });
      expect(await store.admin.keys({ prefix: "tokenkeep:v1:", limit: 10 })).toEqual({
        keys: ["tokenkeep:v1:key"],
      });
      // There is none, and the user may ask.
      expect(await store.replicated("tokenkeep:v1:key")).toBeUndefined();
      const findings = await store.inspect();
      expect(findings).not.toContainEqual(expect.objectContaining({ code: "inspection" }));
      expect(await store.delete("tokenkeep:v1:key", { ifVersion: version })).toBe(true);
      await expect(store.get("elsewhere")).rejects.toThrow(/the user may not do this/);
    } finally {
      await store.close();
      owned.dispose();
    }
  });

  test("a wrong password is said in words, and not repeated", async () => {
    const owned = ioRedis({ ...reach("app"), password: "not-the-password" });
    const store = redisStore({ client: owned.client });
    const failure: unknown = await store.get("tokenkeep:key").catch((error: unknown) => error);
    expect(failure).toMatchObject({ code: "ERR_STORE_UNAVAILABLE" });
    expect(String(failure)).not.toContain("not-the-password");
    await store.close();
    owned.dispose();
  });
});
