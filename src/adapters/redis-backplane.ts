/** The change counter, and messages by publish and subscribe. */
import { randomId } from "../runtime.ts";
import { createListeners } from "./shared/listeners.ts";
import type { RedisReply, RedisSubscriber } from "./redis-client.ts";
import { isFull, type RedisConnection } from "./redis-connection.ts";
import { PUBLISH, PUBLISH_WHEN_FULL } from "./redis-scripts.ts";
import type { Backplane, BackplaneMessage } from "../store/backplane.ts";

export interface RedisBackplane {
  readonly backplane: Backplane;
  close(): void;
}

/** `INFO`'s line that says which life of a replicated history a node is in: it changes when a replica takes over. */
const HISTORY = /^master_replid:(\w+)/m;

/**
 * The counter is a random value that each announcement replaces, together with the name of the server's history:
 * a failover that loses the last announcements loses the counter's value too, and is seen all the same.
 */
export function redisBackplane(
  connection: RedisConnection,
  prefix: string,
  openSubscriber: () => RedisSubscriber,
): RedisBackplane {
  const { call, run, runtime } = connection;
  const listeners = createListeners();
  const key = `${prefix}:changes`;
  let subscriber: RedisSubscriber | undefined;
  let isClosed = false;
  let isWanted = false;

  function listen(): void {
    if (subscriber || isClosed) return;
    subscriber = openSubscriber();
    subscriber.subscribe(key, hear).catch(() => {
      // Messages only make it faster. The client reconnects by itself; if it gave up, whoever asks next tries anew.
      subscriber?.close();
      subscriber = undefined;
    });
  }

  function hear(text: string): void {
    const message = messageFrom(text);
    if (message) listeners.tell(message);
  }

  return {
    backplane: {
      changeCounter: () =>
        call("change counter", async (driver) => {
          if (isWanted) listen();
          const [value, history] = await Promise.all([
            driver.send(key, ["GET", key]),
            driver.sendToMasters(["INFO", "replication"]).then(historyOf, () => ""),
          ]);
          return `${textOf(value) ?? "none"} ${history}`;
        }),
      publish: (message) =>
        call("publish", async (driver) => {
          const args = [randomId(runtime), key, JSON.stringify([message.key, message.version])];
          try {
            await run(driver, PUBLISH, [key], args);
          } catch (error) {
            if (!isFull(error)) throw error;
            // The others' copies of what was removed are trusted for as long as the counter stays.
            await run(driver, PUBLISH_WHEN_FULL, [key], args).catch(() => Promise.reject(error as Error));
          }
        }),
      subscribe(listener) {
        isWanted = true;
        listen();
        return listeners.add(listener);
      },
    },
    close() {
      isClosed = true;
      listeners.clear();
      subscriber?.close();
    },
  };
}

/** All masters' histories: a record may lie on another node than the counter. */
function historyOf(replies: readonly RedisReply[]): string {
  return replies
    .map((reply) => HISTORY.exec(textOf(reply) ?? "")?.[1] ?? "")
    .toSorted()
    .join(" ");
}

function textOf(reply: RedisReply): string | undefined {
  return Buffer.isBuffer(reply) ? reply.toString("utf8") : typeof reply === "string" ? reply : undefined;
}

/** Anybody who may publish can say anything; what is no message is no message. */
function messageFrom(text: string): BackplaneMessage | undefined {
  try {
    const [key, version] = JSON.parse(text) as unknown[];
    return typeof key === "string" && typeof version === "string" ? { key, version } : undefined;
  } catch {
    return undefined;
  }
}
