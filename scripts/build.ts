/** Compiles `src/` into an empty `dist/`. */
import { rmSync } from "node:fs";
import { join } from "node:path";
import { finishDeclarations } from "./lib/declarations.ts";
import { run } from "./lib/run.ts";
import { ROOT } from "./lib/tree.ts";

const dist = join(ROOT, "dist");
rmSync(dist, { recursive: true, force: true });
const { code } = await run("tsc", ["-p", "tsconfig.build.json"], { cwd: ROOT });
if (code === 0) finishDeclarations(dist);
process.exitCode = code;
