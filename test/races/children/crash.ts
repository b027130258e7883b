/** A store whose process is killed at one exact point. */
import type { CrashPoint } from "./protocol.ts";
import type { SharedStore } from "./shared-store.ts";

export function crashingStore(store: SharedStore, point: CrashPoint | undefined): SharedStore {
  if (!point) return store;

  function guarded<A extends unknown[], R>(
    operation: CrashPoint["operation"],
    work: (...args: A) => Promise<R>,
  ): (...args: A) => Promise<R> {
    if (operation !== point?.operation) return work;
    return async (...args) => {
      if (point.when === "before") return die();
      await work(...args);
      return die();
    };
  }

  const { lease, activity } = store;
  return {
    ...store,
    put: guarded("put", store.put),
    lease: {
      ...lease,
      acquire: guarded("lease acquire", lease.acquire),
      release: guarded("lease release", lease.release),
    },
    activity: { ...activity, put: guarded("activity put", activity.put) },
  };
}

/** Nothing runs after it: no `finally`, no handler, no flush. */
function die(): Promise<never> {
  process.kill(process.pid, "SIGKILL");
  return new Promise(() => undefined);
}
