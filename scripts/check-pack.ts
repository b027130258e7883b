/**
 * Packs the package and uses it as a stranger would: in an empty project, with Node's and MSAL's own means,
 * the programs of our pages as they are printed there, and the oldest Node.js that we promise.
 */
import { mustRun } from "./lib/run.ts";
import {
  furnish,
  installTools,
  linksOutOf,
  makeProject,
  packTarball,
  type Stranger,
} from "./lib/stranger.ts";
import { packageJson } from "./lib/tree.ts";

const OLDEST_NODE = "22.13.0";
const MUST_HOLD = ["README.md", "LICENSE", "package.json"];

let stranger: Stranger | undefined;
try {
  stranger = await packTarball();
  await useAsStranger(stranger);
} catch (error) {
  console.error((error as Error).message);
  process.exitCode = 1;
} finally {
  stranger?.remove();
}

async function useAsStranger(stranger: Stranger): Promise<void> {
  const { folder: cwd, tarball, files } = stranger;

  await step(`the tarball has what it should, ${files.length} files`, async () => {
    const absent = MUST_HOLD.filter((file) => !files.includes(file));
    const odd = files.filter((file) => !/^(?:dist\/.*\.(?:js|d\.ts)|docs\/.*|[^/]+)$/.test(file));
    if (absent.length > 0 || odd.length > 0)
      throw new Error(`absent: ${absent.join(" ")}; odd: ${odd.join(" ")}`);
  });
  await step("publint has nothing to say", () => mustRun("publint", ["run", tarball, "--strict"]));
  await step("types resolve for ESM (attw)", () => mustRun("attw", [tarball, "--profile", "esm-only"]));
  await step("no link of its pages leads out of it", async () => {
    const out = linksOutOf(files);
    if (out.length > 0) throw new Error(out.join("\n"));
  });
  await step(
    "the README's commands make a project; of ours come the declared dependencies alone",
    async () => {
      const { dependencies } = packageJson();
      const others = (await makeProject(stranger)).filter((came) => !(came in dependencies));
      if (others.length > 0) throw new Error(`also came: ${others.join(", ")}`);
    },
  );
  furnish(stranger);
  await step("the quick start runs by the letter: sign in, use, and the worker refreshes", () =>
    mustRun("node", ["quick-start.ts"], { cwd }),
  );
  await installTools(stranger);
  await step("a stranger's files and our pages' programs type-check", () =>
    mustRun("tsc", ["-p", "."], { cwd }),
  );
  await step("the store of docs/stores/your-own.md passes the contract under vitest", () =>
    mustRun("npx", ["--no-install", "vitest", "run", "own-store.test.ts"], { cwd }),
  );
  await step(
    `memory, SQLite and files pass the contract on Node.js ${OLDEST_NODE} under node:test`,
    async () => {
      const package22 = `node-${process.platform}-${process.arch}@${OLDEST_NODE}`;
      const node22 = ["-y", "-p", package22, "node"];
      const version = await mustRun("npx", [...node22, "--version"], { cwd });
      if (version.trim() !== `v${OLDEST_NODE}`) throw new Error(`that was ${version}`);
      const output = await mustRun("npx", [...node22, "--test", "oldest-node.test.mjs"], { cwd });
      const passed = Number(/^\S+ pass (\d+)$/m.exec(output)?.[1] ?? 0);
      if (passed === 0) throw new Error(`nothing was tested\n${output}`);
      console.log(`  ${passed} passed`);
    },
  );
}

async function step(promise: string, work: () => Promise<unknown>): Promise<void> {
  try {
    await work();
    console.log(`✓ ${promise}`);
  } catch (error) {
    console.error(`✗ ${promise}`);
    throw error;
  }
}
