import { describe, expect, test } from "vitest";
import { redisProgram, startRedis } from "./redis.ts";
import {
  sentinelProgram,
  startRedisCluster,
  startRedisSentinel,
  startTlsRedis,
  until,
} from "./redis-topologies.ts";
import { command } from "./resp.ts";

describe.skipIf(!redisProgram)("Redis under test", () => {
  test("a single server answers, and is empty", async () => {
    const redis = await startRedis({ args: ["--maxmemory", "50mb"] });
    expect(await command(redis, "PING")).toBe("PONG");
    expect(await command(redis, "DBSIZE")).toBe("0");
    await redis.stop();
  });

  test("with TLS, a user may do what its ACL line says", async () => {
    const redis = await startTlsRedis(["user app on >secret ~app:* &* +get"]);
    expect(await command(redis.target, "PING")).toBe("PONG");
    const app = { ...redis.target, auth: ["app", "secret"] };
    expect(await command(app, "GET", "app:1")).toBe("");
    await expect(command(app, "GET", "other")).rejects.toThrow("NOPERM");
    await expect(command({ port: redis.port }, "PING")).rejects.toThrow();
    await redis.stop();
  });

  test("a Cluster of three masters survives the loss of one", async () => {
    const cluster = await startRedisCluster();
    const [lost, ...others] = cluster.nodes;
    await lost!.kill();
    await until("the replica took over", async () => {
      const info = await command(cluster.nodes[3]!, "INFO", "replication");
      return info.includes("role:master");
    });
    expect(others.length).toBe(5);
    await cluster.stop();
  });

  test.skipIf(!sentinelProgram)("Sentinel names another master when its master is lost", async () => {
    const sentinel = await startRedisSentinel();
    expect(await sentinel.masterPort()).toBe(sentinel.nodes[0]!.port);
    await sentinel.nodes[0]!.kill();
    await until("failover", async () => (await sentinel.masterPort()) === sentinel.nodes[1]!.port);
    await sentinel.stop();
  });
});
