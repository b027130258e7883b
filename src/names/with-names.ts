/** Puts names between a cache and what it keeps its records and rows in. */
import type { Sealer } from "../envelope/sealer.ts";
import type { Runtime } from "../runtime.ts";
import type { AccountActivityStore } from "../store/account-activity-store.ts";
import type { Store } from "../store/store.ts";
import type { Emit } from "../telemetry/emitter.ts";
import { nameActivity } from "./activity-store.ts";
import { nameStore, type NamedStoreOptions } from "./named-store.ts";
import { namingsOf, type NameKeys } from "./namings.ts";

interface Named {
  readonly names: NameKeys | undefined;
  readonly namespace: string;
  readonly runtime: Runtime;
  readonly store: Store | undefined;
  /** The store's own, or one in another place. */
  readonly activityStore: AccountActivityStore | undefined;
}

/** The same options over stores that see names only; as they are without a name key, or without a store. */
export function withNames<O extends Named>(options: O, sealer: Sealer, emit: Emit): O {
  const { names, namespace, runtime, store, activityStore } = options;
  if (!names) return options;
  const how: NamedStoreOptions = { namings: namingsOf(namespace, names), namespace, runtime, sealer, emit };
  const named = store && nameStore(store, how);
  const isOwn = activityStore !== undefined && activityStore !== store?.activity;
  return {
    ...options,
    store: named,
    activityStore: isOwn ? nameActivity(activityStore, how.namings, how) : named?.activity,
  };
}
