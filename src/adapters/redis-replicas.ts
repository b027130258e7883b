/** Whether a replica has what was written: Redis acknowledges before it does. */
import { checkTextKey } from "./shared/arguments.ts";
import { SILENT_MS, type RedisWaiter } from "./redis-client.ts";
import type { RedisConnection } from "./redis-connection.ts";
import { NUDGE } from "./redis-scripts.ts";
import type { BlobStore } from "../store/blob-store.ts";

/**
 * `WAIT` speaks of what was written on its own connection, and a replica takes writes in one order: so a small
 * write follows the one in question, on a connection that nobody else is held up on.
 */
export function redisReplicas(
  { call, runtime }: RedisConnection,
  openWaiter: () => RedisWaiter,
  waitMs: number,
): Required<Pick<BlobStore, "replicated">> & { close(): void } {
  let waiter: RedisWaiter | undefined;
  let unansweredSince: number | undefined;

  /** Another one in the place of one that is silent for longer than waiting takes. */
  function sound(): RedisWaiter {
    const nowMs = runtime.monotonicNow();
    if (unansweredSince !== undefined && nowMs - unansweredSince > waitMs + SILENT_MS) {
      waiter?.close();
      waiter = undefined;
      unansweredSince = undefined;
    }
    unansweredSince ??= nowMs;
    return (waiter ??= openWaiter());
  }

  async function ask(key: string): Promise<boolean | undefined> {
    const asked = sound();
    try {
      await asked.started();
      const replicas = await asked.send(key, ["EVAL", NUDGE.text, "1", key]);
      if (replicas === 0) return undefined;
      return Number(await asked.wait(key, waitMs)) > 0;
    } finally {
      if (asked === waiter) unansweredSince = undefined;
    }
  }

  return {
    replicated: (key) =>
      call("replicated", async () => {
        checkTextKey("key", key);
        return waitMs === 0 ? undefined : ask(key);
      }),
    close: () => waiter?.close(),
  };
}
