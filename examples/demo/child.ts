/** What a process of the demonstration owes its parent: to say that it is ready, and to end when told to. */

/** To the parent, if there is one that listens. */
export function tellParent(message: object): void {
  if (process.connected) process.send?.(message);
}

/** Runs `work` once and ends the process: on Ctrl+C, when told to, and when the parent is gone. */
export function onStop(work: () => Promise<void>): void {
  let stopping = false;
  const stop = (): void => {
    if (stopping) return;
    stopping = true;
    work().then(
      () => process.exit(0),
      (error: unknown) => {
        console.error(`did not stop cleanly: ${(error as Error).message}`);
        process.exit(1);
      },
    );
  };
  for (const signal of ["SIGINT", "SIGTERM"] as const) process.on(signal, stop);
  process.on("disconnect", stop);
}

/** Starts the process's work; if that fails, says why in one line and ends it. */
export async function startOrExplain(work: () => Promise<void>): Promise<void> {
  try {
    await work();
  } catch (error) {
    console.error(`cannot start: ${(error as Error).message}`);
    process.exit(1);
  }
}
