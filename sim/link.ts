/** One process's way to the store and to the provider: every call arrives, and is answered, at a later event. */
import type { Store } from "../src/store/store.ts";
import { TokenkeepError } from "../src/errors.ts";
import type { BackplaneMessage } from "../src/store/backplane.ts";
import type { PortKind } from "./faults.ts";
import type { FaultKind } from "./profile.ts";
import type { Process } from "./process.ts";
import { attempt } from "./attempt.ts";
import type { World } from "./world.ts";

/** Sends `work` to the other end. What it returns is answered, unless something goes wrong on the way. */
export type Remote = <R>(kind: PortKind, what: string, work: () => R | Promise<R>) => Promise<R>;

const FAILURES: Readonly<Record<Exclude<PortKind, "provider">, FaultKind>> = {
  read: "read-fails",
  counter: "read-fails",
  write: "write-fails",
  publish: "write-fails",
  activity: "write-fails",
  lease: "lease-fails",
};

export function createRemote(world: World, process: Process): Remote {
  const { scheduler, faults, history, weather } = world;

  return <R>(kind: PortKind, what: string, work: () => R | Promise<R>) =>
    new Promise<R>((resolve, reject) => {
      // A dead process's code may still run to the end of its turn; nothing of it leaves the machine.
      if (!process.alive) return;
      const plan = faults.plan(kind);
      if (plan.crash === "before") return process.crash(`before ${what}`);
      const lagMs = kind === "provider" ? weather.providerLagMs() : 0;
      if (plan.hangsForMs === undefined) scheduler.after(plan.wayThereMs + lagMs, undefined, arrive);
      else hang(plan.hangsForMs);

      /** What comes to life long after its caller has given up must do no harm. */
      function hang(forMs: number): void {
        faults.note("hangs", process.machine.number);
        history.add(`${process.name} ${what}: is never answered`);
        scheduler.after(plan.wayThereMs + forMs, undefined, () => {
          if (!weather.isUnreachable(process.machine.number)) void attempt(work).catch(() => undefined);
        });
      }

      function arrive(): void {
        const down = kind !== "provider" && weather.isUnreachable(process.machine.number);
        if (down) faults.felt("outage", process.machine.number);
        if (plan.fails) faults.note(FAILURES[kind as keyof typeof FAILURES], process.machine.number);
        if (down || plan.fails) {
          history.add(`${process.name} ${what}: fails`);
          return answer(() => reject(new Error("simulated: the store does not answer")));
        }
        void attempt(work).then(
          (value) => landed(() => resolve(value)),
          (error: unknown) => landed(() => reject(error as Error)),
        );
        if (plan.resentAfterMs !== undefined) {
          faults.note("resent-late", process.machine.number);
          scheduler.after(plan.resentAfterMs, undefined, () => {
            history.add(`${process.name} ${what}: arrives once more`);
            void attempt(work).catch(() => undefined);
          });
        }
      }

      function landed(deliver: () => void): void {
        if (plan.crash === "after") process.crash(`after ${what}`);
        if (!plan.answerLost) return answer(deliver);
        faults.note("answer-lost", process.machine.number);
        history.add(`${process.name} ${what}: the answer is lost`);
        answer(() => reject(new Error("simulated: no answer")));
      }

      function answer(deliver: () => void): void {
        scheduler.after(plan.wayBackMs, process, () => {
          if (kind === "provider" || !weather.isUnreachable(process.machine.number)) return deliver();
          faults.felt("outage", process.machine.number);
          reject(new Error("simulated: the store is out of reach"));
        });
      }
    });
}

/** The store as one process sees it. */
export function createStoreLink(world: World, process: Process, remote: Remote): Store {
  const { store, weather, names } = world;
  const { keyOf } = names;
  const who = process.machine.number;

  function refuseIfFull(): void {
    if (!store.full) return;
    world.faults.felt("full", who);
    throw new TokenkeepError("ERR_STORE_FULL", "simulated: the store is full", { retryable: true });
  }

  return {
    name: "simulated",
    get: (name, options) =>
      remote("read", `get ${short(keyOf(name))}`, () => store.get(keyOf(name), options?.unlessVersion)),
    put: (name, bytes, options) => {
      const copy = new Uint8Array(bytes);
      if (!names.learn(name, copy))
        world.checker.broken("names", "a record is written whose label is not its own");
      const key = keyOf(name);
      return remote("write", `put ${short(key)}`, () => {
        refuseIfFull();
        return store.put(key, copy, options, who);
      });
    },
    touch: (name, { ifVersion, ttlMs }) =>
      remote("write", `touch ${short(keyOf(name))}`, () => store.touch(keyOf(name), ifVersion, ttlMs)),
    delete: (name, { ifVersion }) =>
      remote("write", `delete ${short(keyOf(name))}`, () => store.delete(keyOf(name), ifVersion)),
    admin: {
      keys: (options) => remote("read", "keys", () => store.keys(options)),
      purgeExpired: () => Promise.resolve(0),
    },
    backplane: {
      changeCounter: () => remote("counter", "counter", () => store.changeCounter()),
      publish: (message) =>
        remote("publish", `publish ${short(keyOf(message.key))}`, () => {
          store.publish(message);
          for (const other of world.processes()) deliver(other, message);
        }),
      subscribe(listener) {
        process.listeners.add(listener);
        return () => void process.listeners.delete(listener);
      },
    },
    activity: {
      name: "simulated",
      get: (key) => remote("activity", `activity get`, () => store.activity.get(key)),
      put: (row, options) =>
        remote("activity", `activity put ${row.status}`, async () => {
          const outcome = await store.activity.put(row, options);
          if (outcome.stored) world.checker.benched(row);
          return outcome;
        }),
      delete: (key, options) =>
        remote("activity", `activity delete`, () => store.activity.delete(key, options)),
      list: (query) => remote("activity", `activity list`, () => store.activity.list(query)),
    },
    lease: {
      acquire: (key, options) => remote("lease", `lease ${short(key)}`, () => store.acquire(key, options)),
      renew: (key, options) => remote("lease", `renew ${short(key)}`, () => store.renew(key, options)),
      release: (key, { owner }) => remote("lease", `release ${short(key)}`, () => store.release(key, owner)),
    },
  };

  function deliver(other: Process, message: BackplaneMessage): void {
    for (const wayMs of world.faults.message()) {
      world.scheduler.after(wayMs, other, () => {
        const { number } = other.machine;
        if (weather.isDeaf(number) || weather.isUnreachable(number)) return;
        for (const listener of other.listeners) listener(message);
      });
    }
  }
}

/** A key without its namespace and issuer: long, and the same everywhere. */
export function short(key: string): string {
  const [, kind = "", client = "", , ...subject] = key.split(":");
  return [kind, client.slice(-1), subject.join(":").slice(0, 12)].join(":");
}
