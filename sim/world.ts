/** Everything one run consists of, put together. */
import type { TokenCacheOptions } from "../src/options.ts";
import type { Checker } from "./check/checker.ts";
import type { Faults } from "./faults.ts";
import type { History } from "./history.ts";
import type { Keeper } from "./keys.ts";
import type { Ledger } from "./ledger.ts";
import type { Names } from "./names.ts";
import type { Operations } from "./operations.ts";
import type { Prng } from "./prng.ts";
import type { Machine, Process } from "./process.ts";
import type { Profile } from "./profile.ts";
import type { Provider } from "./provider.ts";
import type { Scheduler } from "./scheduler.ts";
import type { Secrets } from "./secrets.ts";
import type { SimulatedStore } from "./store.ts";
import type { Tamperer } from "./tamper.ts";
import type { Weather } from "./weather.ts";

export interface World {
  readonly profile: Profile;
  readonly prng: {
    /** What is asked for, and when. */
    readonly workload: Prng;
    /** What befalls the run as a whole. */
    readonly weather: Prng;
    /** How long calls take, and what befalls them. */
    readonly network: Prng;
    /** Keys, versions, tokens. */
    readonly bytes: Prng;
    /** Long-running processes. */
    readonly jobs: Prng;
    /** When secrets are replaced. */
    readonly secrets: Prng;
    /** Rotations, and who tampers with records. */
    readonly keys: Prng;
  };
  readonly scheduler: Scheduler;
  readonly history: History;
  readonly faults: Faults;
  readonly weather: Weather;
  readonly keeper: Keeper;
  readonly names: Names;
  readonly tamperer: Tamperer;
  readonly secrets: Secrets;
  readonly store: SimulatedStore;
  readonly provider: Provider;
  readonly ledger: Ledger;
  readonly operations: Operations;
  readonly checker: Checker;
  readonly machines: readonly Machine[];
  /** Options that follow from the profile. */
  readonly cacheOptions: Partial<TokenCacheOptions>;
  /** Those that live now. */
  processes(): readonly Process[];
}
