/** A project that has nothing of ours but the packed tarball. */
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { namedBlocks } from "./markdown.ts";
import { mustRun } from "./run.ts";
import { packageJson, ROOT } from "./tree.ts";

export interface Stranger {
  readonly folder: string;
  readonly tarball: string;
  /** What the tarball holds. */
  readonly files: readonly string[];
  remove(): void;
}

/** The tools a stranger has chosen; linked rather than installed, because they are not what is checked. */
const TOOLS = ["vitest", "express", "iron-session", "@types/express", "@types/node"];

/** Programs that a page shows as whole files, and that must hold as they are printed. */
const PAGES: Readonly<Record<string, readonly string[]>> = {
  "README.md": ["web-app.ts", "worker.ts"],
  "docs/stores/your-own.md": ["own-store.ts", "own-store.test.ts"],
};

/** Packs the package into a folder of its own. */
export async function packTarball(): Promise<Stranger> {
  const folder = mkdtempSync(join(tmpdir(), "tokenkeep-pack-"));
  const output = await mustRun("npm", ["pack", "--json", "--loglevel=error", "--pack-destination", folder], {
    cwd: ROOT,
  });
  // The build that precedes it may print something, too.
  const [packed] = JSON.parse(output.slice(output.search(/^\[/m))) as [
    { filename: string; files: { path: string }[] },
  ];
  return {
    folder,
    tarball: join(folder, packed.filename),
    files: packed.files.map(({ path }) => path),
    remove: () => rmSync(folder, { recursive: true, force: true }),
  };
}

/** Installs MSAL, then the tarball; gives the names of what the tarball brought. */
export async function installTarball({ folder, tarball }: Stranger): Promise<string[]> {
  const project = { name: "stranger", version: "1.0.0", type: "module", private: true };
  writeFileSync(join(folder, "package.json"), JSON.stringify(project));
  const install = async (what: string): Promise<Set<string>> => {
    const quietly = ["--no-audit", "--no-fund", "--prefer-offline", "--ignore-scripts", "--loglevel=error"];
    await mustRun("npm", ["install", ...quietly, what], { cwd: folder });
    const lock = readFileSync(join(folder, "package-lock.json"), "utf8");
    return new Set(Object.keys((JSON.parse(lock) as { packages: object }).packages));
  };
  const before = await install(`@azure/msal-node@${packageJson().devDependencies["@azure/msal-node"]}`);
  const after = await install(tarball);
  return [...after].filter((path) => !before.has(path)).map((path) => path.replace(/^.*node_modules\//, ""));
}

/** Brings the stranger's tools, own files, and the programs that our pages show. */
export function furnish({ folder }: Stranger): void {
  for (const tool of TOOLS) {
    const link = join(folder, "node_modules", tool);
    mkdirSync(dirname(link), { recursive: true });
    symlinkSync(join(ROOT, "node_modules", tool), link, "dir");
  }
  cpSync(join(ROOT, "scripts/pack/consumer"), folder, { recursive: true });
  for (const [page, names] of Object.entries(PAGES)) {
    const blocks = namedBlocks(readFileSync(join(ROOT, page), "utf8"));
    for (const name of names) {
      const code = blocks.get(name);
      if (code === undefined) throw new Error(`${page} shows no \`\`\`ts title="${name}" block`);
      writeFileSync(join(folder, name), code);
    }
  }
}
