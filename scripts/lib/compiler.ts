/** The compiler's view of this repository's types, for checks of what they say. */
import { join } from "node:path";
import {
  API,
  SymbolFlags,
  type Checker,
  type Project,
  type Symbol,
  type Type,
} from "typescript/unstable/sync";
import { ROOT } from "./tree.ts";

export type { Checker, Symbol, Type };

/** The repository's project, opened until `close()`. */
export interface Compiler {
  readonly checker: Checker;
  readonly project: Project;
  /** What a source file exports, followed to where it is declared. @throws if the project has no such file */
  exportsOf(path: string): Map<string, Symbol>;
  close(): void;
}

export function openCompiler(): Compiler {
  const api = new API({ cwd: ROOT });
  const [project] = api.updateSnapshot({ openProjects: [join(ROOT, "tsconfig.json")] }).getProjects();
  if (!project) throw new Error("tsconfig.json is no project");
  const { checker, program } = project;
  return {
    checker,
    project,
    exportsOf(path) {
      const file = program.getSourceFile(join(ROOT, path));
      const module = file && checker.getSymbolAtLocation(file);
      if (!module) throw new Error(`${path} is no module of the project`);
      return new Map(
        checker.getExportsOfModule(module).map((symbol) => [symbol.name, target(checker, symbol)]),
      );
    },
    close: () => api.close(),
  };
}

function target(checker: Checker, symbol: Symbol): Symbol {
  return symbol.flags & SymbolFlags.Alias ? checker.getAliasedSymbol(symbol) : symbol;
}
