/** One record of bytes in a file, beside files written whole by hand. */
import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { open, readFile, rename } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { filesystemStore } from "../../src/adapters/filesystem.ts";
import type { Benchmark } from "../lib/benchmark.ts";
import { compareStore } from "../lib/stores.ts";

export const filesystem: Benchmark = {
  title: "4 KB in a file, L1 off, 500 keys in turn, one caller, every write on disk",
  async run({ pace }) {
    const folder = mkdtempSync(join(tmpdir(), "tokenkeep-bench-"));
    const store = filesystemStore({ folder: join(folder, "ours") });
    mkdirSync(join(folder, "bare"), { mode: 0o700 });
    const pathOf = (key: string): string => join(folder, "bare", key.replaceAll(":", "-"));
    try {
      return await compareStore({
        bench: "filesystem",
        store,
        pace,
        callers: [1],
        bare: {
          name: "node:fs, draft, fsync, rename",
          read: (key) => readFile(pathOf(key)),
          async write(key, bytes) {
            const path = pathOf(key);
            const file = await open(`${path}.draft`, "w", 0o600);
            await file.writeFile(bytes);
            await file.sync();
            await file.close();
            await rename(`${path}.draft`, path);
          },
        },
      });
    } finally {
      await store.close();
      rmSync(folder, { recursive: true, force: true });
    }
  },
};
