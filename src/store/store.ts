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
  readonly backplane?: Backplane;
  readonly activity?: AccountActivityStore;
  readonly admin?: BlobAdmin;
  readonly lease?: RefreshLease;
  /**
   * How long a call may take although all is well, ms, e.g. because it waits for a lock. Default budgets are no
   * shorter; see `storeBudgetMs`.
   */
  readonly patienceMs?: number;
  /** Closes what the adapter itself opened; never a client that the caller made. May be called twice. */
  close?(): Promise<void>;
}
