import type { AuthenticationResult } from "../msal/types.ts";

/** Where a token came from, in MSAL.NET's words (`TokenSource`). */
export type TokenSource = "cache" | "identity-provider";

/** Why the identity provider was asked, in MSAL.NET's words (`CacheRefreshReason`). */
export type CacheRefreshReason =
  | "not-applicable"
  | "force-refresh-or-claims"
  | "no-cached-access-token"
  | "expired"
  /** The token is past its `refreshOn`: it is served, and renewed in the background. */
  | "proactively-refreshed";

/** What MSAL.NET calls `AuthenticationResultMetadata`, and whether the result has been stored. */
export interface ResultMetadata {
  /** Whether the identity provider was asked for this token. */
  readonly tokenSource: TokenSource;
  /** Why it was asked; `not-applicable` for an answer from the cache. */
  readonly cacheRefreshReason: CacheRefreshReason;
  /** Which level answered: this process, the shared store, or a copy served while the store is down. */
  readonly cacheLevel: "none" | "L1" | "L2" | "stale";
  /**
   * False if a new token could not be stored yet (it waits in memory and is stored when the store answers),
   * or is not wanted any more because the user signed out meanwhile. True for answers from the cache.
   */
  readonly saved: boolean;
  /**
   * True for a token in its last five minutes, which MSAL counts as expired: it was served because the identity
   * provider did not answer just now, or because another process is renewing it. `expiresOn` holds.
   */
  readonly nearExpiry: boolean;
  /** From the call to its result, ms. 0 for answers from memory, which take microseconds and are not measured. */
  readonly durationTotalInMs: number;
  /**
   * Time spent reading and saving, with what MSAL.NET spends in its cache callbacks, ms: shared by callers who
   * shared the work. Waiting for another process that renews is not in it.
   */
  readonly durationInCacheInMs: number;
  /** Time spent on the network, ms, shared likewise. */
  readonly durationInHttpInMs: number;
}

/** MSAL's result, and how it came about. */
export type TokenResult = AuthenticationResult & { readonly metadata: ResultMetadata };

/** Metadata of an answer that the network had no part in. `isDue`: past its refresh-on. */
export function cachedMetadata(cacheLevel: "L1" | "L2" | "stale", isDue: boolean): ResultMetadata {
  return isDue ? DUE[cacheLevel] : CACHED[cacheLevel];
}

const cached = {
  tokenSource: "cache",
  cacheRefreshReason: "not-applicable",
  saved: true,
  nearExpiry: false,
  durationTotalInMs: 0,
  durationInCacheInMs: 0,
  durationInHttpInMs: 0,
} as const;

type ByLevel = Readonly<Record<"L1" | "L2" | "stale", ResultMetadata>>;

const byLevel = (metadata: Omit<ResultMetadata, "cacheLevel">): ByLevel =>
  Object.freeze({
    L1: Object.freeze({ ...metadata, cacheLevel: "L1" }),
    L2: Object.freeze({ ...metadata, cacheLevel: "L2" }),
    stale: Object.freeze({ ...metadata, cacheLevel: "stale" }),
  });

const CACHED = byLevel(cached);
const DUE = byLevel({ ...cached, cacheRefreshReason: "proactively-refreshed" });
