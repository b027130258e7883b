/**
 * What happened, as one typed union. No event holds a token, a key, a blob or a raw partition key:
 * `partition` is a short hash that only links events to each other.
 */
export type TokenkeepEvent =
  /** A record could not be opened. `unsupported` and `unknown-key` are retryable; `refused` is a miss. */
  | { readonly type: "record-unreadable"; readonly partition: string; readonly reason: OpenFailureReason }
  /** The store had lost a record (eviction, expiry, failover) and a refresh wrote it back. */
  | { readonly type: "record-restored"; readonly partition: string }
  /** The store went back in time; the newer record of this process was kept. */
  | { readonly type: "store-rolled-back"; readonly partition: string }
  /** A write did not happen because the account had been signed out, or signed in anew, meanwhile. */
  | {
      readonly type: "write-superseded";
      readonly partition: string;
      readonly reason: "removed" | "incarnation" | "refused" | "other-account";
    }
  /** A compare-and-swap was lost; it is retried after a merge. */
  | { readonly type: "conflict"; readonly partition: string; readonly attempt: number }
  /** A call to the store failed. */
  | {
      readonly type: "store-failed";
      readonly store: string;
      readonly operation: string;
      readonly error: unknown;
    }
  /** Calls to a store are no longer made, because too many failed; or one tries; or they are made again. */
  | {
      readonly type: "store-breaker";
      readonly store: string;
      readonly calls: "reads" | "writes";
      readonly state: "open" | "half-open" | "closed";
    }
  /** A result could not be stored and waits in memory, to be merged when the store answers again. */
  | { readonly type: "unsaved"; readonly partition: string; readonly bytes: number }
  /** A waiting result was stored. */
  | { readonly type: "replayed"; readonly partition: string }
  /** A waiting result was given up: memory limit, sign-out or close. */
  | {
      readonly type: "unsaved-dropped";
      readonly partition: string;
      readonly reason: "limit" | "superseded" | "closed";
    }
  /** An account or partition was signed out. */
  | {
      readonly type: "signed-out";
      readonly partition: string;
      readonly status: "done" | "pending";
      readonly durable: boolean;
    }
  /** No replica of the store had a sign-out, or a renewed one-time refresh token, in time: a failover may lose it. */
  | { readonly type: "write-unreplicated"; readonly partition: string }
  /** An activity row could not be written; the tokens are not affected. */
  | { readonly type: "activity-failed"; readonly partition: string; readonly error: unknown }
  /** Two operations overlapped on one MSAL client; what the first had acquired may not have been stored. */
  | { readonly type: "client-overlap"; readonly partition: string }
  /** MSAL's memory held entries of other partitions than the one it was to be stored in; they were left out. */
  | { readonly type: "entries-refused"; readonly partition: string; readonly count: number }
  /** Other keys are in use from now on: they were loaded anew. Ids stand in clear in every record. */
  | { readonly type: "keys-reloaded"; readonly sealingKeyId: string; readonly keyIds: readonly string[] }
  /** Keys could not be loaded anew; those from before are in use. */
  | { readonly type: "keys-not-reloaded"; readonly error: unknown }
  /** Kept keys serve, because whoever unwraps them does not answer; after `remainingMs` they will be gone. */
  | { readonly type: "keys-in-grace"; readonly error: unknown; readonly remainingMs: number }
  /** A token was acquired for a caller, or ahead of time in the background, or could not be. */
  | {
      readonly type: "acquisition";
      /** The method that was called, e.g. `acquireTokenSilent`. */
      readonly api: string;
      readonly outcome: "ok" | "failed";
      /** Renewed ahead of time: nobody waits for it. */
      readonly isBackground: boolean;
      /** These five as in the result's metadata; undefined where it failed. */
      readonly tokenSource: "cache" | "identity-provider" | undefined;
      readonly cacheLevel: "none" | "L1" | "L2" | "stale" | undefined;
      readonly cacheRefreshReason: string | undefined;
      readonly saved: boolean | undefined;
      readonly nearExpiry: boolean | undefined;
      /** Ms, as this caller saw it. */
      readonly durationTotalInMs: number;
      /** Ms; shared by callers who shared the work. Undefined where it failed. */
      readonly durationInCacheInMs: number | undefined;
      readonly durationInHttpInMs: number | undefined;
      /** Where it failed: the error's `code`, and the identity provider's or MSAL's own. */
      readonly code: string | undefined;
      readonly errorCode: string | undefined;
    }
  /** Records in clear are read, as asked for by `acceptPlaintextUntil`. Once per cache, until that time has come. */
  | { readonly type: "plaintext-accepted"; readonly untilMs: number }
  /** Sealing is off, as asked for by `keys: "unsealed"`. Once per cache. */
  | { readonly type: "unsealed" };

/** Why a sealed value could not be opened. Everything after the key has been found is `refused`. */
export type OpenFailureReason = "unsupported" | "unknown-key" | "refused";

/** Called synchronously; what it throws is ignored. */
export type TokenkeepEventListener = (event: TokenkeepEvent) => void;
