import { execFileSync } from "node:child_process";
import {
  chmodSync,
  chownSync,
  mkdirSync,
  readdirSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { filesystemStore } from "../../src/adapters/filesystem.ts";
import { temporaryFolder } from "./children.ts";

let temporary = temporaryFolder();
temporary.remove();
let folder = "";

beforeEach(() => {
  temporary = temporaryFolder();
  folder = join(temporary.path, "store");
});
afterEach(() => temporary.remove());

const FIRST = { version: "first", ifVersion: null, ttlMs: 3_600_000 };
const AS_ROOT = process.geteuid?.() === 0;

/** Why the folder is refused. */
function refusal(path = folder): string {
  try {
    filesystemStore({ folder: path });
  } catch (error) {
    expect(error).toMatchObject({ code: "ERR_STORE_OPEN" });
    return (error as Error).message;
  }
  throw new Error("was opened");
}

describe("a folder is refused, with what to do", () => {
  test.each([0o755, 0o750, 0o701, 0o777])("when others may use it: mode %o", async (mode) => {
    mkdirSync(folder);
    chmodSync(folder, mode);
    expect(refusal()).toContain(
      `has mode ${mode.toString(8)}, others than its owner may use it; run: chmod 700 ${folder}`,
    );
    // Refused, and left as it was.
    expect(readdirSync(folder)).toEqual([]);
    expect(statSync(folder).mode & 0o777).toBe(mode);
  });

  test("when it is a symbolic link, a file, or its parent is not there", () => {
    const target = join(temporary.path, "target");
    mkdirSync(target, { mode: 0o700 });
    symlinkSync(target, folder);
    expect(refusal()).toContain("is a symbolic link; give the path of the folder itself");
    expect(readdirSync(target)).toEqual([]);
    const file = join(temporary.path, "file");
    writeFileSync(file, "");
    expect(refusal(file)).toContain("is not a folder");
    expect(refusal(join(temporary.path, "absent", "store"))).toContain("does not exist; create it");
  });

  test.runIf(AS_ROOT)("when it belongs to another user", () => {
    mkdirSync(folder, { mode: 0o700 });
    chownSync(folder, 65_534, 65_534);
    expect(refusal()).toContain("belongs to user 65534; make user 0, which runs this process, the owner");
  });

  test("when everybody may write to a folder above it, unless only owners may rename there", async () => {
    chmodSync(temporary.path, 0o777);
    expect(refusal()).toContain(`everybody may write to ${temporary.path}`);
    chmodSync(temporary.path, 0o1777);
    await filesystemStore({ folder }).close();
  });

  test("when it holds other files, or says that a newer tokenkeep or another program wrote it; nothing is changed", async () => {
    mkdirSync(folder, { mode: 0o700 });
    writeFileSync(join(folder, "thesis.txt"), "");
    expect(refusal()).toContain("holds other files");
    expect(readdirSync(folder)).toEqual(["thesis.txt"]);
    rmSync(join(folder, "thesis.txt"));
    await filesystemStore({ folder }).close();
    writeFileSync(join(folder, "format"), "tokenkeep filesystem store, version 2\n");
    expect(refusal()).toContain("was written by a newer tokenkeep");
    writeFileSync(join(folder, "format"), "something else\n");
    expect(refusal()).toContain("does not say what it should");
  });

  test("when a folder inside has been opened to others or replaced by a link", async () => {
    await filesystemStore({ folder }).close();
    chmodSync(join(folder, "records"), 0o755);
    expect(refusal()).toContain("records has mode 755");
    chmodSync(join(folder, "records"), 0o700);
    renameSync(join(folder, "records"), join(temporary.path, "elsewhere"));
    symlinkSync(join(temporary.path, "elsewhere"), join(folder, "records"));
    expect(refusal()).toContain("records is a symbolic link");
  });
});

describe("a file is refused, and never taken for absent", () => {
  async function opened() {
    const store = filesystemStore({ folder });
    await store.put("key", Uint8Array.of(1), FIRST);
    const [name = ""] = readdirSync(join(folder, "records"));
    return { store, file: join(folder, "records", name) };
  }
  const refused = async (store: ReturnType<typeof filesystemStore>, why: string): Promise<void> => {
    const failure = { code: "ERR_STORE_UNAVAILABLE", retryable: true, message: expect.stringContaining(why) };
    await expect(store.get("key")).rejects.toMatchObject(failure);
    await expect(store.put("key", Uint8Array.of(2), FIRST)).rejects.toMatchObject(failure);
    await store.close();
  };

  test("when others may read it", async () => {
    const { store, file } = await opened();
    chmodSync(file, 0o644);
    await refused(store, "has mode 644, others than its owner may use it");
  });

  test("when it is a symbolic link, also to a sound file", async () => {
    const { store, file } = await opened();
    renameSync(file, join(temporary.path, "elsewhere"));
    symlinkSync(join(temporary.path, "elsewhere"), file);
    await refused(store, "is a symbolic link");
  });

  test("when it is a folder or a pipe, and nobody waits for a writer of it", async () => {
    const first = await opened();
    rmSync(first.file);
    mkdirSync(first.file);
    await refused(first.store, "is not a regular file");
    rmSync(folder, { recursive: true });
    const second = await opened();
    rmSync(second.file);
    execFileSync("mkfifo", ["-m", "600", second.file]);
    await refused(second.store, "is not a regular file");
  });

  test.runIf(AS_ROOT)("when it belongs to another user", async () => {
    const { store, file } = await opened();
    chownSync(file, 65_534, 65_534);
    await refused(store, "belongs to user 65534");
  });
});

describe("inspect", () => {
  const codes = async (store: ReturnType<typeof filesystemStore>): Promise<string[]> =>
    (await store.inspect()).map(({ severity, code }) => `${severity} ${code}`);

  test("says that all is well, how durable it is and how much there is", async () => {
    const store = filesystemStore({ folder, durability: "normal" });
    await store.put("key", Uint8Array.of(1), FIRST);
    expect(await codes(store)).toEqual(["info permissions", "info durability", "info size"]);
    expect((await store.inspect()).at(-1)?.message).toBe("1 records, 0 accounts");
    await store.close();
  });

  test("reports what was opened to others while it ran, and a folder that was replaced", async () => {
    const store = filesystemStore({ folder });
    chmodSync(join(folder, "activity"), 0o755);
    chmodSync(folder, 0o711);
    expect((await codes(store)).filter((code) => code === "error permissions")).toHaveLength(2);
    renameSync(folder, `${folder}.old`);
    expect(await codes(store)).toEqual(["error folder-replaced"]);
    await store.close();
  });
});
