/** Runs work now; what it throws is a rejection like any other. */
export function attempt<R>(work: () => R | Promise<R>): Promise<R> {
  return new Promise((resolve) => {
    resolve(work());
  });
}
