import type { AccountActivityStore } from "./account-activity-store.ts";
import type { Backplane } from "./backplane.ts";
import type { BlobAdmin } from "./blob-admin.ts";
import type { RefreshLease } from "./refresh-lease.ts";
import type { BlobStore } from "./blob-store.ts";

/**
 * A backend as `createTokenCache({ store })` takes it: a {@link BlobStore}, and whatever else it can do.
 * Only the {@link BlobStore} methods are required; docs/stores/your-own.md shows one of thirty lines.
 */
export interface Store extends BlobStore {
  /** Tells other processes what changed. Absent: they find out within `coherenceBoundMs`. */
  readonly backplane?: Backplane;
  /** Where activity rows are kept. Absent: in memory, of this process only. */
  readonly activity?: AccountActivityStore;
  /** Lists and purges records. Absent: `purgeExpired()` deletes none. */
  readonly admin?: BlobAdmin;
  /** Lets one process renew a token at a time. Absent: each may. */
  readonly lease?: RefreshLease;
  /**
   * How long a call may take although all is well, ms, e.g. because it waits for a lock. Default budgets are no
   * shorter; see `storeBudgetMs`.
   */
  readonly patienceMs?: number;
  /** Closes what the adapter itself opened; never a client that the caller made. May be called twice. */
  close?(): Promise<void>;
}
