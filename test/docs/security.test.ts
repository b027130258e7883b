/** SECURITY.md names a test for each claim about who can do what: each of them exists, under that title. */
import { existsSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { ROOT } from "../../scripts/lib/tree.ts";
import { read } from "./documents.ts";

const text = read("SECURITY.md");
const threats = text.slice(text.indexOf("## Who can do what"), text.indexOf("### Others"));
const rows = threats
  .split("\n")
  .filter((line) => /^\| +(can|cannot) +\|/.test(line))
  .map((line) => line.split("|").map((cell) => cell.trim()));
const named = [...threats.matchAll(/`(test\/[\w./-]+\.test\.ts)`: "([^"]+)"/g)].map(
  ([, file = "", title = ""]) => ({ file, title }),
);

test("every claim about who can do what names a test", () => {
  expect(rows.length).toBeGreaterThan(25);
  expect(
    rows.filter(([, , , shownBy = ""]) => !/`test\/.+`: ".+"/.test(shownBy)).map(([, , what]) => what),
  ).toEqual([]);
});

test.each([...new Map(named.map((one) => [`${one.file} ${one.title}`, one])).values()])(
  "there is a test $file: $title",
  ({ file, title }) => {
    expect(existsSync(join(ROOT, file))).toBe(true);
    const quoted = ['"', "'", "`"].map((quote) => `${quote}${title}${quote}`);
    expect(quoted.some((literal) => read(file).includes(literal))).toBe(true);
  },
);

test("five kinds of attackers have a chapter each", () => {
  const chapters = [...threats.matchAll(/^### (.+)$/gm)].map(([, chapter]) => chapter);
  expect(chapters).toEqual([
    "A stolen store",
    "A stolen key",
    "A malicious writer",
    "A replayed old record",
    "A curious operator",
  ]);
});
