/** Fails if a file of `src/` other than `src/runtime.ts` takes time, timers, randomness or ids by itself. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { findImpurities } from "./lib/purity.ts";
import { reportProblems, ROOT, sourceFiles } from "./lib/tree.ts";

const files = sourceFiles(join(ROOT, "src")).filter((file) => file !== "runtime.ts");
const problems = files.flatMap((file) =>
  findImpurities(readFileSync(join(ROOT, "src", file), "utf8")).map(
    ({ line, found }) => `src/${file}:${line}: ${found}; take a Runtime (src/runtime.ts)`,
  ),
);
reportProblems(problems, `${files.length} files take time, timers, randomness and ids from src/runtime.ts`);
