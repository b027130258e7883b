/** The contract suites: what every store has to promise, to be run under any test runner. */
export { activityStoreContract } from "./activity-store.ts";
export { backplaneContract } from "./backplane.ts";
export { blobAdminContract } from "./admin.ts";
export { blobStoreContract } from "./blob-store.ts";
export { keyWrapperContract } from "./key-wrapper.ts";
export { refreshLeaseContract } from "./refresh-lease.ts";
export type { ActivityStoreContractOptions, OpenedActivityStore } from "./activity-store.ts";
export type { BackplaneContractOptions, OpenedBackplane } from "./backplane.ts";
export type { BlobAdminContractOptions, OpenedBlobAdmin } from "./admin.ts";
export type { BlobStoreCapabilities, BlobStoreContractOptions, OpenedBlobStore } from "./blob-store.ts";
export type { KeyWrapperCapabilities, KeyWrapperContractOptions, OpenedKeyWrapper } from "./key-wrapper.ts";
export type { OpenedRefreshLease, RefreshLeaseContractOptions } from "./refresh-lease.ts";
export type {
  ContractDescribe,
  ContractExpect,
  ContractMatchers,
  ContractRunner,
  ContractTest,
} from "./runner.ts";
