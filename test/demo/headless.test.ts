import { afterEach, describe, expect, test } from "vitest";
import { STORE_KINDS } from "../../examples/demo/store.ts";
import { postgresVersions } from "../services/postgres.ts";
import { redisProgram } from "../services/redis.ts";
import { endRuns, runStart } from "./support.ts";

afterEach(endRuns);

const MISSING = new Set([
  ...(postgresVersions.length > 0 ? [] : ["postgres"]),
  ...(redisProgram === undefined ? ["redis"] : []),
]);
const STORES = STORE_KINDS.filter((kind) => !MISSING.has(kind));

const lastLine = (output: string): string => output.trimEnd().split("\n").at(-1) ?? "";

describe("npm start -- --headless", () => {
  test.each(STORES)("plays the whole story on %s, exits 0 and ends with the counts", async (store) => {
    const run = runStart(["--headless", "--store", store]);
    expect(await run.ended, run.output()).toBe(0);
    expect(run.output()).not.toContain("✗");
    expect(lastLine(run.output())).toMatch(
      /^The story came out right: 40 of 40 checks, 3 users, 5 sign-ins, 6 worker runs, 8 renewals, 1 refused, searched \d+ KB for \d+ secrets, found 0\.$/,
    );
  });

  test("exits 1 and says what was wrong when a revoked user is served all the same", async () => {
    const run = runStart(["--headless"], { TOKENKEEP_DEMO_FAULT: "skip-revocation" });
    expect(await run.ended).toBe(1);
    expect(run.output()).toContain("✗ the worker learns it");
    expect(lastLine(run.output())).toMatch(/^The story did not come out right: \d+ failed/);
  });

  test("exits 1 when a token shows up in a log, and does not show it", async () => {
    const run = runStart(["--headless"], { TOKENKEEP_DEMO_FAULT: "leak-token" });
    expect(await run.ended).toBe(1);
    expect(run.output()).toContain("✗ not in any log or cookie");
    expect(run.output()).not.toContain("eyJ");
    expect(lastLine(run.output())).toBe("The story did not come out right: 1 failed, 39 passed.");
  });
});
