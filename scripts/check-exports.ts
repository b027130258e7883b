/** Every subpath of the package exists, can be imported, and reaches nothing that it should not. */
import { existsSync } from "node:fs";
import { join } from "node:path";
import { reachedFrom } from "./lib/imports.ts";
import { entryProblems, MAY_REACH } from "./lib/reach.ts";
import { mustRun } from "./lib/run.ts";
import { packageJson, reportProblems, ROOT } from "./lib/tree.ts";

const manifest = packageJson();
const entries = Object.entries(manifest.exports).flatMap(([subpath, target]) =>
  typeof target === "string" ? [] : [{ subpath, target }],
);
const problems: string[] = [];

for (const { subpath, target } of entries) {
  const absent = [target.default, target.types].filter((file) => !existsSync(join(ROOT, file)));
  problems.push(...absent.map((file) => `${subpath}: ${file} is not there; run npm run build`));
  if (absent.length > 0) continue;
  problems.push(...entryProblems(subpath, target, manifest));
  const specifier = manifest.name + subpath.slice(1);
  const code = `console.log(Object.keys(await import(${JSON.stringify(specifier)})).toSorted().join(" "))`;
  try {
    const names = await mustRun("node", ["--input-type=module", "--eval", code], { cwd: ROOT });
    const { packages } = reachedFrom(join(ROOT, target.default));
    console.log(
      `${specifier}\n  exports ${names.trim()}\n  reaches ${[...packages.keys()].toSorted().join(" ") || "nothing"}`,
    );
    if (/\bdefault\b/.test(names)) problems.push(`${specifier} has a default export`);
  } catch (error) {
    problems.push(`${specifier} cannot be imported: ${(error as Error).message}`);
  }
}
for (const subpath of Object.keys(MAY_REACH)) {
  if (!(subpath in manifest.exports)) problems.push(`${subpath} is in scripts/lib/reach.ts but not exported`);
}
reportProblems(problems, `${entries.length} entries are there and reach what they may`);
