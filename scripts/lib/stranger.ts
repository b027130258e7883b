/** Somebody who has nothing of ours but the packed tarball, and does what our pages say. */
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { linkedFiles, namedBlocks } from "./markdown.ts";
import { mustRun } from "./run.ts";
import { packageJson, ROOT } from "./tree.ts";

export interface Stranger {
  /** The project; empty at first. */
  readonly folder: string;
  readonly tarball: string;
  /** What the tarball holds. */
  readonly files: readonly string[];
  remove(): void;
}

/** Programs that a page shows as whole files, and that must hold as they are printed. */
const PAGES: Readonly<Record<string, readonly string[]>> = {
  "README.md": ["web-app.ts", "worker.ts"],
  "docs/stores/your-own.md": ["own-store.ts", "own-store.test.ts"],
};

/** What npm does not say, and where it looks first: nothing that changes what is installed. */
const QUIETLY = {
  npm_config_audit: "false",
  npm_config_fund: "false",
  npm_config_ignore_scripts: "true",
  npm_config_loglevel: "error",
  npm_config_prefer_offline: "true",
};

/** Packs the package into a folder of its own, beside an empty one for the project. */
export async function packTarball(): Promise<Stranger> {
  const home = mkdtempSync(join(tmpdir(), "tokenkeep-pack-"));
  const folder = join(home, "my-app");
  mkdirSync(folder);
  const output = await mustRun("npm", ["pack", "--json", "--loglevel=error", "--pack-destination", home], {
    cwd: ROOT,
  });
  // The build that precedes it may print something, too.
  const [packed] = JSON.parse(output.slice(output.search(/^\[/m))) as [
    { filename: string; files: { path: string }[] },
  ];
  return {
    folder,
    tarball: join(home, packed.filename),
    files: packed.files.map(({ path }) => path),
    remove: () => rmSync(home, { recursive: true, force: true }),
  };
}

/** Links of the tarball's pages that lead out of the tarball. */
export function linksOutOf(files: readonly string[]): string[] {
  return files
    .filter((file) => file.endsWith(".md"))
    .flatMap((page) => linkedFiles(page, read(page)).map((target) => ({ page, target })))
    .filter(({ target }) => !files.some((file) => file === target || file.startsWith(`${target}/`)))
    .map(({ page, target }) => `${page} links to ${target}`);
}

/**
 * Runs the README's own commands in the empty project. The one change: `tokenkeep` comes from the tarball.
 * @returns the packages that tokenkeep brought, whatever others brought besides
 */
export async function makeProject({ folder, tarball }: Stranger): Promise<string[]> {
  const commands = block("README.md", "project");
  const { name } = packageJson();
  const adapted = commands.replace(new RegExp(`(?<=^npm install )${name}(?= )`, "m"), `"${tarball}"`);
  if (adapted === commands) throw new Error(`the README's commands do not install ${name}`);
  await mustRun("sh", ["-eux", "-c", adapted], { cwd: folder, env: QUIETLY });
  return broughtBy(name, folder);
}

/** The tools of the stranger's own tests; the README needs none. */
export async function installTools({ folder }: Stranger): Promise<void> {
  const { vitest } = packageJson().devDependencies;
  await mustRun("npm", ["install", "--save-dev", `vitest@${vitest}`], { cwd: folder, env: QUIETLY });
}

/** Brings the stranger's own files, the programs that our pages show, and what the README says to do. */
export function furnish({ folder }: Stranger): void {
  cpSync(join(ROOT, "scripts/pack/consumer"), folder, { recursive: true });
  writeFileSync(join(folder, "quick-start.json"), JSON.stringify(quickStart()));
  for (const [page, names] of Object.entries(PAGES)) {
    for (const name of names) writeFileSync(join(folder, name), block(page, name));
  }
}

/** The steps of the README's quick start but its programs. */
function quickStart(): Readonly<Record<string, string>> {
  const redirectUri = /redirect URI `([^`]+)`/.exec(read("README.md"))?.[1];
  if (redirectUri === undefined) throw new Error("the README names no redirect URI");
  return {
    redirectUri,
    settings: block("README.md", ".env"),
    keys: block("README.md", "keys"),
    webApp: block("README.md", "run the web app"),
    worker: block("README.md", "run the worker"),
  };
}

/** A package's dependencies and theirs, by the lock file. Peers come with the project. */
function broughtBy(name: string, folder: string): string[] {
  const lock = readFileSync(join(folder, "package-lock.json"), "utf8");
  const { packages } = JSON.parse(lock) as {
    readonly packages: Readonly<Record<string, { readonly dependencies?: Readonly<Record<string, string>> }>>;
  };
  const brought = new Set<string>();
  const add = (dependent: string): void => {
    for (const dependency of Object.keys(packages[`node_modules/${dependent}`]?.dependencies ?? {})) {
      if (!brought.has(dependency)) add((brought.add(dependency), dependency));
    }
  };
  add(name);
  return [...brought];
}

function block(page: string, name: string): string {
  const code = namedBlocks(read(page)).get(name);
  if (code === undefined) throw new Error(`${page} shows no block with title="${name}"`);
  return code;
}

const read = (page: string): string => readFileSync(join(ROOT, page), "utf8");
