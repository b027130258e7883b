/** docs/stores/your-own.md: the store and the test it shows are run as they are printed there. */
import { readFileSync } from "node:fs";
import { stripTypeScriptTypes } from "node:module";
import { describe, expect, test } from "vitest";
import { blobStoreContract } from "../../src/testing/contract/index.ts";
import type { Store } from "../../src/store/store.ts";

const page = readFileSync(new URL("../../docs/stores/your-own.md", import.meta.url), "utf8");
const [storeBlock = "", testBlock = ""] = [...page.matchAll(/```ts\n(.*?)```/gs)].map(
  ([, code]) => code ?? "",
);

const IMPORT = /^import .*;\n/gm;

async function ownStoreOfThePage(): Promise<(now?: () => number) => Store> {
  const code = stripTypeScriptTypes(storeBlock, { mode: "strip" });
  const url = `data:text/javascript;base64,${Buffer.from(code).toString("base64")}`;
  const exports = (await import(/* @vite-ignore */ url)) as { ownStore: () => Store };
  return exports.ownStore;
}

const ownStore = await ownStoreOfThePage();

test("the page's imports are those that a reader has", () => {
  expect(storeBlock.match(IMPORT)).toEqual(['import type { Store, Stored } from "tokenkeep";\n']);
  expect(testBlock.match(IMPORT)).toEqual([
    'import { blobStoreContract } from "tokenkeep/testing";\n',
    'import { describe, expect, test } from "vitest";\n',
    'import { ownStore } from "./own-store.ts";\n',
  ]);
});

test("the store is of about thirty lines", () => {
  expect(storeBlock.split("\n").filter((line) => line.trim() !== "").length).toBeLessThanOrEqual(36);
});

describe("the page's own test", () => {
  const body = stripTypeScriptTypes(testBlock.replace(IMPORT, ""), { mode: "strip" });
  // The imports are given as arguments, because "tokenkeep" is not installed in its own repository.
  // oxlint-disable-next-line no-new-func, typescript/no-implied-eval
  const run = new Function("blobStoreContract", "test", "expect", "describe", "ownStore", body);
  run(blobStoreContract, test, expect, describe, ownStore);
});
