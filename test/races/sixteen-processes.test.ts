/** Sixteen real processes on one Redis, and a provider that takes half a minute for one refresh. */
import { afterEach, describe, expect, test } from "vitest";
import { redisProgram, startRedis, type RedisServer } from "../services/redis.ts";
import { HOUR_MS } from "../support/dates.ts";
import { ADA, READ, steeredRuntime } from "../support/world.ts";
import type { Task } from "./children/protocol.ts";
import { openSite, type Site } from "./members.ts";

const PROCESSES = 16;
const EXPIRIES = 2;
/** The provider's own time: it passes for real, because leases in Redis go by the server's clock. */
const ANSWER_MS = 30_000;
const PAUSE_MS = 2 * HOUR_MS;

let site: Site | undefined;
let redis: RedisServer | undefined;
afterEach(async () => {
  await site?.close();
  await redis?.stop();
});

describe.skipIf(!redisProgram)("16 processes, one Redis, one-time refresh tokens", () => {
  test("a provider that takes 30 s to answer is asked exactly once per expiry, and everybody gets the token", async () => {
    const runtime = steeredRuntime();
    redis = await startRedis();
    const open = (site = await openSite({ refreshTokens: "one-time", runtime, redisUrl: redis.url }));
    const task: Task = { how: "together", account: await open.signIn(ADA, READ), scopes: [READ] };
    const roles = Array.from({ length: PROCESSES }, (_, index) => (index % 4 === 3 ? "worker" : "web"));
    const members = await Promise.all(
      roles.map((role) => open.member({ role, requestTimeoutMs: 2 * ANSWER_MS })),
    );
    for (let expiry = 1; expiry <= EXPIRIES; expiry += 1) {
      runtime.advance(PAUSE_MS);
      await Promise.all(members.map((member) => member.pass(PAUSE_MS)));
      open.authority.failNext({ kind: "slow", delayMs: ANSWER_MS, grant: "refresh_token" });
      const reports = (await Promise.all(members.map((member) => member.run(task)))).flatMap(
        (run) => run.reports,
      );
      expect(reports.map(({ outcome }) => outcome)).toEqual(Array(PROCESSES).fill("ok"));
      expect(reports.filter(({ source }) => source === "identity-provider")).toHaveLength(1);
      expect(new Set(reports.map(({ fingerprint }) => fingerprint)).size).toBe(1);
      expect(open.authority.count({ grant: "refresh_token" })).toBe(expiry);
    }
    expect(open.authority.count({ outcome: "invalid_grant" })).toBe(0);
  }, 240_000);
});
