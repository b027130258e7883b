import { TokenkeepError } from "../errors.ts";

/** The operations under way, so that closing can wait for them. */
export interface Operations {
  /** @throws `ERR_CLOSED` once {@link settled} has been called */
  run<R>(operation: () => Promise<R>): Promise<R>;
  /** False once {@link settled} has been called. */
  isOpen(): boolean;
  /** Lets nothing new in, and resolves when what was under way has ended. */
  settled(): Promise<void>;
}

export function createOperations(): Operations {
  const running = new Set<Promise<unknown>>();
  let closing = false;
  return {
    async run(operation) {
      if (closing) throw closedError();
      const outcome = operation();
      running.add(outcome);
      try {
        return await outcome;
      } finally {
        running.delete(outcome);
      }
    },
    isOpen: () => !closing,
    async settled() {
      closing = true;
      await Promise.allSettled(running);
    },
  };
}

export function closedError(): TokenkeepError {
  return new TokenkeepError("ERR_CLOSED", "the token cache has been closed");
}
