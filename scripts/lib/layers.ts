/** Who may import whom in `src/`, and the comparison of that with what is there. */
import { posix } from "node:path";
import { packageOf, type Import } from "./imports.ts";

export interface Layer {
  readonly name: string;
  /** Layers it may import, besides itself. */
  readonly imports: readonly string[];
  /** Packages and Node modules it may import. */
  readonly packages: readonly string[];
}

const GROUND = ["errors", "runtime", "checks"];
const PORTS = [...GROUND, "blob", "envelope", "store", "telemetry"];
const PARTITIONS = [...PORTS, "tiers", "activity"];
const MSAL = [...PARTITIONS, "partitions"];
const ROOT_OF_COMPOSITION = [...MSAL, "msal"];
const CLIENT = [...ROOT_OF_COMPOSITION, "options", "cache-parts", "token-cache"];
const ON_CLIENT = [...CLIENT, "client"];
const ADAPTER = [...GROUND, "store", "adapters/shared"];

/** Lowest first. A layer imports what stands above it in this list, and not all of that. */
export const LAYERS: readonly Layer[] = [
  { name: "errors", imports: [], packages: [] },
  { name: "runtime", imports: [], packages: ["node:crypto"] },
  { name: "checks", imports: ["errors", "runtime"], packages: [] },
  { name: "blob", imports: GROUND, packages: ["node:crypto"] },
  { name: "store", imports: GROUND, packages: [] },
  { name: "telemetry", imports: GROUND, packages: ["node:crypto"] },
  // Of telemetry only the names of the reasons why something does not open.
  {
    name: "envelope",
    imports: [...GROUND, "telemetry"],
    packages: ["node:crypto", "node:fs", "node:util", "node:zlib"],
  },
  // Neither crypto nor MSAL: it is given a function that decodes.
  {
    name: "tiers",
    imports: [...GROUND, "store", "telemetry"],
    packages: ["cockatiel", "lru-cache", "node:os", "node:v8"],
  },
  { name: "activity", imports: PORTS, packages: ["lru-cache"] },
  // In front of the ports, and seen by nobody but the composition root.
  { name: "names", imports: PORTS, packages: ["lru-cache", "node:crypto"] },
  // node:fs, node:path: the spill folder, and nothing else here touches a disk.
  { name: "partitions", imports: PARTITIONS, packages: ["node:crypto", "node:fs", "node:path"] },
  { name: "msal", imports: MSAL, packages: ["@azure/msal-node", "lru-cache", "node:crypto"] },
  { name: "adapters/shared", imports: [...GROUND, "store"], packages: [] },
  { name: "adapters/memory", imports: ADAPTER, packages: [] },
  { name: "adapters/sqlite", imports: ADAPTER, packages: ["node:fs", "node:path", "node:sqlite"] },
  {
    name: "adapters/filesystem",
    imports: ADAPTER,
    packages: ["node:crypto", "node:fs", "node:fs/promises", "node:os", "node:path"],
  },
  // The pool is the caller's: only its shape is known here.
  { name: "adapters/postgres", imports: ADAPTER, packages: ["node:crypto"] },
  { name: "adapters/redis", imports: ADAPTER, packages: ["node:crypto"] },
  // Of the envelope the port that it implements, types only.
  { name: "adapters/azure", imports: [...GROUND, "envelope"], packages: [] },
  { name: "options", imports: [...MSAL, "names"], packages: [] },
  // A cache without a store keeps its records in memory.
  {
    name: "cache-parts",
    imports: [...ROOT_OF_COMPOSITION, "names", "options", "adapters/memory"],
    packages: [],
  },
  {
    name: "token-cache",
    imports: [...ROOT_OF_COMPOSITION, "names", "options", "adapters/memory", "cache-parts"],
    packages: [],
  },
  { name: "client", imports: CLIENT, packages: ["lru-cache", "node:crypto"] },
  { name: "worker", imports: ON_CLIENT, packages: [] },
  { name: "web", imports: ON_CLIENT, packages: ["node:crypto"] },
  { name: "index", imports: [...ON_CLIENT, "names"], packages: [] },
  {
    name: "testing",
    // Of the envelope the port that key services are plugged into.
    imports: [...GROUND, "store", "envelope"],
    packages: ["node:crypto", "node:http", "node:net", "node:util"],
  },
];

/** The layer of a file, given by its path below `src/`. `undefined` if it has none. */
export function layerOf(file: string): Layer | undefined {
  const [first = "", second = ""] = file.replace(/\.ts$/, "").split("/");
  const name = first === "adapters" ? `adapters/${second.split("-")[0]}` : first;
  return LAYERS.find((layer) => layer.name === name);
}

export interface Row {
  readonly layer: string;
  readonly files: number;
  /** What is imported, and how many times. */
  readonly imports: ReadonlyMap<string, number>;
  readonly packages: ReadonlyMap<string, number>;
}

export interface LayerReport {
  readonly rows: readonly Row[];
  readonly surprises: readonly string[];
}

/** @param files path below `src/` to the imports of that file */
export function compareLayers(files: ReadonlyMap<string, readonly Import[]>): LayerReport {
  const counted = LAYERS.map((layer) => ({
    layer: layer.name,
    files: 0,
    imports: new Map<string, number>(),
    packages: new Map<string, number>(),
  }));
  const surprises: string[] = [];
  for (const [file, imports] of files) {
    const layer = layerOf(file);
    const row = counted.find((candidate) => candidate.layer === layer?.name);
    if (!layer || !row) {
      surprises.push(`src/${file} belongs to no layer; give it one in scripts/lib/layers.ts`);
      continue;
    }
    row.files += 1;
    for (const { specifier, line } of imports) {
      const where = `src/${file}:${line}`;
      if (specifier.startsWith(".")) {
        const target = layerOf(posix.join(posix.dirname(file), specifier))?.name;
        if (target === layer.name) continue;
        add(row.imports, target ?? specifier);
        if (!target || !layer.imports.includes(target)) {
          surprises.push(`${where}: ${layer.name} may not import ${target ?? specifier}`);
        }
      } else {
        add(row.packages, packageOf(specifier));
        if (!layer.packages.includes(packageOf(specifier))) {
          surprises.push(`${where}: ${layer.name} may not import ${specifier}`);
        }
      }
    }
  }
  return { rows: counted.filter((row) => row.files > 0), surprises };
}

function add(counts: Map<string, number>, name: string): void {
  counts.set(name, (counts.get(name) ?? 0) + 1);
}
