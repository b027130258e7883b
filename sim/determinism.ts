/**
 * Takes the real clock and real randomness away from everything that is imported afterwards, MSAL above all.
 * Our own code takes a `Runtime`; MSAL reads `Date` and `randomUUID`, so these two are replaced.
 */
import crypto from "node:crypto";
import { syncBuiltinESMExports } from "node:module";

interface Sources {
  nowMs(): number;
  uuid(): string;
  random(): number;
}

/** What the globals answer; set for each run. */
export interface Determinism {
  use(sources: Sources): void;
}

export function installDeterminism(): Determinism {
  let sources: Sources | undefined;
  function source(): Sources {
    if (!sources) throw new Error("somebody asked for the time before the simulation had begun");
    return sources;
  }

  const RealDate = Date;
  class SimulatedDate extends RealDate {
    constructor(...values: readonly unknown[]) {
      // oxlint-disable-next-line typescript/no-explicit-any -- Date's overloads cannot be passed on otherwise
      super(...((values.length === 0 ? [source().nowMs()] : values) as [any]));
    }
    static override now(): number {
      return source().nowMs();
    }
  }
  globalThis.Date = SimulatedDate as DateConstructor;
  crypto.randomUUID = () => source().uuid() as `${string}-${string}-${string}-${string}-${string}`;
  Math.random = () => source().random();
  syncBuiltinESMExports();
  return {
    use(next) {
      sources = next;
    },
  };
}
