import type { Entry } from "../lib/benchmark.ts";

/** Every benchmark, in the order of a full run. */
export const BENCHES: Readonly<Record<string, Entry>> = {
  hit: { load: async () => (await import("./hit.ts")).hit },
  l1: { load: async () => (await import("./l1.ts")).l1 },
};
