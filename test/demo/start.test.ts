import { mkdirSync, statSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, describe, expect, test, vi } from "vitest";
import { createBrowser } from "../../examples/demo/browser.ts";
import { temporaryFolder } from "../adapters/children.ts";
import { endRuns, runStart } from "./support.ts";

afterEach(endRuns);

const heading = (html: string): string => /<h1>([^<]*)/.exec(html)?.[1] ?? "";

async function inFolder(work: (folder: string) => Promise<void>): Promise<void> {
  const folder = temporaryFolder();
  try {
    await work(folder.path);
  } finally {
    folder.remove();
  }
}

describe("npm start refuses, with the usage and exit code 2,", () => {
  test.each([
    ["a flag it does not know", ["--hedless"], /--hedless/],
    ["a word it does not know", ["headless"], /headless/],
    ["a port that is none", ["--port", "70000"], /--port must be a number/],
    [
      "a store it does not know",
      ["--store", "tape"],
      /--store must be one of: sqlite, filesystem, postgres, redis/,
    ],
    ["an empty folder name", ["--data="], /--data must be/],
    ["--headless with a folder", ["--headless", "--data", "x"], /leave --port and --data out/],
  ])("%s", async (_what, args, message) => {
    const run = runStart(args);
    expect(await run.ended).toBe(2);
    expect(run.output()).toMatch(message);
    expect(run.output()).toContain("Usage: npm start");
  });
});

describe("npm start", () => {
  test("says how it is used", async () => {
    const run = runStart(["--help"]);
    expect(await run.ended).toBe(0);
    expect(run.output()).toContain("--headless");
  });

  test("refuses a data folder that others may read", () =>
    inFolder(async (folder) => {
      const open = join(folder, "open");
      mkdirSync(open, { mode: 0o755 });
      const run = runStart(["--port", "0", "--data", open]);
      expect(await run.ended).toBe(1);
      expect(run.output()).toContain(`run: chmod 700 ${open}`);
    }));

  test("says what is wrong with a data folder that is none", () =>
    inFolder(async (folder) => {
      const file = join(folder, "file");
      const link = join(folder, "link");
      writeFileSync(file, "");
      symlinkSync(folder, link);
      const cases = [
        [file, `${file} is not a folder`],
        [join(file, "below"), `${join(file, "below")} cannot be reached (ENOTDIR)`],
        [link, `${link} is a symbolic link`],
      ] as const;
      for (const [path, message] of cases) {
        const run = runStart(["--port", "0", "--data", path]);
        expect(await run.ended).toBe(1);
        expect(run.output()).toContain(`The demonstration could not run: ${message}`);
      }
    }));

  test.runIf(process.platform === "linux")("does not hang where no folder can be made", async () => {
    const run = runStart(["--port", "0", "--data", "/proc/nowhere/data"]);
    expect(await run.ended).toBe(1);
    expect(run.output()).toContain("/proc/nowhere cannot be made (ENOENT)");
  });

  test("makes the folders above its data folder, for their owner alone", () =>
    inFolder(async (folder) => {
      const run = runStart(["--port", "0", "--data", join(folder, "a", "b")]);
      await run.shows(/Web app +http/);
      expect(statSync(join(folder, "a")).mode & 0o777).toBe(0o700);
      run.process.kill("SIGINT");
      expect(await run.ended).toBe(0);
    }));

  test("says so when its port is taken, and ends", () =>
    inFolder(async (folder) => {
      const first = runStart(["--port", "0", "--data", join(folder, "a")]);
      const [, port = ""] = await first.shows(/Web app +http:\/\/127\.0\.0\.1:(\d+)/);
      const second = runStart(["--port", port, "--data", join(folder, "b")]);
      expect(await second.ended).toBe(1);
      expect(second.output()).toMatch(/port \d+ is in use/);
      first.process.kill("SIGINT");
      expect(await first.ended).toBe(0);
    }));

  test("makes its keys, serves a person, stops and starts the web app, and ends all it started on Ctrl+C", () =>
    inFolder(async (folder) => {
      const data = join(folder, "data");
      const run = runStart(["--port", "0", "--data", data], { WORKER_INTERVAL_MS: "200" });
      const [, origin = ""] = await run.shows(/Web app +(http:\S+)/);
      const [, pid = ""] = await run.shows(/Worker +process (\d+)/);
      for (const file of ["tokens.db", "tokens.key", "session.key"]) {
        expect(statSync(join(data, file)).mode & 0o777, file).toBe(0o600);
      }
      expect(statSync(data).mode & 0o777).toBe(0o700);

      const browser = createBrowser();
      const picker = await browser.open(`${origin}/me`);
      const page = await browser.press(picker, { name: "account", value: "ada@contoso.example" });
      expect(heading(page.html)).toBe("Hello, Ada Palmer");

      run.process.stdin?.write("w\n");
      await run.shows(/web app is stopped/);
      await expect(fetch(origin)).rejects.toThrow();
      // The worker's schedule goes on without the web app.
      await run.shows(/web app is stopped[^]*served +ada@contoso\.example/);
      run.process.stdin?.write("w\n");
      await run.shows(/listening on [^]*listening on/);
      expect(heading((await browser.open(`${origin}/me`)).html)).toBe("Hello, Ada Palmer");

      run.process.kill("SIGINT");
      expect(await run.ended).toBe(0);
      await expect(fetch(origin)).rejects.toThrow();
      expect(() => process.kill(Number(pid), 0)).toThrow(/ESRCH/);
    }));

  test("leaves no process behind even when it is killed", () =>
    inFolder(async (folder) => {
      const run = runStart(["--port", "0", "--data", join(folder, "data")]);
      const [, origin = ""] = await run.shows(/Web app +(http:\S+)/);
      const [, pid = ""] = await run.shows(/Worker +process (\d+)/);
      run.process.kill("SIGKILL");
      expect(await run.ended).toBe("SIGKILL");
      await vi.waitFor(
        async () => {
          await expect(fetch(origin)).rejects.toThrow();
          expect(() => process.kill(Number(pid), 0)).toThrow(/ESRCH/);
        },
        { timeout: 30_000, interval: 50 },
      );
    }));
});
