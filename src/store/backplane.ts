/** Tells the other processes' L1 what changed. Types only. */

/** Says that a key was removed or strengthened; holds no value and no personal data. */
export interface BackplaneMessage {
  /** The store key as the store knows it. */
  readonly key: string;
  /** The version that is current now. */
  readonly version: string;
}

/**
 * Coherence between the L1s of several processes.
 *
 * The change counter is the truth, messages only make it faster: a counter that has not moved proves that
 * nothing was removed or strengthened since it was last read.
 */
export interface Backplane {
  /** Opaque; differs from the last one read if anything may have been removed or strengthened since. */
  changeCounter(): Promise<string>;
  /** Raises the counter and tells whoever listens. Called after the write it speaks of. */
  publish(message: BackplaneMessage): Promise<void>;
  /** Calls `listener` for messages from now on. @returns a function that ends the subscription. */
  subscribe(listener: (message: BackplaneMessage) => void): () => void;
}
