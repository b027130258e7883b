/** The change counter as a sequence, and messages by LISTEN and NOTIFY. */
import { createListeners } from "./shared/listeners.ts";
import { statement, type Connection } from "./postgres-connection.ts";
import type { PgClient, PgPool } from "./postgres-pool.ts";
import type { Runtime, Timer } from "../runtime.ts";
import type { Backplane, BackplaneMessage } from "../store/backplane.ts";

/** NOTIFY takes less than 8,000 bytes; a longer message is left to the counter. */
const MAX_PAYLOAD_BYTES = 7_900;

const FIRST_RETRY_MS = 100;
const LONGEST_RETRY_MS = 5_000;

/**
 * A number of a sequence is never given twice and waits for no transaction; it is raised by a statement of its
 * own after the write, so nobody can have seen it who could not see the write. The server's start is part of
 * the counter: after a restart or a failover, when a sequence may have fallen back, everybody looks again.
 */
function statements({ changes, channel }: Connection["names"]) {
  return {
    read: statement(`SELECT concat_ws('.', last_value, is_called::int,
extract(epoch FROM pg_postmaster_start_time())) AS counter FROM ${changes}`),
    raise: statement(`SELECT nextval('${changes}')::text`),
    raiseAndTell: statement(`SELECT nextval('${changes}')::text, pg_notify('${channel}', $1)`),
  };
}

export function postgresBackplane(
  pool: PgPool,
  connection: Connection,
  runtime: Runtime,
  messages: boolean,
): { readonly backplane: Backplane; readonly closeListeners: () => void } {
  const { run, names, checkOpen } = connection;
  const sql = statements(names);
  const subscriber = messages ? createSubscriber(pool, names.channel, runtime) : undefined;
  // Without messages at least the caches that share this object are told.
  const local = createListeners();
  const backplane: Backplane = {
    async changeCounter() {
      return (await run("change counter", sql.read, [])).rows[0]?.["counter"] as string;
    },
    async publish({ key, version }) {
      const payload = JSON.stringify({ key, version });
      const isSent = messages && Buffer.byteLength(payload) <= MAX_PAYLOAD_BYTES;
      await (isSent ? run("publish", sql.raiseAndTell, [payload]) : run("publish", sql.raise, []));
      if (!messages) local.tell({ key, version });
    },
    subscribe(listener) {
      checkOpen();
      return (subscriber?.subscribe ?? local.add)(listener);
    },
  };
  return {
    backplane,
    closeListeners() {
      subscriber?.close();
      local.clear();
    },
  };
}

interface Subscriber {
  subscribe(listener: (message: BackplaneMessage) => void): () => void;
  close(): void;
}

/** Keeps one connection of the pool for as long as anybody listens, and takes another when it is lost. */
function createSubscriber(pool: PgPool, channel: string, runtime: Runtime): Subscriber {
  const listeners = createListeners();
  let count = 0;
  let current: { readonly end: () => void } | undefined;
  let timer: Timer;
  let retryMs = FIRST_RETRY_MS;

  function start(): void {
    let isOver = false;
    let client: PgClient | undefined;
    const end = (): void => {
      if (isOver) return;
      isOver = true;
      client?.release(true);
    };
    const lost = (): void => {
      if (isOver) return;
      end();
      timer = runtime.setTimer(start, retryMs * (0.5 + runtime.jitter()));
      retryMs = Math.min(retryMs * 2, LONGEST_RETRY_MS);
    };
    current = { end };
    pool
      .connect()
      .then(async (connected) => {
        if (isOver) return connected.release();
        client = connected;
        // Stays for good: a connection that breaks twice must not end the process.
        client.on("error", lost);
        client.on("end", lost);
        client.on("notification", ({ payload }) => tell(payload));
        // What is missed meanwhile is found by the counter.
        await client.query({ text: `LISTEN ${channel}` });
        client.unref?.();
        retryMs = FIRST_RETRY_MS;
      })
      .catch(lost);
  }

  function tell(payload: string | undefined): void {
    const message = parseMessage(payload ?? "");
    if (message !== undefined && count > 0) listeners.tell(message);
  }

  function stop(): void {
    current?.end();
    current = undefined;
    runtime.clearTimer(timer);
  }

  return {
    subscribe(listener) {
      const end = listeners.add(listener);
      count += 1;
      if (count === 1) start();
      let ended = false;
      return () => {
        if (ended) return;
        ended = true;
        end();
        count -= 1;
        if (count === 0) stop();
      };
    },
    close() {
      listeners.clear();
      if (count > 0) stop();
      count = 0;
    },
  };
}

function parseMessage(payload: string): BackplaneMessage | undefined {
  try {
    const { key, version } = JSON.parse(payload) as Partial<BackplaneMessage>;
    return typeof key === "string" && typeof version === "string" ? { key, version } : undefined;
  } catch {
    return undefined;
  }
}
