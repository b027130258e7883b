/** Whether a replica has what was written: Redis acknowledges before it does. */
import { checkTextKey } from "./shared/arguments.ts";
import type { RedisWaiter } from "./redis-client.ts";
import type { RedisConnection } from "./redis-connection.ts";
import { NUDGE } from "./redis-scripts.ts";
import type { BlobStore } from "../store/blob-store.ts";

/**
 * `WAIT` speaks of what was written on its own connection, and a replica takes writes in one order: so a small
 * write follows the one in question, on a connection that nobody else is held up on.
 */
export function redisReplicas(
  { call }: RedisConnection,
  openWaiter: () => RedisWaiter,
  waitMs: number,
): Required<Pick<BlobStore, "replicated">> & { close(): void } {
  let waiter: RedisWaiter | undefined;
  return {
    replicated: (key) =>
      call("replicated", async () => {
        checkTextKey("key", key);
        if (waitMs === 0) return undefined;
        waiter ??= openWaiter();
        await waiter.started();
        const replicas = await waiter.send(key, ["EVAL", NUDGE.text, "1", key]);
        if (replicas === 0) return undefined;
        return Number(await waiter.wait(key, waitMs)) > 0;
      }),
    close: () => waiter?.close(),
  };
}
