/** What a module imports, by any of the ways there are to say it. */
import { existsSync, readFileSync } from "node:fs";
import { dirname, resolve } from "node:path";
import { blank, lineAt } from "./source-text.ts";

export interface Import {
  readonly specifier: string;
  readonly line: number;
  /** Where the statement's keyword stands in the text. */
  readonly offset: number;
}

const IMPORTS = /\b(?:from\s*|import\s*\(?\s*|require\s*\(\s*|getBuiltinModule\s*\(\s*)(["'])([^"'\n]+)\1/g;

/** Every import of `source`: static, re-exporting, dynamic, of a type, `require`, `getBuiltinModule`. */
export function importsOf(source: string): Import[] {
  const withStrings = blank(source, "comments");
  const codeOnly = blank(source, "comments and literals");
  return [...withStrings.matchAll(IMPORTS)]
    .filter((match) => codeOnly[match.index] !== " ")
    .map(({ 2: specifier = "", index }) => ({ specifier, line: lineAt(source, index), offset: index }));
}

export function importsOfFile(file: string): Import[] {
  return importsOf(readFileSync(file, "utf8"));
}

/** The package of a bare specifier: `@scope/name/sub` is `@scope/name`; `node:fs` is itself. */
export function packageOf(specifier: string): string {
  if (specifier.startsWith("node:")) return specifier;
  return specifier
    .split("/")
    .slice(0, specifier.startsWith("@") ? 2 : 1)
    .join("/");
}

export interface Reached {
  /** Files of our own, absolute. */
  readonly files: ReadonlySet<string>;
  /** Package or `node:` name, and the first file found to import it. */
  readonly packages: ReadonlyMap<string, string>;
  /** Relative imports of what is not there, each with the file that says it. */
  readonly missing: readonly string[];
}

/** Follows relative imports from `entry`. Given a `.d.ts`, it follows the `.d.ts` beside each import. */
export function reachedFrom(entry: string): Reached {
  const files = new Set<string>();
  const packages = new Map<string, string>();
  const missing: string[] = [];
  const visit = (file: string): void => {
    if (files.has(file)) return;
    files.add(file);
    for (const { specifier } of importsOfFile(file)) {
      if (specifier.startsWith(".")) {
        const named = resolve(dirname(file), specifier);
        const target = entry.endsWith(".d.ts") ? named.replace(/\.js$/, ".d.ts") : named;
        if (existsSync(target)) visit(target);
        else missing.push(`${specifier} in ${file}`);
      } else if (!packages.has(packageOf(specifier))) packages.set(packageOf(specifier), file);
    }
  };
  visit(entry);
  return { files, packages, missing };
}
