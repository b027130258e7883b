import { execFile } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterAll, beforeAll, expect, test } from "vitest";
import { documents, read, ROOT, typeScriptBlocks } from "./documents.ts";

const folder = mkdtempSync(join(tmpdir(), "tokenkeep-docs-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** The package as a reader imports it, from its sources. */
function importPaths(): Record<string, string[]> {
  const { exports } = JSON.parse(read("package.json")) as {
    readonly exports: Record<string, string | { readonly types: string }>;
  };
  const entries = Object.entries(exports).flatMap(([subpath, target]): [string, string[]][] => {
    if (typeof target === "string") return [];
    const source = target.types.replace("./dist/", "src/").replace(/\.d\.ts$/, ".ts");
    return [[`tokenkeep${subpath.slice(1)}`, [join(ROOT, source)]]];
  });
  return Object.fromEntries(entries);
}

/** Writes every block to a file, one folder a document, since blocks of one page may import each other. */
function writeBlocks(): string[] {
  return documents().flatMap((path) => {
    const place = path.replace(/\W+/g, "-");
    return typeScriptBlocks(read(path)).map(({ code, file }, index) => {
      const name = join(place, file ?? `block-${index + 1}.ts`);
      mkdirSync(join(folder, place), { recursive: true });
      // Each block is a module of its own, also without an import.
      writeFileSync(join(folder, name), `${code}\nexport {};\n`);
      return name;
    });
  });
}

async function typeCheck(): Promise<string> {
  const tsc = join(ROOT, "node_modules", "typescript", "bin", "tsc");
  try {
    return (await promisify(execFile)(process.execPath, [tsc, "-p", folder], { cwd: folder })).stdout;
  } catch (error) {
    return (error as { readonly stdout?: string }).stdout ?? String(error);
  }
}

let written: string[] = [];
beforeAll(() => {
  symlinkSync(join(ROOT, "node_modules"), join(folder, "node_modules"), "junction");
  writeFileSync(join(folder, "package.json"), JSON.stringify({ type: "module" }));
  writeFileSync(
    join(folder, "tsconfig.json"),
    JSON.stringify({
      extends: join(ROOT, "tsconfig.json"),
      compilerOptions: { paths: importPaths(), typeRoots: [join(ROOT, "node_modules", "@types")] },
      include: ["**/*.ts"],
    }),
  );
  written = writeBlocks();
});

test("the README has the programs of its quick start", () => {
  expect(written).toEqual(expect.arrayContaining(["README-md/web-app.ts", "README-md/worker.ts"]));
});

test("every block of TypeScript compiles against the package", async () => {
  expect(written.length).toBeGreaterThan(8);
  // Errors inside the package's own sources are for its own check to report.
  const lines = (await typeCheck()).split("\n").filter((line) => /^[^\s(]+-md\//.test(line));
  expect(lines).toEqual([]);
});

test("a block that does not fit the package is found", async () => {
  const wrong = join(folder, "wrong-md");
  mkdirSync(wrong);
  const code =
    'import { createTokenCache } from "tokenkeep";\nexport const cache = createTokenCache({ stor: 1 });\n';
  writeFileSync(join(wrong, "wrong.ts"), code);
  try {
    expect(await typeCheck()).toMatch(/wrong-md\/wrong\.ts.*'stor'/);
  } finally {
    rmSync(wrong, { recursive: true });
  }
});
