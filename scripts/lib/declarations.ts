/** tsc rewrites `./x.ts` to `./x.js` in what runs, but not in declarations (microsoft/TypeScript issue 61037). */
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { importsOf } from "./imports.ts";
import { sourceFiles } from "./tree.ts";

/** `declaration` with its relative imports named as they are when it is published. */
export function withJsExtensions(declaration: string): string {
  return importsOf(declaration)
    .filter(({ specifier }) => /^\.{1,2}\/.*\.ts$/.test(specifier))
    .toReversed()
    .reduce((text, { specifier, offset }) => {
      const dot = text.indexOf(specifier, offset) + specifier.length - ".ts".length;
      return `${text.slice(0, dot)}.js${text.slice(dot + ".ts".length)}`;
    }, declaration);
}

/** Rewrites every declaration below `folder`. */
export function finishDeclarations(folder: string): void {
  for (const file of sourceFiles(folder)) {
    const path = join(folder, file);
    writeFileSync(path, withJsExtensions(readFileSync(path, "utf8")));
  }
}
