import type { BackplaneMessage } from "../../../src/store/backplane.ts";
import type { Fault, MemoryStore } from "./fault.ts";

export const OTHER_FAULTS: readonly Fault[] = [
  ["stops telling at the first listener that throws", stopsTelling, "every listener is told"],
  [
    "counter stands still",
    (store) => ({ backplane: { ...store.backplane, changeCounter: async () => "0" } }),
    "moves the counter",
  ],
  ["counter wraps", wrapsCounter, "differs from every value"],
  ["counter moves by itself", movesByItself, "does not move by being read"],
  ["messages lose the version", losesVersion, "tells whoever listens the key and the version"],
  [
    "subscriptions never end",
    (store) => ({
      backplane: {
        ...store.backplane,
        subscribe: (listener) => (store.backplane.subscribe(listener), () => {}),
      },
    }),
    "told nothing more",
  ],
  [
    "keys ignores the prefix",
    (store) => ({ admin: { ...store.admin, keys: (o) => store.admin.keys({ ...o, prefix: "" }) } }),
    "keys lists the keys that begin with",
  ],
  [
    "keys ignores the cursor's page",
    (store) => ({
      admin: {
        ...store.admin,
        keys: async (o) => ({ keys: (await store.admin.keys({ ...o, limit: 1_000 })).keys }),
      },
    }),
    "page by page",
  ],
  [
    "purges nothing",
    (store) => ({ admin: { ...store.admin, purgeExpired: async () => 0 } }),
    "purgeExpired deletes",
  ],
  [
    "purges without limit",
    (store) => ({
      admin: { ...store.admin, purgeExpired: () => store.admin.purgeExpired({ limit: 1_000 }) },
    }),
    "purgeExpired deletes",
  ],
];

function wrapsCounter({ backplane }: MemoryStore): Partial<MemoryStore> {
  const changeCounter = async () => String(Number(await backplane.changeCounter()) % 8);
  return { backplane: { ...backplane, changeCounter } };
}

function movesByItself({ backplane }: MemoryStore): Partial<MemoryStore> {
  let reads = 0;
  return { backplane: { ...backplane, changeCounter: async () => String((reads += 1)) } };
}

function losesVersion({ backplane }: MemoryStore): Partial<MemoryStore> {
  return { backplane: { ...backplane, publish: ({ key }) => backplane.publish({ key, version: "" }) } };
}

/** Gives up after some messages, because the clause would wait for ever. */
function stopsTelling({ backplane }: MemoryStore): Partial<MemoryStore> {
  const listeners: ((message: BackplaneMessage) => void)[] = [];
  let published = 0;
  const publish = async (message: BackplaneMessage) => {
    if ((published += 1) > 20) throw new Error("nobody hears this");
    await backplane.publish(message);
    try {
      for (const listener of listeners) listener(message);
    } catch {
      // The fault: those after it are not told.
    }
  };
  return {
    backplane: { ...backplane, publish, subscribe: (listener) => (listeners.push(listener), () => {}) },
  };
}
