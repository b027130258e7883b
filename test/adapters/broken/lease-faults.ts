import type { LeaseResult, RefreshLease } from "../../../src/store/refresh-lease.ts";
import type { Fault, MemoryStore } from "./fault.ts";

export const LEASE_FAULTS: readonly Fault[] = [
  ["grants a lease to everybody", (store) => change(store, { acquire: grantsAll }), "exactly one gets"],
  [
    "grants a lease to everybody",
    (store) => change(store, { acquire: grantsAll }),
    "a second client does not get",
  ],
  ["grants what it read to be free", grantsLate, "exactly one gets"],
  ["tells the time since instead of the time left", tellsWrong(growing), "how long the holder has it"],
  ["tells that no time is left", tellsWrong(() => 0), "how long the holder has it"],
  ["tells the time left only sometimes", tellsWrong(once()), "how long the holder has it"],
  ["ends leases early", ttl((ms) => ms / 4), "lasts for its ttlMs"],
  ["never ends a lease", ttl(() => 3_600_000), "whose ttlMs has passed"],
  ["extends the lease for whoever asks", extendsByAsking, "whose ttlMs has passed"],
  ["renews nothing", (store) => change(store, { renew: async () => true }), "renew extends"],
  [
    "adds to the time that is left",
    (store) => change(store, { renew: (k, o) => store.lease.renew(k, { ...o, ttlMs: 2 * o.ttlMs }) }),
    "renew extends the caller's lease to ttlMs from now",
  ],
  ["lets anybody renew", oneOwner(["acquire", "renew"]), "renew by anybody but the owner"],
  ["says that it renewed what is lost", saysRenewed, "renew by anybody but the owner"],
  ["takes an expired lease back by renewing", takesBack, "is false and does not take it back"],
  ["loses a lease to a renewal that failed", dropsOnRenew, "is its new owner's to renew"],
  ["gives nothing back", (store) => change(store, { release: async () => {} }), "given back is free at once"],
  ["lets anybody release", releasesAny, "release by anybody but the owner"],
  ["lets anybody release", releasesAny, "a late release leaves alone"],
  ["fails to release what nobody has", failsToRelease, "does no harm"],
  ["has one lease for all keys", mapKeys(() => "one"), "keys are independent"],
  ["folds the case of keys", mapKeys((key) => key.toLowerCase()), "keys are independent"],
];

function change(store: MemoryStore, changes: Partial<RefreshLease>): Partial<MemoryStore> {
  return { lease: { ...store.lease, ...changes } };
}

async function grantsAll(): Promise<LeaseResult> {
  return { held: true };
}

/** Looks first and takes later, as two commands would. */
function grantsLate(store: MemoryStore): Partial<MemoryStore> {
  const owners = new Set<string>();
  const acquire = async (key: string): Promise<LeaseResult> => {
    const isFree = !owners.has(key);
    await Promise.resolve();
    if (isFree) owners.add(key);
    return isFree ? { held: true } : { held: false };
  };
  return change(store, { acquire });
}

function tellsWrong(say: (told: number) => number | undefined): (store: MemoryStore) => Partial<MemoryStore> {
  return (store) =>
    change(store, {
      async acquire(key, options) {
        const answer = await store.lease.acquire(key, options);
        if (answer.held) return answer;
        const told = say(answer.remainingMs ?? 0);
        return { held: false, ...(told === undefined ? {} : { remainingMs: told }) };
      },
    });
}

/** Right at first, and longer every time. */
function growing(told: number): number {
  return 12_000 - told;
}

function once(): (told: number) => number | undefined {
  let asked = 0;
  return (told) => ((asked += 1) % 2 === 1 ? told : undefined);
}

function ttl(map: (ttlMs: number) => number): (store: MemoryStore) => Partial<MemoryStore> {
  return (store) =>
    change(store, { acquire: (k, o) => store.lease.acquire(k, { ...o, ttlMs: map(o.ttlMs) }) });
}

function extendsByAsking(store: MemoryStore): Partial<MemoryStore> {
  const owners = new Map<string, string>();
  return change(store, {
    async acquire(key, options) {
      const answer = await store.lease.acquire(key, options);
      if (answer.held) owners.set(key, options.owner);
      else await store.lease.renew(key, { ...options, owner: owners.get(key) ?? "" });
      return answer;
    },
  });
}

/** Forgets who asks, in these calls. */
function oneOwner(calls: readonly (keyof RefreshLease)[]): (store: MemoryStore) => Partial<MemoryStore> {
  return ({ lease, ...store }) => {
    const as = (call: keyof RefreshLease, owner: string): string => (calls.includes(call) ? "one" : owner);
    return change(
      { ...store, lease },
      {
        acquire: (k, o) => lease.acquire(k, { ...o, owner: as("acquire", o.owner) }),
        renew: (k, o) => lease.renew(k, { ...o, owner: as("renew", o.owner) }),
      },
    );
  };
}

function saysRenewed(store: MemoryStore): Partial<MemoryStore> {
  return change(store, { renew: async (k, o) => (await store.lease.renew(k, o)) || true });
}

function takesBack(store: MemoryStore): Partial<MemoryStore> {
  return change(store, {
    renew: async (k, o) => (await store.lease.renew(k, o)) || (await store.lease.acquire(k, o)).held,
  });
}

function dropsOnRenew(store: MemoryStore): Partial<MemoryStore> {
  const owners = new Map<string, string>();
  return change(store, {
    async acquire(key, options) {
      const answer = await store.lease.acquire(key, options);
      if (answer.held) owners.set(key, options.owner);
      return answer;
    },
    async renew(key, options) {
      const isOwners = await store.lease.renew(key, options);
      if (!isOwners) await store.lease.release(key, { owner: owners.get(key) ?? "" });
      return isOwners;
    },
  });
}

function releasesAny(store: MemoryStore): Partial<MemoryStore> {
  const owners = new Map<string, string>();
  return change(store, {
    async acquire(key, options) {
      const answer = await store.lease.acquire(key, options);
      if (answer.held) owners.set(key, options.owner);
      return answer;
    },
    release: (key) => store.lease.release(key, { owner: owners.get(key) ?? "" }),
  });
}

function failsToRelease(store: MemoryStore): Partial<MemoryStore> {
  return change(store, {
    async release(key, options) {
      const isThere = await store.lease.renew(key, { ...options, ttlMs: 1_000 });
      if (!isThere) throw new Error("there is no such lease");
      await store.lease.release(key, options);
    },
  });
}

function mapKeys(map: (key: string) => string): (store: MemoryStore) => Partial<MemoryStore> {
  return (store) =>
    change(store, {
      acquire: (k, o) => store.lease.acquire(map(k), o),
      renew: (k, o) => store.lease.renew(map(k), o),
      release: (k, o) => store.lease.release(map(k), o),
    });
}
