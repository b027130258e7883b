import { relative } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { openCompiler, type Compiler, type Symbol, type Type } from "../../scripts/lib/compiler.ts";
import { read, ROOT } from "./documents.ts";

/** Subpath to the source file behind it. */
function publicEntries(): Map<string, string> {
  const { exports } = JSON.parse(read("package.json")) as {
    readonly exports: Record<string, string | { readonly types: string }>;
  };
  return new Map(
    Object.entries(exports).flatMap(([subpath, target]): [string, string][] =>
      typeof target === "string"
        ? []
        : [[subpath, target.types.replace("./dist/", "src/").replace(/\.d\.ts$/, ".ts")]],
    ),
  );
}

let compiler: Compiler;
beforeAll(() => {
  compiler = openCompiler();
});
afterAll(() => compiler.close());

function hasDocs(symbol: Symbol): boolean {
  return compiler.checker.getDocumentationCommentOfSymbol(symbol).trim() !== "" || isTagged(symbol);
}

/** A note of deprecation says what a reader needs; what is internal is for nobody to read. */
function isTagged(symbol: Symbol): boolean {
  return compiler.checker
    .getJsDocTagsOfSymbol(symbol)
    .some(({ name }) => name === "deprecated" || name === "internal");
}

/** Only what is written down in src/; MSAL's and the platform's types have their own. */
function isOurs(symbol: Symbol): boolean {
  return symbol.declarations.some(
    ({ path }) => !relative(`${ROOT}/src`.toLowerCase(), path.toLowerCase()).startsWith(".."),
  );
}

/** The members of an interface, a class or an object type. What a union consists of is told at the union, or in docs/. */
function membersOf(type: Type): Symbol[] {
  return type.isObjectType() ? [...compiler.checker.getPropertiesOfType(type)] : [];
}

/** What lacks a docstring among a name and its members. */
function bare(name: string, symbol: Symbol): string[] {
  const type = compiler.checker.getDeclaredTypeOfSymbol(symbol);
  const members = type.isErrorType() ? [] : membersOf(type).filter(isOurs);
  const lacking = new Set(
    members.filter((member) => !hasDocs(member)).map((member) => `${name}.${member.name}`),
  );
  return [...(hasDocs(symbol) ? [] : [name]), ...lacking];
}

test.each([...publicEntries()])(
  "every public name of %s and every member of it has a docstring",
  (_, path) => {
    const names = compiler.exportsOf(path);
    expect(names.size).toBeGreaterThan(0);
    expect([...names].flatMap(([name, symbol]) => bare(name, symbol))).toEqual([]);
  },
);
