/** What the children have in common: they run tasks of silent calls, and say how each call ended. */
import { codeOf } from "../setting.ts";
import { eventLoopTurns } from "../vendor.ts";
import {
  SETTINGS_VARIABLE,
  type ChildSettings,
  type FromChild,
  type Task,
  type ToChild,
} from "./protocol.ts";

/** Enough turns of the event loop for a call that asks the provider by itself to have sent its request. */
const ON_THEIR_WAY = 50;

export function settings(): ChildSettings {
  return JSON.parse(process.env[SETTINGS_VARIABLE] ?? "") as ChildSettings;
}

export function tell(message: FromChild): void {
  process.send?.(message);
}

/** @param stop is awaited when the parent closes the channel */
export function serveTasks(
  silent: (scopes: string[]) => Promise<unknown>,
  stop?: () => Promise<unknown>,
): void {
  process.on("message", (message: ToChild) => {
    if (message.type === "run") void run(message.task);
  });
  process.on("disconnect", () => void stop?.());
  tell({ type: "ready" });

  async function run(task: Task): Promise<void> {
    const outcomes: Record<string, number> = {};
    const call = async (scopes: readonly string[]): Promise<void> => {
      const name = await silent([...scopes]).then(() => "ok", codeOf);
      outcomes[name] = (outcomes[name] ?? 0) + 1;
    };
    if (task.how === "herd") {
      const calls = task.scopes.map(call);
      await eventLoopTurns(ON_THEIR_WAY);
      tell({ type: "started" });
      await Promise.all(calls);
    } else for (const scopes of task.scopes) await call(scopes);
    tell({ type: "done", outcomes });
  }
}
