import { describe, expect, test } from "vitest";
import { importsOf } from "../../scripts/lib/imports.ts";
import { compareLayers, LAYERS, layerOf } from "../../scripts/lib/layers.ts";

const surprisesOf = (file: string, source: string): readonly string[] =>
  compareLayers(new Map([[file, importsOf(source)]])).surprises;

describe("the layer table", () => {
  test.each([
    ["blob/merge.ts", 'import { TokenkeepError } from "../errors.ts";'],
    ["blob/merge.ts", 'import { scopesOf } from "./scopes.ts";'],
    ["msal/operation.ts", 'import { ConfidentialClientApplication } from "@azure/msal-node";'],
    ["token-cache.ts", 'import { memoryStore } from "./adapters/memory.ts";'],
    ["adapters/sqlite.ts", 'import { sqliteActivity } from "./sqlite-activity.ts";'],
    ["web/sign-in.ts", 'import { randomId } from "../runtime.ts";'],
    ["store/blob-store.ts", '/** import { test } from "vitest"; */'],
    ["store/blob-store.ts", "const text = 'import { test } from \"vitest\"';"],
  ])("lets %s say %s", (file, source) => {
    expect(surprisesOf(file, source)).toEqual([]);
  });

  test.each([
    ["blob/merge.ts", 'import { createTiers } from "../tiers/tiers.ts";'],
    ["blob/merge.ts", 'import type { Store } from "../store/store.ts";'],
    ["tiers/l1.ts", 'import { createSealer } from "../envelope/sealer.ts";'],
    ["tiers/l1.ts", 'import { createHash } from "node:crypto";'],
    ["client/silent.ts", 'import type { AccountInfo } from "@azure/msal-node";'],
    ["client/silent.ts", 'type Account = import("@azure/msal-node").AccountInfo;'],
    ["client/silent.ts", 'const msal = await import("@azure/msal-node");'],
    ["client/silent.ts", 'export * from "../web/sign-in.ts";'],
    ["adapters/memory.ts", 'import { openDatabase } from "./sqlite-open.ts";'],
    ["adapters/sqlite.ts", 'import { memoryStore } from "./memory.ts";'],
    ["adapters/sqlite.ts", 'import { createTokenCache } from "../token-cache.ts";'],
    ["testing/index.ts", 'import { createTokenCache } from "../index.ts";'],
    ["testing/contract/admin.ts", 'import { test } from "vitest";'],
    ["web/express.ts", 'import express from "express";'],
    ["envelope/sealer.ts", 'const sqlite = process.getBuiltinModule("node:sqlite");'],
    ["cellar/wine.ts", ""],
  ])("is surprised when %s says %s", (file, source) => {
    expect(surprisesOf(file, source)).toHaveLength(1);
  });

  test("names the file, the line and the import", () => {
    expect(surprisesOf("blob/a.ts", '\n\nimport "../web/flow.ts";')).toEqual([
      "src/blob/a.ts:3: blob may not import web",
    ]);
  });

  test("has no way round: no layer may import one that stands below it in the table", () => {
    for (const [index, layer] of LAYERS.entries()) {
      const above = new Set(LAYERS.slice(0, index).map(({ name }) => name));
      expect(layer.imports.filter((name) => !above.has(name))).toEqual([]);
    }
  });

  test("counts what is imported", () => {
    const source = 'import { a } from "../errors.ts";\nimport type { B } from "../errors.ts";';
    const { rows } = compareLayers(new Map([["blob/a.ts", importsOf(source)]]));
    expect(rows).toMatchObject([{ layer: "blob", files: 1, imports: new Map([["errors", 2]]) }]);
  });

  test("knows the families of adapters apart", () => {
    expect(layerOf("adapters/sqlite-open.ts")?.name).toBe("adapters/sqlite");
    expect(layerOf("adapters/shared/listeners.ts")?.name).toBe("adapters/shared");
  });
});
