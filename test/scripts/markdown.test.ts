import { expect, test } from "vitest";
import { namedBlocks } from "../../scripts/lib/markdown.ts";

test("blocks of a page that are whole files or commands are found by title or by first line", () => {
  const page = [
    "# Page",
    '```ts title="web-app.ts"',
    "a();",
    "```",
    "```ts",
    "// own-store.test.ts",
    "b();",
    "```",
    "```ts",
    "justAFragment();",
    "```",
    '```sh title="install"',
    "c",
    "```",
    '```text title="d.ts"',
    "d",
    "```",
  ].join("\n");
  expect([...namedBlocks(page)]).toEqual([
    ["web-app.ts", "a();\n"],
    ["own-store.test.ts", "// own-store.test.ts\nb();\n"],
    ["install", "c\n"],
  ]);
});
