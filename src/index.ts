export { createTokenCache } from "./token-cache.ts";
export type { TokenCache } from "./token-cache.ts";
export type { NamesOptions, OnStoreFailure, TokenCacheOptions } from "./options.ts";
export type { BreakerOptions } from "./tiers/breaker.ts";
export type { StoreBudgets, StoreOperation } from "./tiers/store-calls.ts";
export type { RefreshTokenMode } from "./partitions/lease.ts";
export { createConfidentialClient } from "./client/confidential-client.ts";
export type {
  ConfidentialClient,
  ConfidentialClientOptions,
  SilentRequest,
} from "./client/confidential-client.ts";
export type { LongRunningProcess } from "./client/long-running.ts";
export type { LongRunningRequest } from "./client/long-running-flow.ts";
export { createPublicClient } from "./client/public-client.ts";
export type { PublicClient, PublicClientOptions } from "./client/public-client.ts";
export type { CacheRefreshReason, ResultMetadata, TokenResult, TokenSource } from "./client/result.ts";

export type { CacheClient, CacheClientOptions } from "./msal/cache-client.ts";
export type { ImportOutcome } from "./msal/import-blob.ts";

export { createKeyRing, generateKey, parseKeys } from "./envelope/key-ring.ts";
export type { KeyEntry, KeyRing, KeyRingOptions } from "./envelope/key-ring.ts";
export { reloadingKeys, reloadingKeysFromFile } from "./envelope/reloading-keys.ts";
export type { ReloadingKeys, ReloadingKeysOptions } from "./envelope/reloading-keys.ts";
export { keysFromWrapped } from "./envelope/wrapped-keys.ts";
export type { GraceProblem, KeySource, LoadOptions, WrappedKeysOptions } from "./envelope/wrapped-keys.ts";
export { newWrappedKey } from "./envelope/new-wrapped-key.ts";
export type { NewWrappedKeyOptions } from "./envelope/new-wrapped-key.ts";
export { rewrapKeys } from "./envelope/rewrap-keys.ts";
export type { RewrapKeysOptions } from "./envelope/rewrap-keys.ts";
export { keyRingWrapper } from "./envelope/key-ring-wrapper.ts";
export type { KeyWrapper, KeyWrapperCall, UnwrapCall, WrapAnswer } from "./envelope/key-wrapper.ts";
export { keysFromEnv, keysFromFile, writeNewKeyFile } from "./envelope/providers.ts";

export { claimsChallenge } from "./client/claims-challenge.ts";
export { appPartition, oboPartition, userPartition } from "./client/partitions.ts";
export type { PartitionOwner } from "./client/partitions.ts";
export type { Partition, PartitionKind } from "./partitions/partition.ts";
export type { PurgeTenantOptions, PurgeTenantResult } from "./partitions/purge-tenant.ts";
export type { AllowedTenants } from "./client/tenants.ts";
export type { RekeyOptions, RekeyProgress, RekeyResult } from "./partitions/rekey.ts";
export type { NameKey } from "./names/naming.ts";
export type { Retention } from "./partitions/retention.ts";
export type { SignOutOutcome } from "./partitions/sign-out.ts";

export { accountRef } from "./activity/account-ref.ts";
export type { AccountRef } from "./activity/account-ref.ts";
export type { AccountActivity, AccountFailure, AccountKind } from "./activity/account-activity.ts";
export type { AccountsFilter, ActivityContext, OnBeforeActivityWrite } from "./activity/activity.ts";
export type { ClientRole } from "./activity/row.ts";

export { needsSignIn } from "./activity/outcome.ts";
export type { InteractionReason } from "./activity/outcome.ts";
export { canRetry, isAcquisitionError } from "./msal/acquisition-error.ts";
export type { AcquisitionError, AcquisitionErrorCode } from "./msal/acquisition-error.ts";
export { OptionsError, TokenkeepError } from "./errors.ts";
export type { ErrorCode } from "./errors.ts";
export type { TokenkeepEventListener, OpenFailureReason, TokenkeepEvent } from "./telemetry/events.ts";
export { systemRuntime } from "./runtime.ts";
export type { Runtime, Timer } from "./runtime.ts";

export type {
  BlobStore,
  Finding,
  GetOptions,
  PutOptions,
  PutResult,
  Stored,
  StoreCallOptions,
  Version,
} from "./store/blob-store.ts";
export type { Backplane, BackplaneMessage } from "./store/backplane.ts";
export type { BlobAdmin } from "./store/blob-admin.ts";
export type { LeaseOptions, LeaseResult, RefreshLease } from "./store/refresh-lease.ts";
export type { Store } from "./store/store.ts";
export type {
  AccountActivityRow,
  AccountActivityStore,
  AccountStatus,
  ActivityPage,
  ActivityQuery,
  StoredActivity,
} from "./store/account-activity-store.ts";
