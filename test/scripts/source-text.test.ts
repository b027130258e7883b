import { describe, expect, test } from "vitest";
import { blank } from "../../scripts/lib/source-text.ts";

const codeOf = (source: string): string =>
  blank(source, "comments and literals").replaceAll(/\s+/g, " ").trim();

describe("telling code from text", () => {
  test.each([
    ["a line comment", "a; // b()\nc;", "a; c;"],
    ["a block comment over lines", "a; /* b()\n * c() */ d;", "a; d;"],
    ["a string with an escaped quote", String.raw`a("b\"c()"); d;`, "a( ); d;"],
    ["what looks like a comment in a string", 'a("// b"); c;', "a( ); c;"],
    ["a quote in a comment", "a; // don't\nb;", "a; b;"],
    ["a regular expression with a quote in it", "a(/[\"'/]/g); b;", "a( ); b;"],
    ["a regular expression after return", "return /'/; a;", "return ; a;"],
    ["division", "a / b; c / 'd';", "a / b; c / ;"],
    ["a template", "a(`b() // c`); d;", "a( ); d;"],
  ])("%s", (_name, source, code) => {
    expect(codeOf(source)).toBe(code);
  });

  test("code inside a template is code, also in a template in a template", () => {
    const source = "x(`a ${b({ c: `d ${e()} f` })} g`); h;";
    expect(codeOf(source)).toBe("x( b({ c: e() }) ); h;");
  });

  test("every offset and line stays what it was", () => {
    const source = "a /* b\nc */ d `e\n${f}\n` // g\nh";
    const blanked = blank(source, "comments and literals");
    expect(blanked.length).toBe(source.length);
    for (const name of ["a ", "d ", "f", "h"]) expect(blanked.indexOf(name)).toBe(source.indexOf(name));
    expect(blanked.split("\n").length).toBe(source.split("\n").length);
  });
});
