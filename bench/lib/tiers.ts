/** `tiers/` by itself: bytes in, bytes out. */
import { systemRuntime } from "../../src/runtime.ts";
import type { Store } from "../../src/store/store.ts";
import { createStoreCalls } from "../../src/tiers/store-calls.ts";
import type { Tiers, TiersOptions } from "../../src/tiers/tiers.ts";
import { createTwoTier } from "../../src/tiers/two-tier.ts";

/** As `createTokenCache` makes it by default, with budgets, breaker and coherence, but for the codec. */
export function bytesTiers(
  store: Store,
  options: Pick<TiersOptions<Uint8Array>, "l1MaxBytes">,
): Tiers<Uint8Array> {
  return createTwoTier<Uint8Array>({
    store,
    calls: createStoreCalls({
      name: store.name,
      runtime: systemRuntime,
      budgets: { read: 1_000, write: 2_000 },
      breaker: { afterFailures: 3, pauseMs: 500 },
      onFailure: () => false,
    }),
    codec: { encode: (_key, value) => value, decode: (_key, bytes) => bytes },
    runtime: systemRuntime,
    coherenceBoundMs: 5_000,
    maxStaleMs: 3_600_000,
    ...options,
  });
}
