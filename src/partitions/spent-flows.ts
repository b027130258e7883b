/** One use of each sign-in flow, on all nodes: a mark in the store, put before anything is redeemed. */
import { randomId } from "../runtime.ts";
import { storeKey, type Core } from "./core.ts";
import type { Partition } from "./partition.ts";

export interface SpentFlows {
  /**
   * Leaves a mark that is kept for `ttlMs`.
   * @returns false if the flow was spent already. @throws retryable; the flow can then be tried again here
   */
  spend(flow: Partition, ttlMs: number): Promise<boolean>;
}

/** Marks whose fate is not known; each is a try that its user was told to repeat, within minutes. */
const MAX_UNCERTAIN = 1_000;

export function createSpentFlows(core: Core): SpentFlows {
  /** Whose mark it is, if it has landed, by key: nobody has redeemed anything for it. */
  const uncertain = new Map<string, string>();

  function remember(key: string, by: string): void {
    uncertain.delete(key);
    uncertain.set(key, by);
    const [oldest] = uncertain.keys();
    if (uncertain.size > MAX_UNCERTAIN && oldest !== undefined) uncertain.delete(oldest);
  }

  return {
    async spend(flow, ttlMs) {
      const key = storeKey(core, flow);
      const earlier = uncertain.get(key);
      const by = earlier ?? randomId(core.runtime);
      // Taken out: of two that come at once, one gets it.
      uncertain.delete(key);
      try {
        const result = await core.tiers.put(key, { type: "spent", by }, { ifVersion: null, ttlMs });
        if (result.stored) return true;
        const there = result.current?.value;
        return earlier !== undefined && there?.type === "spent" && there.by === earlier;
      } catch (error) {
        remember(key, by);
        throw error;
      }
    },
  };
}
