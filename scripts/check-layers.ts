/** Prints the table of the real imports of `src/` and fails on one that the design does not have. */
import { join } from "node:path";
import { importsOfFile } from "./lib/imports.ts";
import { compareLayers, type Row } from "./lib/layers.ts";
import { reportProblems, ROOT, sourceFiles } from "./lib/tree.ts";

const src = join(ROOT, "src");
const imports = new Map(sourceFiles(src).map((file) => [file, importsOfFile(join(src, file))]));
const { rows, surprises } = compareLayers(imports);

const list = (counts: Row["imports"]): string =>
  [...counts]
    .map(([name, count]) => `${name} ${count}`)
    .toSorted()
    .join(", ");

console.log("layer            files  imports (how often)");
for (const { layer, files, imports: own, packages } of rows) {
  const all = [list(own), list(packages)].filter((text) => text !== "").join(" | ");
  console.log(`${layer.padEnd(16)} ${String(files).padStart(5)}  ${all || "nothing"}`);
}
reportProblems(surprises, "imports point one way");
