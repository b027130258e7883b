/** A store of tokenkeep's whose reads and writes fail when a test says so. */
import { memoryStore, type MemoryStore } from "../../src/adapters/memory.ts";

export interface FaultyStore extends MemoryStore {
  /** While set, reads fail with it. */
  getError: Error | undefined;
  /** While set, writes fail with it. */
  putError: Error | undefined;
  /** Puts bytes in place of whatever is there, as a stray program would. */
  overwrite(key: string, bytes: Uint8Array): Promise<void>;
  /** The only key that begins so. */
  keyOf(prefix: string): Promise<string>;
}

export function faultyStore(): FaultyStore {
  const store = memoryStore();
  const faulty: FaultyStore = {
    ...store,
    getError: undefined,
    putError: undefined,
    async get(key, options) {
      if (faulty.getError) throw faulty.getError;
      return store.get(key, options);
    },
    async put(key, bytes, options) {
      if (faulty.putError) throw faulty.putError;
      return store.put(key, bytes, options);
    },
    async overwrite(key, bytes) {
      const present = await store.get(key);
      const ifVersion = typeof present === "object" ? present.version : null;
      await store.put(key, bytes, { version: `stray-${bytes.length}`, ifVersion, ttlMs: 3_600_000 });
    },
    async keyOf(prefix) {
      const { keys } = await store.admin.keys({ prefix, limit: 2 });
      if (keys.length !== 1) throw new Error(`${keys.length} keys begin with ${prefix}`);
      return keys[0]!;
    },
  };
  return faulty;
}
