import type * as nodeFs from "node:fs";
import { execFileSync } from "node:child_process";
import {
  chmodSync,
  linkSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  rmSync,
  statSync,
} from "node:fs";
import { symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";

import { OptionsError } from "../../src/errors.ts";
import { keysFromEnv, keysFromFile, writeNewKeyFile } from "../../src/envelope/providers.ts";
import { systemRuntime } from "../../src/runtime.ts";
import { KEY_ONE, KEY_TWO } from "./support.ts";

const TEXT = `one:${KEY_ONE.toString("base64")}\n# opening only\ntwo:${KEY_TWO.toString("base64")}\n`;
const SECRET = KEY_ONE.toString("base64url");
const posix = process.platform !== "win32";

/** Looks in between the steps of the code under test. */
const between = vi.hoisted(() => ({
  openAndWrite: (): unknown => undefined,
  lookAndOpen: (): unknown => undefined,
}));
vi.mock("node:fs", async (importOriginal) => {
  const fs = await importOriginal<typeof nodeFs>();
  const writeFileSync: typeof fs.writeFileSync = (file, ...rest) => {
    if (typeof file === "number") between.openAndWrite();
    fs.writeFileSync(file, ...rest);
  };
  const lstatSync = ((...given: Parameters<typeof fs.lstatSync>) => {
    const stats = fs.lstatSync(...given);
    between.lookAndOpen();
    return stats;
  }) as typeof fs.lstatSync;
  return { ...fs, writeFileSync, lstatSync };
});

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "envelope-"));
});
afterEach(() => {
  between.openAndWrite = between.lookAndOpen = () => undefined;
  rmSync(folder, { recursive: true, force: true });
});

function keyFile(text: string, mode = 0o600): string {
  const path = join(folder, "keys");
  writeFileSync(path, text);
  chmodSync(path, mode);
  return path;
}

function errorOf(action: () => unknown): OptionsError {
  try {
    action();
  } catch (error) {
    expect(error).toBeInstanceOf(OptionsError);
    return error as OptionsError;
  }
  throw new Error("nothing was thrown");
}

describe("keysFromEnv", () => {
  test("reads the ring from the variable, of the process if no other environment is given", () => {
    expect(keysFromEnv("APP_KEYS", { APP_KEYS: TEXT }).keyIds).toEqual(["one", "two"]);
    process.env["TOKENKEEP_TEST_KEYS"] = TEXT;
    try {
      expect(keysFromEnv("TOKENKEEP_TEST_KEYS").sealingKeyId).toBe("one");
    } finally {
      delete process.env["TOKENKEEP_TEST_KEYS"];
    }
  });

  test("names the variable that is missing, empty or malformed", () => {
    for (const env of [{}, { APP_KEYS: "" }, { APP_KEYS: "one:short" }]) {
      expect(errorOf(() => keysFromEnv("APP_KEYS", env)).option).toBe("APP_KEYS");
    }
  });

  test("does not show keys that were passed in place of the name", () => {
    for (const mistake of [`one:${SECRET}`, SECRET, `k${SECRET.replaceAll(/[^a-zA-Z]/g, "x")}`]) {
      const error = errorOf(() => keysFromEnv(mistake, {}));
      expect(error.option).toBe("name");
      expect(`${error.stack}`).not.toContain(mistake);
    }
  });
});

describe("keysFromFile", () => {
  test("reads the ring from a file that is its owner's alone", () => {
    for (const mode of [0o600, 0o400])
      expect(keysFromFile(keyFile(TEXT, mode)).keyIds).toEqual(["one", "two"]);
  });

  test.runIf(posix)("refuses any permission for group or others, and says what to run", () => {
    for (const mode of [0o640, 0o604, 0o620, 0o602, 0o610, 0o601, 0o666]) {
      const path = keyFile(TEXT, mode);
      const error = errorOf(() => keysFromFile(path));
      expect(error.option).toBe("path");
      expect(error.message).toContain(`chmod 600 ${path}`);
      expect(error.message).toContain(`0${mode.toString(8)}`);
    }
  });

  test.runIf(posix)("refuses what is not a regular file itself", () => {
    const link = join(folder, "link");
    symlinkSync(keyFile(TEXT), link);
    expect(errorOf(() => keysFromFile(link)).message).toContain("symbolic link");

    const directory = join(folder, "directory");
    mkdirSync(directory, { mode: 0o700 });
    expect(errorOf(() => keysFromFile(directory)).message).toContain("regular file");

    const pipe = join(folder, "pipe");
    execFileSync("mkfifo", ["-m", "600", pipe]);
    expect(errorOf(() => keysFromFile(pipe)).message).toContain("regular file");
  });

  test.runIf(posix)("does not follow a link that takes the file's place after it was looked at", () => {
    const path = keyFile(TEXT);
    const elsewhere = join(folder, "elsewhere");
    writeFileSync(elsewhere, TEXT, { mode: 0o600 });
    between.lookAndOpen = () => {
      rmSync(path);
      symlinkSync(elsewhere, path);
    };
    expect(errorOf(() => keysFromFile(path)).message).toContain("ELOOP");
  });

  test("says why a file cannot be read, and refuses a huge one", () => {
    expect(errorOf(() => keysFromFile(join(folder, "absent"))).message).toContain("ENOENT");
    expect(errorOf(() => keysFromFile(keyFile(TEXT + " ".repeat(65_536)))).message).toContain("larger");
    for (const path of ["", undefined, "a\0b"])
      expect(errorOf(() => keysFromFile(path as string)).option).toBe("path");
  });

  test("shows no keys: neither of a malformed file nor passed in place of the path", () => {
    const malformed = errorOf(() => keysFromFile(keyFile(`one:${SECRET}x`)));
    expect(malformed.option).toBe("path");
    expect(`${malformed.stack}`).not.toContain(SECRET);
    for (const mistake of [
      `one:${SECRET}`,
      `one:${SECRET},two:${SECRET}`,
      SECRET,
      `one:${KEY_ONE.toString("hex")}`,
    ]) {
      const error = errorOf(() => keysFromFile(mistake));
      expect(`${error.stack}${JSON.stringify(error)}`).not.toContain(mistake);
      expect(error.cause).toBeUndefined();
    }
  });
});

describe("writeNewKeyFile", () => {
  test("makes a file that keysFromFile reads, whatever the umask", () => {
    const path = join(folder, "keys");
    const before = process.umask(0o777);
    try {
      expect(writeNewKeyFile(path, systemRuntime)).toBe(true);
    } finally {
      process.umask(before);
    }
    if (posix) expect(statSync(path).mode & 0o777).toBe(0o600);
    expect(keysFromFile(path).keyIds).toHaveLength(1);
    expect(readdirSync(folder)).toEqual(["keys"]);
  });

  test("leaves a file that is there alone, and any other thing too", () => {
    const path = keyFile("mine", 0o644);
    expect(writeNewKeyFile(path, systemRuntime)).toBe(false);
    expect(readFileSync(path, "utf8")).toBe("mine");
    expect(writeNewKeyFile(folder, systemRuntime)).toBe(false);
    if (!posix) return;
    const dangling = join(folder, "dangling");
    symlinkSync(join(folder, "nowhere"), dangling);
    expect(writeNewKeyFile(dangling, systemRuntime)).toBe(false);
    expect(readdirSync(folder).toSorted()).toEqual(["dangling", "keys"]);
  });

  test("makes no key and writes nothing where there is a file: the folder may be read-only", () => {
    const runtime = {
      ...systemRuntime,
      randomBytes(): never {
        throw new Error("drew randomness");
      },
    };
    expect(writeNewKeyFile(keyFile(TEXT), runtime)).toBe(false);
  });

  test("gives way to another process that made the file meanwhile, and leaves nothing behind", () => {
    const path = join(folder, "keys");
    const rival = join(folder, "rival");
    writeFileSync(rival, TEXT, { mode: 0o600 });
    const runtime = {
      ...systemRuntime,
      randomBytes(length: number) {
        if (length === 32) linkSync(rival, path); // as we draw our key, the rival's file appears
        return systemRuntime.randomBytes(length);
      },
    };
    expect(writeNewKeyFile(path, runtime)).toBe(false);
    expect(readFileSync(path, "utf8")).toBe(TEXT);
    expect(readdirSync(folder).toSorted()).toEqual(["keys", "rival"]);
  });

  test("is never seen half written: its name appears after its text", () => {
    const path = join(folder, "keys");
    const seen: string[][] = [];
    between.openAndWrite = () => seen.push(readdirSync(folder));
    expect(writeNewKeyFile(path, systemRuntime)).toBe(true);
    expect(seen).toHaveLength(1);
    expect(seen[0]).not.toContain("keys");
  });

  test("says why a file cannot be made", () => {
    const error = errorOf(() => writeNewKeyFile(join(folder, "absent", "keys"), systemRuntime));
    expect(error.option).toBe("path");
    expect(error.message).toContain("ENOENT");
  });
});
