import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { memoryStore } from "../../src/adapters/memory.ts";
import { sqliteStore } from "../../src/adapters/sqlite.ts";
import { OptionsError } from "../../src/errors.ts";

let folder: string;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "tokenkeep-options-"));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

test.each<[string, unknown]>([
  ["options", undefined],
  ["options", "tokens.db"],
  ["path", {}],
  ["path", { path: 5 }],
  ["path", { path: "" }],
  ["path", { path: ":memory:" }],
  ["durabilty", { path: "tokens.db", durabilty: "normal" }],
  ["durability", { path: "tokens.db", durability: "fast" }],
  ["durability", { path: "tokens.db", durability: null }],
  ["busyTimeoutMs", { path: "tokens.db", busyTimeoutMs: "50" }],
  ["lockTimeoutMs", { path: "tokens.db", lockTimeoutMs: -1 }],
  ["runtime", { path: "tokens.db", runtime: {} }],
])("sqliteStore names a wrong option, and makes no file: %s", (option, options) => {
  const inFolder = (options as { path?: unknown } | undefined)?.path === "tokens.db";
  const given = inFolder ? { ...(options as object), path: join(folder, "tokens.db") } : options;
  const making = (): unknown => sqliteStore(given as never);
  expect(making).toThrow(OptionsError);
  expect(making).toThrow(expect.objectContaining({ code: "ERR_OPTION_INVALID", option }));
  expect(readdirSync(folder)).toEqual([]);
});

test("sqliteStore takes undefined for the default", async () => {
  const options = { busyTimeoutMs: undefined, lockTimeoutMs: undefined, durability: undefined };
  const store = sqliteStore({ path: join(folder, "tokens.db"), runtime: undefined, ...options } as never);
  expect(await store.get("key")).toBeUndefined();
  await store.close();
});

test.each<[string, unknown]>([
  ["options", 5],
  ["options", null],
  ["runtme", { runtme: {} }],
  ["runtime", { runtime: {} }],
  ["runtime", { runtime: null }],
])("memoryStore names a wrong option: %s", (option, options) => {
  expect(() => memoryStore(options as never)).toThrow(
    expect.objectContaining({ code: "ERR_OPTION_INVALID", option }),
  );
});
