import type { memoryStore } from "../../../src/adapters/memory.ts";

export type MemoryStore = ReturnType<typeof memoryStore>;

/** What to replace in a store that keeps every promise, so that it breaks one. */
export type Break = (store: MemoryStore) => Partial<MemoryStore>;

/** What is broken, how, and part of the one title that must go red for it. */
export type Fault = readonly [fault: string, breakIt: Break, red: string];
