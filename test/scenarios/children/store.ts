/** The store of a scenario, as its processes and the test itself open it. */
import { filesystemStore } from "../../../src/adapters/filesystem.ts";
import { sqliteStore } from "../../../src/adapters/sqlite.ts";
import type { Store } from "../../../src/index.ts";
import type { ChildSettings } from "./settings.ts";

type Place = Pick<ChildSettings, "store" | "storePath"> & Partial<Pick<ChildSettings, "lockTimeoutMs">>;

export function openStore({
  store,
  storePath,
  lockTimeoutMs = 5_000,
}: Place): Required<Omit<Store, "replicated">> {
  if (store === "filesystem") return filesystemStore({ folder: storePath, lockTimeoutMs });
  return sqliteStore({ path: storePath, lockTimeoutMs });
}
