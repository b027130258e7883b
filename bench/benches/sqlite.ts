/** One record of bytes in SQLite, beside the bare database. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { sqliteStore } from "../../src/adapters/sqlite.ts";
import type { Benchmark } from "../lib/benchmark.ts";
import { compareStore } from "../lib/stores.ts";

export const sqlite: Benchmark = {
  title: "4 KB in SQLite, L1 off, 500 keys in turn, one caller, WAL, every write on disk",
  async run({ pace }) {
    const folder = mkdtempSync(join(tmpdir(), "tokenkeep-bench-"));
    const store = sqliteStore({ path: join(folder, "ours.db") });
    const db = new DatabaseSync(join(folder, "bare.db"));
    try {
      db.exec("PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL");
      db.exec("CREATE TABLE bare (key TEXT PRIMARY KEY, bytes BLOB NOT NULL)");
      const get = db.prepare("SELECT bytes FROM bare WHERE key = ?");
      const put = db.prepare("INSERT OR REPLACE INTO bare (key, bytes) VALUES (?, ?)");
      return await compareStore({
        bench: "sqlite",
        store,
        pace,
        callers: [1],
        bare: {
          name: "node:sqlite, prepared statements",
          read: async (key) => get.get(key),
          write: async (key, bytes) => put.run(key, bytes),
        },
      });
    } finally {
      await store.close();
      db.close();
      rmSync(folder, { recursive: true, force: true });
    }
  },
};
