import type { ChildProcess } from "node:child_process";

/** The next message of a type; rejects if the process ends before. */
export function nextMessage<M extends { readonly type: string }, T extends M["type"]>(
  child: ChildProcess,
  type: T,
): Promise<Extract<M, { type: T }>> {
  return new Promise((resolve, reject) => {
    const onExit = (code: number | null): void =>
      reject(new Error(`the process ended (${code ?? "signal"})`));
    const onMessage = (message: M): void => {
      if (message.type !== type) return;
      child.off("message", onMessage);
      child.off("exit", onExit);
      resolve(message as Extract<M, { type: T }>);
    };
    child.on("message", onMessage);
    child.once("exit", onExit);
  });
}
