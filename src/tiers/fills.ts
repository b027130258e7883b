/** Which results may still be kept: a removal that comes in while a load or a write is under way spoils it. */

/** Handed to every load and write. */
export interface FillToken {
  spoiled: boolean;
}

export interface Fills {
  /** Work under `key` begins; {@link end} must follow. */
  begin(key: string): FillToken;
  end(key: string, token: FillToken): void;
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
    begin(key) {
      const token: FillToken = { spoiled: false };
      const tokens = inFlight.get(key);
      if (tokens) tokens.add(token);
      else inFlight.set(key, new Set([token]));
      return token;
    },
    end(key, token) {
      const tokens = inFlight.get(key);
      tokens?.delete(token);
      if (tokens?.size === 0) inFlight.delete(key);
    },
    spoil(key, except) {
      for (const token of inFlight.get(key) ?? []) if (token !== except) token.spoiled = true;
    },
  };
}
