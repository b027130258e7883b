import type { BlobAdmin } from "../store/blob-admin.ts";
import type { StoreCalls } from "./store-calls.ts";

/** Small enough to hold no lock for long. */
const BATCH = 500;
const BUDGET_MS = 15_000;

/** Deletes expired values batch by batch. @returns how many. @throws retryable `TokenkeepError` */
export async function purgeExpired(admin: BlobAdmin, calls: StoreCalls): Promise<number> {
  const purge = (): Promise<number> => admin.purgeExpired({ limit: BATCH });
  let purged = 0;
  for (;;) {
    const batch = await calls.run("writes", "purge", purge, { budgetMs: BUDGET_MS });
    purged += batch;
    if (batch < BATCH) return purged;
  }
}
