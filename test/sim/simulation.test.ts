import { execFile } from "node:child_process";
import { describe, expect, test } from "vitest";

interface Outcome {
  readonly status: number;
  readonly output: string;
}

function sim(...words: readonly string[]): Promise<Outcome> {
  return new Promise((resolve) => {
    const options = { maxBuffer: 64_000_000 };
    execFile(process.execPath, ["sim/main.ts", ...words], options, (error, stdout, stderr) => {
      resolve({ status: typeof error?.code === "number" ? error.code : 0, output: stdout + stderr });
    });
  });
}

/** Without the time that it really took. */
function withoutElapsed({ output }: Outcome): string {
  return output.replace(/; [\d.]+ s\n$/, "");
}

test("the same seed gives the same history, byte for byte", async () => {
  const words = ["--seeds", "4", "--seed", "11", "--history"];
  const [first, second] = await Promise.all([sim(...words), sim(...words)]);
  expect(first.output.length).toBeGreaterThan(10_000);
  expect(withoutElapsed(second)).toBe(withoutElapsed(first));
});

test("three hundred seeds break no promise", async () => {
  const { status, output } = await sim("--seeds", "300");
  expect(output).toContain("; 0 violations;");
  expect(status).toBe(0);
}, 300_000);

describe("a mechanism that is switched off is missed", () => {
  test("each within 200 seeds, with the seed and the steps that show it", async () => {
    const names = (await sim("--break", "list")).output.trim().split("\n");
    expect(names.length).toBeGreaterThan(20);
    const waiting = [...names];
    const notMissed: string[] = [];
    // Two processes at a time: each of them keeps one core busy.
    async function work(): Promise<void> {
      for (let name = waiting.shift(); name !== undefined; name = waiting.shift()) {
        const { status, output } = await sim("--break", name, "--seeds", "200");
        const tells = /violation of ".+" in seed \d+ at step \d+[^]*--steps \d+ --break/.test(output);
        if (status !== 1 || !tells) notMissed.push(`${name}: exit ${status}\n${output.slice(-500)}`);
      }
    }
    await Promise.all([work(), work()]);
    expect(notMissed).toEqual([]);
  }, 900_000);
});

describe("the command", () => {
  test("refuses what it does not understand with exit status 2", async () => {
    for (const words of [["--sed", "1"], ["--seeds"], ["--seeds", "some"], ["--break", "nothing"]]) {
      const { status, output } = await sim(...words);
      expect(status, output).toBe(2);
    }
  });

  test("prints how it is used, and one name of a break a line", async () => {
    expect((await sim("--help")).output).toContain("--seeds N");
    const { status, output } = await sim("--break", "list");
    expect(status).toBe(0);
    expect(output.trim().split("\n")).toContain("compare-and-swap");
  });
});
