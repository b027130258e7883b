/** A link to a store that fails, loses answers, hangs or waits at a gate, exactly when a test says so. */
import type { Backplane } from "../../src/store/backplane.ts";
import type { RefreshLease } from "../../src/store/refresh-lease.ts";
import type { Store } from "../../src/store/store.ts";

export type StoreOperation = "get" | "put" | "touch" | "delete" | "publish" | "changeCounter" | "lease";

export interface StoreCall {
  readonly operation: StoreOperation;
  readonly key: string;
}

/** Where one call waits. */
export interface Gate {
  /** Resolves when a call has come to the gate. */
  readonly arrived: Promise<void>;
  /** Lets it go on. */
  open(): void;
}

export interface FaultPlan {
  /** How many calls; default 1. `Infinity`: until {@link ChaosStore.heal}. */
  readonly times?: number;
  /** Only calls whose key contains this. */
  readonly key?: string;
  readonly error?: Error;
}

/** One process's link to a store that others may share. */
export interface ChaosStore extends Store {
  readonly calls: readonly StoreCall[];
  count(operation?: StoreOperation): number;
  forgetCalls(): void;
  /** The next calls fail, and nothing happens in the store. */
  fail(operation: StoreOperation | "all", plan?: FaultPlan): void;
  /** The next calls take effect, but their answer is an error. */
  loseAnswer(operation: StoreOperation, plan?: FaultPlan): void;
  /** The next call waits, before anything has happened in the store. */
  holdBefore(operation: StoreOperation, plan?: Pick<FaultPlan, "key">): Gate;
  /** The next call waits with its answer: it has taken effect. */
  holdAfter(operation: StoreOperation, plan?: Pick<FaultPlan, "key">): Gate;
  /** Runs in the store's place of one call's moment: right before it takes effect. */
  interleave(operation: StoreOperation, work: () => Promise<unknown>, plan?: Pick<FaultPlan, "key">): void;
  /** Messages no longer reach this process; the counter still does. */
  deafen(): void;
  /** Ends every fault. Gates stay. */
  heal(): void;
}

interface Rule {
  readonly operation: StoreOperation | "all";
  readonly key: string;
  readonly kind: "fail" | "lose" | "before" | "after";
  readonly act: () => Promise<void>;
  left: number;
}

export interface ChaosOptions {
  /** False: the store has no backplane at all. */
  readonly backplane?: boolean;
}

export function chaosStore(inner: Store, { backplane = true }: ChaosOptions = {}): ChaosStore {
  const calls: StoreCall[] = [];
  let rules: Rule[] = [];
  let deaf = false;

  function take(operation: StoreOperation, key: string, ...kinds: Rule["kind"][]): Rule | undefined {
    const rule = rules.find(
      (candidate) =>
        kinds.includes(candidate.kind) &&
        (candidate.operation === operation || candidate.operation === "all") &&
        key.includes(candidate.key),
    );
    if (rule && (rule.left -= 1) <= 0) rules = rules.filter((other) => other !== rule);
    return rule;
  }

  async function through<R>(operation: StoreOperation, key: string, work: () => Promise<R>): Promise<R> {
    calls.push({ operation, key });
    await take(operation, key, "before")?.act();
    await take(operation, key, "fail")?.act();
    const result = await work();
    await take(operation, key, "lose", "after")?.act();
    return result;
  }

  function addFault(kind: "fail" | "lose", operation: Rule["operation"], plan: FaultPlan = {}): void {
    const error = plan.error ?? new Error("the link to the store is down");
    const act = (): Promise<void> => Promise.reject(error);
    rules.push({ operation, key: plan.key ?? "", kind, act, left: plan.times ?? 1 });
  }

  function addGate(kind: "before" | "after", operation: StoreOperation, key = ""): Gate {
    const arrived = Promise.withResolvers<void>();
    const opened = Promise.withResolvers<void>();
    const act = (): Promise<void> => {
      arrived.resolve();
      return opened.promise;
    };
    rules.push({ operation, key, kind, act, left: 1 });
    return { arrived: arrived.promise, open: () => opened.resolve() };
  }

  const wrapped: Backplane | undefined = inner.backplane && {
    changeCounter: () => through("changeCounter", "", () => inner.backplane!.changeCounter()),
    publish: (message) => through("publish", message.key, () => inner.backplane!.publish(message)),
    subscribe: (listener) =>
      inner.backplane!.subscribe((message) => {
        if (!deaf) listener(message);
      }),
  };

  const wrappedLease = (lease: RefreshLease): RefreshLease => ({
    acquire: (key, options) => through("lease", key, () => lease.acquire(key, options)),
    renew: (key, options) => through("lease", key, () => lease.renew(key, options)),
    release: (key, options) => through("lease", key, () => lease.release(key, options)),
  });

  return {
    name: inner.name,
    get: (key, options) => through("get", key, () => inner.get(key, options)),
    put: (key, bytes, options) => through("put", key, () => inner.put(key, bytes, options)),
    touch: (key, options) => through("touch", key, () => inner.touch(key, options)),
    delete: (key, options) => through("delete", key, () => inner.delete(key, options)),
    ...(inner.lease && { lease: wrappedLease(inner.lease) }),
    ...(inner.replicated && { replicated: (key: string) => Promise.resolve(inner.replicated?.(key)) }),
    ...(inner.activity && { activity: inner.activity }),
    ...(backplane && wrapped && { backplane: wrapped }),
    calls,
    count: (operation) =>
      operation ? calls.filter((call) => call.operation === operation).length : calls.length,
    forgetCalls: () => void calls.splice(0),
    fail: (operation, plan) => addFault("fail", operation, plan),
    loseAnswer: (operation, plan) => addFault("lose", operation, plan),
    holdBefore: (operation, plan) => addGate("before", operation, plan?.key),
    holdAfter: (operation, plan) => addGate("after", operation, plan?.key),
    interleave(operation, work, plan) {
      const act = async (): Promise<void> => void (await work());
      rules.push({ operation, key: plan?.key ?? "", kind: "before", act, left: 1 });
    },
    deafen() {
      deaf = true;
    },
    heal() {
      rules = rules.filter((rule) => rule.kind === "before" || rule.kind === "after");
    },
  };
}
