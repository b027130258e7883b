/** The listening half of a backplane, for backends that tell only their own process. */
import type { BackplaneMessage } from "../../store/backplane.ts";

/** Who listens, and how many messages they were told so far. */
export interface Listeners {
  /** Messages told so far: the part of a change counter that counts this process. */
  told(): number;
  tell(message: BackplaneMessage): void;
  add(listener: (message: BackplaneMessage) => void): () => void;
  clear(): void;
}

/** An empty set of listeners. The same function may be added twice; each has an end of its own. */
export function createListeners(): Listeners {
  const entries = new Map<symbol, (message: BackplaneMessage) => void>();
  let count = 0;
  return {
    told: () => count,
    tell(message) {
      count += 1;
      const copy = Object.freeze({ key: message.key, version: message.version });
      for (const listener of entries.values()) {
        try {
          listener(copy);
        } catch {
          // The write this speaks of has happened; one listener's fault must not hide it from the others.
        }
      }
    },
    add(listener) {
      const id = Symbol("listener");
      entries.set(id, listener);
      return () => {
        entries.delete(id);
      };
    },
    clear: () => entries.clear(),
  };
}
