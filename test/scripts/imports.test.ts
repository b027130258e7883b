import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { withJsExtensions } from "../../scripts/lib/declarations.ts";
import { importsOf, packageOf, reachedFrom } from "../../scripts/lib/imports.ts";

const specifiers = (source: string): string[] => importsOf(source).map(({ specifier }) => specifier);

describe("finding imports", () => {
  test("finds them however they are said, over several lines too", () => {
    const source = `
      import "a";
      import b from 'b';
      import type {
        C,
      } from "c";
      export * from "d";
      const e = await import("e");
      type F = import("f").F;
      const g = require("g");`;
    expect(specifiers(source)).toEqual(["a", "b", "c", "d", "e", "f", "g"]);
  });

  test("finds none in comments, strings and templates", () => {
    const source = `
      // import "a";
      /** @example import { b } from "b"; */
      const c = "import 'c'";
      const d = \`import "d";\`;
      const e = Array.from("e");`;
    expect(specifiers(source)).toEqual([]);
  });

  test.each([
    ["node:fs/promises", "node:fs/promises"],
    ["lru-cache/raw", "lru-cache"],
    ["@azure/msal-node/dist/x", "@azure/msal-node"],
  ])("the package of %s is %s", (specifier, name) => {
    expect(packageOf(specifier)).toBe(name);
  });

  test("follows imports to what an entry reaches, round in circles too", () => {
    const folder = mkdtempSync(join(tmpdir(), "tokenkeep-imports-"));
    try {
      writeFileSync(join(folder, "a.js"), 'import "./b.js"; import "node:fs";');
      writeFileSync(
        join(folder, "b.js"),
        'export * from "./a.js"; import "./gone.js"; const h = await import("node:http");',
      );
      const { files, packages, missing } = reachedFrom(join(folder, "a.js"));
      expect(files.size).toBe(2);
      expect(missing).toEqual([`./gone.js in ${join(folder, "b.js")}`]);
      expect([...packages.keys()].toSorted()).toEqual(["node:fs", "node:http"]);
    } finally {
      rmSync(folder, { recursive: true });
    }
  });
});

test("a published declaration names its neighbours by the names they have when published", () => {
  const declaration = [
    'export type { A } from "./a.ts";',
    '/** import { own } from "./own.ts"; */',
    'export declare const b: import("../b/b.ts").B;',
    'import type { C } from "lru-cache";',
  ].join("\n");
  expect(withJsExtensions(declaration).split("\n")).toEqual([
    'export type { A } from "./a.js";',
    '/** import { own } from "./own.ts"; */',
    'export declare const b: import("../b/b.js").B;',
    'import type { C } from "lru-cache";',
  ]);
});
