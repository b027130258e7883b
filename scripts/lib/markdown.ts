/** What Markdown pages hold for programs: code blocks that are whole files or commands, and links. */
import { posix } from "node:path";

/** Title to text: blocks fenced as ```` ```ts title="name.ts" ````, or beginning with `// name.ts`. */
export function namedBlocks(page: string): Map<string, string> {
  const blocks = new Map<string, string>();
  for (const [, info = "", code = ""] of page.matchAll(/^```(?:ts|sh|ini)\b([^\n]*)\n(.*?)^```/gms)) {
    const name = /title="([^"]+)"/.exec(info)?.[1] ?? /^\/\/ ([\w-]+(?:\.[\w-]+)*\.ts)\n/.exec(code)?.[1];
    if (name !== undefined) blocks.set(name, code);
  }
  return blocks;
}

/** The files that a page at `path` links to by relative links, as paths from the root. */
export function linkedFiles(path: string, page: string): string[] {
  const prose = page.replace(/^( *)```.*?^\1```$/gms, "");
  return [...prose.matchAll(/\]\(([^)\s#]+)[^)\s]*\)/g)]
    .map(([, target = ""]) => target)
    .filter((target) => !/^[a-z]+:/.test(target))
    .map((target) => posix.normalize(posix.join(posix.dirname(path), target)));
}
