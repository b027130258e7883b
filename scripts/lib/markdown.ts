/** Code blocks of Markdown pages that are whole files. */

/** File name to text: blocks fenced as ```` ```ts title="name.ts" ````, or beginning with `// name.ts`. */
export function namedBlocks(page: string): Map<string, string> {
  const blocks = new Map<string, string>();
  for (const [, info = "", code = ""] of page.matchAll(/^```ts\b([^\n]*)\n(.*?)^```/gms)) {
    const name = /title="([\w.-]+)"/.exec(info)?.[1] ?? /^\/\/ ([\w-]+(?:\.[\w-]+)*\.ts)\n/.exec(code)?.[1];
    if (name !== undefined) blocks.set(name, code);
  }
  return blocks;
}
