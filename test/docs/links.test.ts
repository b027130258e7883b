import { existsSync, statSync } from "node:fs";
import { dirname, join, normalize } from "node:path";
import { describe, expect, test } from "vitest";
import { anchors, documents, prose, read, ROOT } from "./documents.ts";

/** Relative links of a document: where they lead, and the heading they name. */
function links(path: string): { readonly target: string; readonly anchor: string | undefined }[] {
  const found = [...prose(read(path)).matchAll(/\]\(([^)\s]+)\)/g)].map(([, link = ""]) => link);
  return found
    .filter((link) => !/^[a-z]+:/.test(link))
    .map((link) => {
      const [file = "", anchor] = link.split("#");
      return { target: file === "" ? path : normalize(join(dirname(path), file)), anchor };
    });
}

test("there are documents to look at", () => {
  expect(documents()).toEqual(
    expect.arrayContaining(["ARCHITECTURE.md", "README.md", "SECURITY.md", join("docs", "errors.md")]),
  );
});

describe.each(documents())("%s", (path) => {
  test("links to files and headings that exist", () => {
    const broken = links(path).filter(({ target, anchor }) => {
      if (!existsSync(join(ROOT, target))) return true;
      return anchor !== undefined && !anchors(read(target)).has(anchor);
    });
    expect(broken).toEqual([]);
  });

  test("names source files and folders that exist", () => {
    const named = [...prose(read(path)).matchAll(/`((?:src|test|scripts|examples|docs)\/[\w./-]+)`/g)];
    expect(named.map(([, name = ""]) => name).filter((name) => !existsSync(join(ROOT, name)))).toEqual([]);
  });

  test("names npm scripts that exist", () => {
    const { scripts } = JSON.parse(read("package.json")) as { readonly scripts: Record<string, string> };
    const named = [...read(path).matchAll(/npm (?:run ([\w:-]+)|(test|start)\b)/g)];
    expect(named.map(([, run, plain]) => run ?? plain ?? "").filter((name) => !(name in scripts))).toEqual(
      [],
    );
  });
});

test("every document in docs/ can be reached from the README", () => {
  const reached = new Set(["README.md"]);
  for (const path of reached) {
    for (const { target } of links(path)) {
      if (target.endsWith(".md") && statSync(join(ROOT, target)).isFile()) reached.add(target);
    }
  }
  expect(documents().filter((path) => !reached.has(path))).toEqual([]);
});

test("the architecture names files that exist", () => {
  const way = /## The way of a token(.*?)## Layers/s.exec(read("ARCHITECTURE.md"))?.[1] ?? "";
  const files = [...way.matchAll(/\b((?:[a-z]+\/)+[a-z-]+\.ts)\b/g)].map(([, file = ""]) => file);
  expect(files.length).toBeGreaterThan(20);
  expect(files.filter((file) => !existsSync(join(ROOT, "src", file)))).toEqual([]);
});
