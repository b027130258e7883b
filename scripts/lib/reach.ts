/** What each entry of the package may bring into a program. */
import { join, relative } from "node:path";
import { builtinModules } from "node:module";
import { reachedFrom } from "./imports.ts";
import { ROOT, type PackageJson } from "./tree.ts";

/** Packages and Node modules beyond {@link HARMLESS} that an entry may reach; another is a leak. */
export const MAY_REACH: Readonly<Record<string, readonly string[]>> = {
  ".": ["@azure/msal-node", "cockatiel", "lru-cache", "node:zlib"],
  "./memory": [],
  "./sqlite": ["node:sqlite"],
  "./filesystem": [],
  "./postgres": [],
  "./redis": [],
  "./azure-key-vault": [],
  "./web": [],
  "./web/express": [],
  "./testing": ["node:http", "node:net"],
};

/** No servers, sockets, databases or processes among them. */
const HARMLESS = new Set(
  ["buffer", "crypto", "events", "fs", "fs/promises", "os", "path", "url", "util", "v8"].map(
    (name) => `node:${name}`,
  ),
);

/** Problems of one entry: files that are not there, modules it must not reach, undeclared packages. */
export function entryProblems(
  subpath: string,
  target: { readonly types: string; readonly default: string },
  manifest: PackageJson,
): string[] {
  const allowed = MAY_REACH[subpath];
  if (!allowed) return [`${subpath} is not listed in scripts/lib/reach.ts: say what it may reach`];
  const declared = { ...manifest.dependencies, ...manifest.peerDependencies };
  return [target.default, target.types].flatMap((file) => {
    const { packages, missing } = reachedFrom(join(ROOT, file));
    const problems = missing.map((what) => `${subpath} reaches ${what}, which is not there`);
    for (const [name, by] of packages) {
      const where = `${subpath} reaches ${name} through ${relative(ROOT, by)}`;
      const builtin = name.startsWith("node:") || builtinModules.includes(name);
      if (builtin && !name.startsWith("node:")) problems.push(`${where}; say node:${name}`);
      else if (!builtin && !(name in declared)) problems.push(`${where}, which is not declared`);
      // Types cost a program nothing, and MSAL's are part of what it sees.
      else if (file === target.types && !builtin) continue;
      else if (!HARMLESS.has(name) && !allowed.includes(name)) problems.push(`${where}, and must not`);
    }
    return problems;
  });
}
