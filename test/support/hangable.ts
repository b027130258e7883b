/** A link to a store on which nothing moves until a test lets it: calls wait, and take effect late. */
import type { Store } from "../../src/store/store.ts";

export interface HangableStore extends Store {
  /** From now on every call waits. */
  hang(): void;
  /** From now on every call fails at once. */
  refuse(): void;
  /** Calls are answered again; those that wait take effect now, long after their callers gave up. */
  resume(): void;
  /** How many calls have been made. */
  readonly made: number;
}

type AnyMethod = (...values: unknown[]) => unknown;

export function hangableStore(inner: Store): HangableStore {
  let state: "well" | "hanging" | "refusing" = "well";
  let gate = Promise.withResolvers<void>();
  let made = 0;

  /** The port with every method that returns a promise behind the gate. */
  function behindGate<P extends object>(port: P, skip: readonly string[] = []): P {
    const entries = Object.entries(port).map(([name, value]) => {
      if (typeof value !== "function" || skip.includes(name)) return [name, value];
      const method = value as AnyMethod;
      const guarded = async (...values: unknown[]): Promise<unknown> => {
        made += 1;
        if (state === "refusing") throw new Error("connection refused");
        if (state === "hanging") await gate.promise;
        return method.apply(port, values);
      };
      return [name, guarded];
    });
    return Object.fromEntries(entries) as P;
  }

  const { backplane, activity, lease, admin, ...records } = inner;
  return {
    ...behindGate(records),
    name: inner.name,
    ...(backplane && { backplane: behindGate(backplane, ["subscribe"]) }),
    ...(activity && { activity: { ...behindGate(activity), name: activity.name } }),
    ...(lease && { lease: behindGate(lease) }),
    ...(admin && { admin: behindGate(admin) }),
    get made() {
      return made;
    },
    hang() {
      state = "hanging";
      gate = Promise.withResolvers<void>();
    },
    refuse() {
      state = "refusing";
    },
    resume() {
      state = "well";
      gate.resolve();
    },
  };
}
