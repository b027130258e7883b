/** The published contract of a {@link BlobStore}: one test for each clause of the port's docstring. */
import { sleep, systemRuntime } from "../../runtime.ts";
import { abortClauses, failureClauses } from "./blob-failures.ts";
import { registerClauses, type Clause, type Closable, type ContractRunner } from "./runner.ts";
import { retentionClauses } from "./blob-retention.ts";
import { swapClauses } from "./blob-swap.ts";
import { valueClauses } from "./blob-values.ts";
import type { BlobStore } from "../../store/blob-store.ts";

/** An empty backend, opened for one test. */
export interface OpenedBlobStore extends Closable {
  /** The store under test. */
  readonly store: BlobStore;
  /** Another client of the same data, as another process would have. Default: `store` itself. */
  readonly second?: BlobStore;
  /** Moves the clock that the backend expires values by. Default: really waits that long. */
  readonly advance?: (ms: number) => Promise<void> | void;
  /** Makes every later call to `store` fail: stops the server, or closes the store. */
  readonly fail?: () => Promise<void> | void;
}

/** How the backend differs. A flag changes what is expected of it; none makes a test disappear silently. */
export interface BlobStoreCapabilities {
  /** The shortest time the backend can keep a value for, ms. The suite uses 1 to 10 of it. Default 1,000. */
  readonly ttlStepMs?: number;
  /** Whether a conflict brings what is there instead in the same answer. Default true. */
  readonly conflictBringsCurrent?: boolean;
  /** The largest value it takes, if that is less than 1 MiB; a larger one must be refused. Bytes. */
  readonly maxValueBytes?: number;
  /** Whether `open` gives a `fail`. Default false: then the clauses on failures are not registered. */
  readonly canFail?: boolean;
}

/** What the contract of a store of records is run with. */
export interface BlobStoreContractOptions extends ContractRunner {
  /** Gives an **empty** backend: a folder, database or key prefix that no other test uses. */
  readonly open: () => Promise<OpenedBlobStore>;
  /** What the backend can do; tests of anything else are left out. */
  readonly capabilities?: BlobStoreCapabilities;
}

/** What a clause works with: the opened backend with everything that has a default filled in. */
export interface BlobContext extends Closable {
  readonly store: BlobStore;
  readonly second: BlobStore;
  readonly advance: (ms: number) => Promise<void>;
  readonly fail: () => Promise<void>;
  readonly ttlStepMs: number;
  /** Long enough to outlive any test. */
  readonly longMs: number;
  readonly conflictBringsCurrent: boolean;
  readonly maxValueBytes: number;
}

const LARGE_BYTES = 1024 * 1024;
const LONG_MS = 3_600_000;

/**
 * Registers the suite. Each test opens a backend of its own; the runner is passed in.
 *
 * @example
 * import { describe, expect, test } from "vitest";
 * blobStoreContract({ name: "own", test, expect, describe, open: async () => ({ store: ownStore(), close: async () => {} }) });
 */
export function blobStoreContract(options: BlobStoreContractOptions): void {
  const capabilities = options.capabilities ?? {};
  registerClauses(options, "blob store", () => openContext(options), [
    ...valueClauses,
    ...swapClauses,
    ...retentionClauses,
    ...abortClauses,
    ...(capabilities.canFail === true ? failureClauses : noClauses),
  ]);
}

const noClauses: readonly Clause<BlobContext>[] = [];

async function openContext({ open, capabilities = {} }: BlobStoreContractOptions): Promise<BlobContext> {
  const opened = await open();
  const { advance = (ms: number) => sleep(systemRuntime, ms) } = opened;
  return {
    store: opened.store,
    second: opened.second ?? opened.store,
    advance: async (ms) => advance(ms),
    fail: async () => opened.fail?.(),
    close: () => opened.close(),
    ttlStepMs: capabilities.ttlStepMs ?? 1_000,
    longMs: LONG_MS,
    conflictBringsCurrent: capabilities.conflictBringsCurrent ?? true,
    maxValueBytes: Math.min(capabilities.maxValueBytes ?? LARGE_BYTES, LARGE_BYTES),
  };
}
