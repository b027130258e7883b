import { readdirSync, readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { findImpurities } from "../../scripts/lib/purity.ts";

describe("the purity scanner", () => {
  test.each([
    "const at = Date.now();",
    "const at = Date?.now();",
    "const at = new Date();",
    "const at = new Date;",
    "const text = Date();",
    "const clock = Date;",
    "const at = performance.now();",
    "const at = process.hrtime.bigint();",
    "setTimeout(work, 10);",
    "globalThis.setInterval(work, 10);",
    "const later = setImmediate;",
    "const signal = AbortSignal.timeout(10);",
    "const jitter = Math.random();",
    "const id = crypto.randomUUID();",
    "crypto.getRandomValues(bytes);",
    'import { randomBytes } from "node:crypto";',
    'import { randomInt as dice } from "node:crypto";',
    'import * as c from "node:crypto";',
    'import c from "crypto";',
    'import { setTimeout } from "node:timers/promises";',
    'import { performance as p } from "node:perf_hooks";',
    "const text = `it is ${Date.now()}`;",
  ])("finds %s", (line) => {
    expect(findImpurities(`const a = 1;\n${line}\n`)[0]).toMatchObject({ line: 2 });
  });

  test.each([
    "// Date.now() is what we do not call",
    "/** A lint rule forbids `setTimeout`, `Math.random` and their kin. */",
    'const text = "Date.now()";',
    "const text = `new Date()`;",
    "const at = runtime.now();",
    "const bytes = runtime.randomBytes(16);",
    "const at = new Date(runtime.now()).toISOString();",
    "const at = Date.parse(text);",
    "function f(at: Date): void {}",
    "server.setTimeout(10);",
    'import { createHash, timingSafeEqual } from "node:crypto";',
    "queueMicrotask(work);",
  ])("lets pass %s", (line) => {
    expect(findImpurities(line)).toEqual([]);
  });

  test("finds the clocks of src/runtime.ts, which may have them", () => {
    const runtime = readFileSync(new URL("../../src/runtime.ts", import.meta.url), "utf8");
    const found = findImpurities(runtime).map((impurity) => impurity.found);
    expect(found).toEqual(
      expect.arrayContaining(["Date.now", "performance.now", "setTimeout", "randomFillSync"]),
    );
  });

  test("is run over a tree that has files", () => {
    expect(readdirSync(new URL("../../src", import.meta.url), { recursive: true }).length).toBeGreaterThan(
      50,
    );
  });
});
