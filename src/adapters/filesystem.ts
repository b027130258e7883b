/** A store of files in one folder, shared by the processes of one machine. Needs nothing but Node itself. */
import { readdir } from "node:fs/promises";
import { resolve } from "node:path";
import { checkedChoice, checkedRuntime, checkOptionNames } from "../checks.ts";
import { OptionsError } from "../errors.ts";
import { filesystemActivity } from "./filesystem-activity.ts";
import { clearRemains, filesystemAdmin } from "./filesystem-admin.ts";
import { filesystemBackplane } from "./filesystem-backplane.ts";
import { createCalls } from "./filesystem-calls.ts";
import { createCells, createTurns } from "./filesystem-cells.ts";
import { inodeOf, inspectFolder, openFolder, type Layout } from "./filesystem-folder.ts";
import { filesystemLease } from "./filesystem-lease.ts";
import { createOwner } from "./filesystem-owner.ts";
import { filesystemRecords } from "./filesystem-records.ts";
import type { Runtime } from "../runtime.ts";
import type { Finding } from "../store/blob-store.ts";
import type { Store } from "../store/store.ts";

/** What {@link filesystemStore} is made from. Only `folder` is required. */
export interface FilesystemStoreOptions {
  /** A folder of its own, on a local disk; created with mode 0700 if there is none, in one that must exist. */
  readonly folder: string;
  /** Clocks, timers and jitter. Default: the system's. */
  readonly runtime?: Runtime;
  /**
   * How long a call waits for another process's lock on the same record before it fails with
   * ERR_STORE_UNAVAILABLE. Whole milliseconds, default 5,000.
   */
  readonly lockTimeoutMs?: number;
  /**
   * What an acknowledged write survives. `"full"`, the default: a power failure. `"normal"`: a crash of the
   * process; after a power failure the last writes may be undone. No file is ever half written with either.
   */
  readonly durability?: "full" | "normal";
}

/** What {@link filesystemStore} makes: a store with every optional capability. */
export type FilesystemStore = Required<Omit<Store, "replicated">>;

const KNOWN_OPTIONS = new Set(["folder", "runtime", "lockTimeoutMs", "durability"]);

const MAX_TIMEOUT_MS = 0x7fff_ffff;

/**
 * Opens the folder, at once and synchronously, and makes it a store with account activity, leases, admin and a
 * backplane. Several processes of one machine may share the folder; calls wait for nothing but the disk and
 * locks that are held for a millisecond, and never hold up the event loop.
 *
 * `close()` waits for the calls that run and may be called twice; any call after it fails with ERR_CLOSED.
 * @throws {OptionsError} naming the option.
 * @throws {TokenkeepError} ERR_STORE_OPEN: a symbolic link, another user's, one that others may use, not a
 * folder of tokenkeep's, or a newer tokenkeep's.
 */
export function filesystemStore(options: FilesystemStoreOptions): FilesystemStore {
  const { folder, runtime, lockTimeoutMs, durability } = resolveOptions(options);
  const layout = openFolder(folder);
  const inode = inodeOf(layout.root);
  const owner = createOwner(runtime);
  const calls = createCalls(runtime);
  const context = { ...layout, runtime, owner, lockTimeoutMs, durability, inTurn: createTurns() };
  const records = createCells(context, layout.records, "record");
  const activity = createCells(context, layout.activity, "activity");
  // After a power failure nobody holds a lease any more.
  const leases = createCells({ ...context, durability: "none" }, layout.leases, "lease");
  const { backplane, closeListeners } = filesystemBackplane(calls, layout.signals, runtime);
  // What a crash left behind does no harm, so nobody has to wait for it to go.
  const clearing = clearRemains(context).catch(() => undefined);
  return {
    name: "filesystem",
    patienceMs: lockTimeoutMs + 1_000,
    ...filesystemRecords(calls, records),
    inspect: () => calls.call("inspect", () => inspect(layout, inode, durability)),
    backplane,
    activity: filesystemActivity(calls, activity),
    lease: filesystemLease(calls, leases),
    admin: filesystemAdmin(calls, records, leases, context),
    async close() {
      closeListeners();
      await calls.close();
      await clearing;
    },
  };
}

async function inspect(layout: Layout, inode: number, durability: "full" | "normal"): Promise<Finding[]> {
  const findings = inspectFolder(layout, inode);
  if (findings.some(({ code }) => code === "folder-replaced")) return findings;
  const [records, activity] = [await readdir(layout.records), await readdir(layout.activity)];
  return [
    ...findings,
    {
      severity: "info",
      code: "durability",
      message:
        durability === "full"
          ? "an acknowledged write survives a power failure"
          : "an acknowledged write survives a crash of the process, not always a power failure",
    },
    { severity: "info", code: "size", message: `${records.length} records, ${activity.length} accounts` },
  ];
}

function resolveOptions(options: FilesystemStoreOptions): Required<FilesystemStoreOptions> {
  checkOptionNames(options, KNOWN_OPTIONS, "filesystemStore");
  const { folder } = options;
  if (typeof folder !== "string" || folder === "" || folder.includes("\0")) {
    throw new OptionsError("folder", "must be the path of a folder");
  }
  return {
    // Absolute, so that it stays the same folder when the process changes its own.
    folder: resolve(folder),
    runtime: checkedRuntime(options.runtime),
    lockTimeoutMs: checkedTimeout(options.lockTimeoutMs),
    durability: checkedChoice(options.durability, "durability", ["full", "normal"]),
  };
}

function checkedTimeout(value: number | undefined): number {
  if (value === undefined) return 5_000;
  if (Number.isInteger(value) && value >= 0 && value <= MAX_TIMEOUT_MS) return value;
  throw new OptionsError("lockTimeoutMs", "must be a whole number of milliseconds from 0");
}
