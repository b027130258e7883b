/** The published contract of a {@link RefreshLease}: one test for each clause of the port's docstrings. */
import { fresh } from "./bytes.ts";
import { leaseFailureClauses } from "./lease-failures.ts";
import { leaseHolderClauses } from "./lease-holder.ts";
import { registerClauses, type Clause, type Closable, type ContractRunner } from "./runner.ts";
import { sleep, systemRuntime } from "../../runtime.ts";
import type { LeaseResult, RefreshLease } from "../../store/refresh-lease.ts";

/** A backend in which nobody has a lease, opened for one test. */
export interface OpenedRefreshLease extends Closable {
  /** The lease under test. */
  readonly lease: RefreshLease;
  /** Another client of the same backend, as another process would have. Default: `lease` itself. */
  readonly second?: RefreshLease;
  /** Moves the clock that the backend ends leases by. Default: really waits that long. */
  readonly advance?: (ms: number) => Promise<void> | void;
  /** Makes every later call to `lease` fail: stops the server, or closes the store. */
  readonly fail?: () => Promise<void> | void;
}

/** What the contract of a refresh lease is run with. */
export interface RefreshLeaseContractOptions extends ContractRunner {
  /** Opens a fresh one for each test. */
  readonly open: () => Promise<OpenedRefreshLease>;
  /** What the backend can do; tests of anything else are left out. */
  readonly capabilities?: {
    /** The shortest time the backend can grant a lease for, ms. The suite uses 1 to 6 of it. Default 1,000. */
    readonly ttlStepMs?: number;
    /** Whether `open` gives a `fail`. Default false: then the clauses on failures are not registered. */
    readonly canFail?: boolean;
  };
}

/** What a clause works with: the opened backend with everything that has a default filled in. */
export interface LeaseContext extends Closable {
  readonly lease: RefreshLease;
  readonly second: RefreshLease;
  /** Lets so many of the shortest lease times pass. */
  readonly pass: (steps: number) => Promise<void>;
  readonly fail: () => Promise<void>;
  readonly ttlStepMs: number;
  /** Asks for the lease "key" for so many steps, as a new owner unless told who. */
  readonly take: (client: RefreshLease, steps: number, owner?: string) => Promise<Taken>;
}

/** What asking came to, and as whom. */
export interface Taken {
  readonly owner: string;
  readonly result: LeaseResult;
}

/** Registers the suite. Each test opens a backend of its own; the runner is passed in. */
export function refreshLeaseContract(options: RefreshLeaseContractOptions): void {
  registerClauses(options, "refresh lease", () => openContext(options), [
    ...leaseHolderClauses,
    ...(options.capabilities?.canFail === true ? leaseFailureClauses : noClauses),
  ]);
}

const noClauses: readonly Clause<LeaseContext>[] = [];

async function openContext({ open, capabilities = {} }: RefreshLeaseContractOptions): Promise<LeaseContext> {
  const opened = await open();
  const { ttlStepMs = 1_000 } = capabilities;
  const { advance = (ms: number) => sleep(systemRuntime, ms) } = opened;
  return {
    lease: opened.lease,
    second: opened.second ?? opened.lease,
    pass: async (steps) => advance(steps * ttlStepMs),
    fail: async () => opened.fail?.(),
    close: () => opened.close(),
    ttlStepMs,
    async take(client, steps, owner = fresh()) {
      return { owner, result: await client.acquire("key", { owner, ttlMs: steps * ttlStepMs }) };
    },
  };
}
