/** The documents of the repository, as their tests read them. */
import { readdirSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

export const ROOT = join(dirname(fileURLToPath(import.meta.url)), "..", "..");

/** Paths from the root of every document. */
export function documents(): string[] {
  const top = readdirSync(ROOT).filter((name) => name.endsWith(".md"));
  const below = readdirSync(join(ROOT, "docs"), { recursive: true, encoding: "utf8" });
  return [
    ...top,
    ...below.filter((name) => name.endsWith(".md")).map((name) => join("docs", name)),
  ].toSorted();
}

export function read(path: string): string {
  return readFileSync(join(ROOT, path), "utf8");
}

/** A fenced block of TypeScript. */
export interface Block {
  readonly code: string;
  /** The file it is shown as: from `title="…"`, or from a comment on its first line. */
  readonly file: string | undefined;
}

/** The TypeScript blocks of a document; blocks in lists are indented. */
export function typeScriptBlocks(text: string): Block[] {
  return [...text.matchAll(/^( *)```ts(?: title="([^"]+)")?\n(.*?)^\1```$/gms)].map(
    ([, , title, code = ""]) => ({
      code,
      file: title ?? /^\/\/ (\S+\.ts)$/m.exec(code.split("\n", 1)[0] ?? "")?.[1],
    }),
  );
}

/** Text outside fenced blocks, where `[…](…)` is a link and `#` a heading. */
export function prose(text: string): string {
  return text.replace(/^( *)```.*?^\1```$/gms, "");
}

/** The anchors that GitHub gives the headings of a document. */
export function anchors(text: string): Set<string> {
  const headings = [...prose(text).matchAll(/^#{1,6} (.+)$/gm)].map(([, title = ""]) => title);
  return new Set(
    headings.map((title) =>
      title
        .toLowerCase()
        .replace(/[^\p{L}\p{N} _-]/gu, "")
        .replaceAll(" ", "-"),
    ),
  );
}

/** The rows of the tables under one heading (up to the next of its level), cells trimmed, headers left out. */
export function tableRows(text: string, heading?: string): string[][] {
  const part = heading === undefined ? text : section(text, heading);
  const lines = part.split("\n");
  const isRule = (line: string | undefined): boolean => /^\|[ :|-]+\|$/.test(line ?? "");
  return lines
    .filter((line, index) => line.startsWith("|") && !isRule(line) && !isRule(lines[index + 1]))
    .map((line) =>
      line
        .slice(1, -1)
        .split("|")
        .map((cell) => cell.trim()),
    );
}

function section(text: string, heading: string): string {
  const [, rest] = text.split(`\n## ${heading}\n`);
  if (rest === undefined) throw new Error(`no heading "${heading}"`);
  return rest.split(/^## /m, 1)[0] ?? "";
}

/** A cell of the form `` `name` ``. */
export function named(cell: string | undefined): string {
  return /^`([^`]+)`$/.exec(cell ?? "")?.[1] ?? "";
}
