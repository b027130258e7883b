/** The other ports of a backend, under the same budgets and breaker as its records. */
import type { AccountActivityStore } from "../store/account-activity-store.ts";
import type { RefreshLease } from "../store/refresh-lease.ts";
import type { StoreCalls } from "./store-calls.ts";

/** A page of everybody's rows may have to be searched for; one account's are found by its id, while a user waits. */
const LIST_BUDGET_MS = 15_000;

/** A lease under budgets and breaker. */
export interface GuardedLease extends RefreshLease {
  /** Acquires what is kept until its time is up, and is never released: also where the answer came too late. */
  readonly claim: RefreshLease["acquire"];
}

/** Leases wait as long as writes do. One that is granted after its caller has given up is given back. */
export function guardLease(lease: RefreshLease, calls: StoreCalls): GuardedLease {
  const budgetMs = calls.budgets.write;
  return {
    claim: (key, options) =>
      calls.run("reads", "lease acquire", () => lease.acquire(key, options), { budgetMs }),
    acquire: (key, options) =>
      calls.run("reads", "lease acquire", () => lease.acquire(key, options), {
        budgetMs,
        late({ held }) {
          if (held) void lease.release(key, { owner: options.owner }).catch(() => undefined);
        },
      }),
    renew: (key, options) => calls.run("reads", "lease renew", () => lease.renew(key, options), { budgetMs }),
    release: (key, options) =>
      calls.run("reads", "lease release", () => lease.release(key, options), { budgetMs }),
  };
}

export function guardActivity(store: AccountActivityStore, calls: StoreCalls): AccountActivityStore {
  return {
    name: store.name,
    get: (key) => calls.run("reads", "activity get", () => store.get(key)),
    put: (row, options) => calls.run("writes", "activity put", () => store.put(row, options)),
    delete: (key, options) => calls.run("writes", "activity delete", () => store.delete(key, options)),
    list: (query) =>
      calls.run("reads", "activity list", () => store.list(query), {
        budgetMs: query.homeAccountId === undefined ? LIST_BUDGET_MS : calls.budgets.write,
      }),
  };
}
