/** Lets one process renew a token while the others wait for it. Types only. */

/** What asking for a lease came to. A backend that cannot answer throws: that is neither of the two. */
export type LeaseResult =
  | { readonly held: true }
  | {
      readonly held: false;
      /** How long the holder still has it unless it renews, ms, where the backend can tell. */
      readonly remainingMs?: number;
    };

/** Who wants a lease, and for how long. */
export interface LeaseOptions {
  /** Random, one per acquisition: whoever renews or releases must be who acquired. */
  readonly owner: string;
  /** From now, ms. When it has passed anybody may take the lease. */
  readonly ttlMs: number;
}

/**
 * Advisory: correctness comes from compare-and-swap, the lease only saves calls to the identity provider.
 * A holder that dies loses it when its time is up, no later.
 */
export interface RefreshLease {
  /** Takes the lease if nobody has it, or if whoever had it has let its time pass. */
  acquire(key: string, options: LeaseOptions): Promise<LeaseResult>;
  /** Extends the caller's lease to `ttlMs` from now. @returns false if it is no longer the caller's. */
  renew(key: string, options: LeaseOptions): Promise<boolean>;
  /** Gives it back if it is still the caller's; anything else is left alone. */
  release(key: string, options: { readonly owner: string }): Promise<void>;
}
