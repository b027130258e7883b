/** Which results may still be kept: a removal that comes in while a load or a write is under way spoils it. */

/** Handed to every load and write. */
export interface FillToken {
  spoiled: boolean;
}

export interface Fills {
  /** Runs `work` with a token of its own, for as long as it lasts. */
  withToken<R>(key: string, work: (token: FillToken) => Promise<R>): Promise<R>;
  /** Spoils everything under way for a key, but what `except` belongs to. */
  spoil(key: string, except?: FillToken): void;
  /** Keys with work under way. */
  readonly size: number;
}

export function createFills(): Fills {
  const inFlight = new Map<string, Set<FillToken>>();
  return {
    get size() {
      return inFlight.size;
    },
    async withToken(key, work) {
      const token: FillToken = { spoiled: false };
      const tokens = inFlight.get(key) ?? new Set<FillToken>();
      inFlight.set(key, tokens.add(token));
      try {
        return await work(token);
      } finally {
        tokens.delete(token);
        if (tokens.size === 0) inFlight.delete(key);
      }
    },
    spoil(key, except) {
      for (const token of inFlight.get(key) ?? []) if (token !== except) token.spoiled = true;
    },
  };
}
