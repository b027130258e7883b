/** 4b: several processes work for one user. */
import { join } from "node:path";
import { afterEach, describe, expect, test } from "vitest";
import type { CacheBlob } from "../../src/blob/entities.ts";
import { sqliteStore } from "../../src/adapters/sqlite.ts";
import { createLocalAuthority, type RefreshTokenMode } from "../../src/testing/authority/index.ts";
import { temporaryFolder } from "../adapters/children.ts";
import { ADA, createNode, WEB, type Authority } from "../support/world.ts";
import type { Task } from "./children/protocol.ts";
import { lockstepServer, startProcess, total, type HazardProcess } from "./processes.ts";
import { apis, scopeOf, storedFor } from "./setting.ts";
import { entries, seed, vendorStore } from "./vendor.ts";

interface Setting {
  readonly processes: number;
  /** Resources that each process adds, one after the other. */
  readonly each: number;
  readonly refreshTokens: RefreshTokenMode;
}

const cleanUps: (() => unknown)[] = [];
afterEach(async () => {
  for (const cleanUp of cleanUps.splice(0).toReversed()) await cleanUp();
});

describe.for([
  { processes: 2, each: 10, refreshTokens: "rolling" },
  { processes: 4, each: 25, refreshTokens: "reusable" },
] satisfies Setting[])(
  "$processes processes each add $each resources ($refreshTokens refresh tokens)",
  (setting) => {
    const all = setting.processes * setting.each;

    test("vendor: what one of them adds the others overwrite", async () => {
      const { outcomes, stored } = await withVendor(setting);
      expect(outcomes).toEqual({ ok: all });
      // Of every round only the last writer's token is left; one more is from the sign-in.
      expect(entries(stored, "AccessToken").length).toBeLessThanOrEqual(setting.each + 1);
    });

    test("tokenkeep: all of it is stored", async () => {
      const { outcomes, stored } = await withTokenkeep(setting);
      expect(outcomes).toEqual({ ok: all });
      expect(Object.keys(stored!.AccessToken)).toHaveLength(all + 1);
      expect(Object.keys(stored!.RefreshToken)).toHaveLength(1);
    });
  },
);

describe("two processes each add 10 resources, and a refresh token can be redeemed once", () => {
  const setting: Setting = { processes: 2, each: 10, refreshTokens: "one-time" };

  test("vendor: the user is sent back to sign in", async () => {
    const { outcomes } = await withVendor(setting);
    expect(outcomes["invalid_grant"] ?? 0).toBeGreaterThanOrEqual(10);
  });

  test("tokenkeep: every call is served, and none is refused by the provider", async () => {
    const { outcomes, stored, authority } = await withTokenkeep(setting);
    expect(outcomes).toEqual({ ok: 20 });
    expect(authority.count({ outcome: "invalid_grant" })).toBe(0);
    expect(Object.keys(stored!.AccessToken)).toHaveLength(21);
  });
});

interface Ended<S> {
  readonly outcomes: Readonly<Record<string, number>>;
  readonly stored: S;
  readonly authority: Authority;
}

async function withVendor(setting: Setting): Promise<Ended<string | undefined>> {
  const authority = await listening(setting);
  const seeded = vendorStore();
  const account = await seed(authority, seeded, ADA, scopeOf(0));
  const server = lockstepServer();
  for (const [key, value] of seeded.values) server.values.set(key, value);
  const settings = { auth: authority.msalAuth("contoso", WEB), account };
  const outcomes = await runAll(setting, () => startProcess("vendor", settings, server));
  return { outcomes, stored: server.values.get(account.homeAccountId), authority };
}

async function withTokenkeep(setting: Setting): Promise<Ended<CacheBlob | undefined>> {
  const authority = await listening(setting);
  const { refreshTokens: mode } = setting;
  const refreshTokens = mode === "one-time" ? mode : "reusable";
  const folder = temporaryFolder();
  cleanUps.push(folder.remove);
  const storePath = join(folder.path, "tokens.db");
  const store = sqliteStore({ path: storePath });
  cleanUps.push(() => store.close());
  const node = createNode(authority, { store, l1: false, refreshTokens });
  const account = (await node.signIn(ADA, scopeOf(0))).account!;
  const settings = { auth: authority.msalAuth("contoso", WEB), account, storePath, refreshTokens } as const;
  const outcomes = await runAll(setting, () => startProcess("tokenkeep", settings));
  return { outcomes, stored: await storedFor({ authority, node: () => node }, ADA), authority };
}

/** All processes at once, each with resources of its own. */
async function runAll(
  { processes, each }: Setting,
  start: () => Promise<HazardProcess>,
): Promise<Record<string, number>> {
  const children = await Promise.all(Array.from({ length: processes }, start));
  for (const child of children) cleanUps.push(() => child.stop());
  const taskOf = (index: number): Task => ({
    how: "each",
    scopes: Array.from({ length: each }, (_, step) => scopeOf(1 + index * each + step)),
  });
  return total(await Promise.all(children.map((child, index) => child.run(taskOf(index)))));
}

async function listening({ processes, each, refreshTokens }: Setting): Promise<Authority> {
  const authority = createLocalAuthority({ resources: apis(1 + processes * each), refreshTokens });
  const { close } = await authority.listen();
  cleanUps.push(close);
  return authority;
}
