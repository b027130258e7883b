/** 4c: two processes with fifty callers each want the same token at the same moment. */
import { join } from "node:path";
import { afterEach, describe, expect, test } from "vitest";
import { sqliteStore } from "../../src/adapters/sqlite.ts";
import { createLocalAuthority } from "../../src/testing/authority/index.ts";
import { temporaryFolder } from "../adapters/children.ts";
import { ADA, createNode, READ, WEB, type Authority } from "../support/world.ts";
import { withExpiringTokens } from "./setting.ts";
import { promptServer, startProcess, total, type HazardProcess } from "./processes.ts";
import { seed, vendorStore } from "./vendor.ts";

const PROCESSES = 2;
const CALLERS = 50;
const ALL = PROCESSES * CALLERS;
const HERD = { how: "herd", scopes: Array.from({ length: CALLERS }, () => READ) } as const;

const cleanUps: (() => unknown)[] = [];
afterEach(async () => {
  for (const cleanUp of cleanUps.splice(0).toReversed()) await cleanUp();
});

describe.for(["reusable", "one-time"] as const)(
  "a token has expired (%s refresh tokens)",
  (refreshTokens) => {
    test("vendor: every caller of every process redeems the refresh token", async () => {
      const authority = await listening(refreshTokens);
      const seeded = vendorStore();
      const account = await withExpiringTokens(authority, () => seed(authority, seeded, ADA));
      const server = promptServer();
      for (const [key, value] of seeded.values) server.values.set(key, value);
      const settings = { auth: authority.msalAuth("contoso", WEB), account };
      const children = await start(() => startProcess("vendor", settings, server));
      authority.pause();
      const herds = children.map((child) => child.run(HERD));
      await authority.whenHeld(ALL);
      authority.resume();
      const expected = refreshTokens === "reusable" ? { ok: ALL } : { ok: 1, invalid_grant: ALL - 1 };
      expect(total(await Promise.all(herds))).toEqual(expected);
      expect(authority.count({ grant: "refresh_token" })).toBe(ALL);
    });

    test("tokenkeep: one caller of one process does", async () => {
      const authority = await listening(refreshTokens);
      const folder = temporaryFolder();
      cleanUps.push(folder.remove);
      const storePath = join(folder.path, "tokens.db");
      const store = sqliteStore({ path: storePath });
      cleanUps.push(() => store.close());
      const node = createNode(authority, { store, l1: false, refreshTokens });
      const account = (await withExpiringTokens(authority, () => node.signIn(ADA))).account!;
      const settings = { auth: authority.msalAuth("contoso", WEB), account, storePath, refreshTokens };
      const children = await start(() => startProcess("tokenkeep", settings));
      authority.pause();
      const started = children.map((child) => child.started());
      const herds = children.map((child) => child.run(HERD));
      await authority.whenHeld(1);
      await Promise.all(started);
      authority.resume();
      expect(total(await Promise.all(herds))).toEqual({ ok: ALL });
      expect(authority.count({ grant: "refresh_token" })).toBe(1);
      expect(authority.count({ grant: "refresh_token", outcome: "ok" })).toBe(1);
    });
  },
);

async function start(one: () => Promise<HazardProcess>): Promise<HazardProcess[]> {
  const children = await Promise.all(Array.from({ length: PROCESSES }, one));
  for (const child of children) cleanUps.push(() => child.stop());
  return children;
}

async function listening(refreshTokens: "reusable" | "one-time"): Promise<Authority> {
  const authority = createLocalAuthority({ refreshTokens });
  const { close } = await authority.listen();
  cleanUps.push(close);
  return authority;
}
