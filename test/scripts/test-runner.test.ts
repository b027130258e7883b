import { chmodSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, onTestFinished, test } from "vitest";
import { findProgram, installCommand, type Program } from "../../scripts/lib/programs.ts";
import { closingLine, countTests, skippedTitles, type VitestReport } from "../../scripts/lib/test-report.ts";

const report: VitestReport = {
  numPassedTests: 3,
  numFailedTests: 1,
  numPendingTests: 1,
  numTodoTests: 1,
  testResults: [
    {
      name: "a.test.ts",
      status: "failed",
      assertionResults: [
        { status: "passed", fullName: "works" },
        { status: "failed", fullName: "breaks" },
        { status: "skipped", fullName: "is left out" },
      ],
    },
    { name: "b.test.ts", status: "failed", assertionResults: [] },
  ],
};

describe("the closing line of npm test", () => {
  test("counts a file that does not load as a failure, and a todo as skipped", () => {
    expect(closingLine(countTests(report))).toBe("3 passed, 2 failed, 2 skipped");
  });

  test("names what was skipped", () => {
    expect(skippedTitles(report)).toEqual(["is left out"]);
  });
});

describe("programs that tests need", () => {
  const program: Program = {
    name: "Kettle",
    commands: ["kettle-of-this-test"],
    variable: "KETTLE",
    packages: ["kettle", "cups"],
    tests: "tea",
  };

  function folderWithKettle(): { readonly folder: string; readonly file: string } {
    const folder = mkdtempSync(join(tmpdir(), "tokenkeep-programs-"));
    onTestFinished(() => rmSync(folder, { recursive: true }));
    const file = join(folder, "kettle-of-this-test");
    writeFileSync(file, "");
    chmodSync(file, 0o700);
    return { folder, file };
  }

  test("are found on the search path", () => {
    const { folder, file } = folderWithKettle();
    expect(findProgram(program, { PATH: folder })).toBe(file);
    expect(findProgram(program, { PATH: "" })).toBe(undefined);
  });

  test("are where the variable says, or nowhere", () => {
    const { folder, file } = folderWithKettle();
    expect(findProgram(program, { KETTLE: file })).toBe(file);
    expect(findProgram(program, { KETTLE: join(folder, "gone"), PATH: folder })).toBe(undefined);
  });

  test("come by one command", () => {
    expect(installCommand([program, program])).toMatch(/ install -y --no-install-recommends kettle cups$/);
  });
});
