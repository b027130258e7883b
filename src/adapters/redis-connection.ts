/** Sends commands and scripts to Redis, and says what went wrong without quoting what was sent. */
import { OptionsError, storeFailure, TokenkeepError } from "../errors.ts";
import type { Runtime, Timer } from "../runtime.ts";
import { SILENT_MS, type RedisArgument, type RedisDriver, type RedisReply } from "./redis-client.ts";
import type { Script } from "./redis-scripts.ts";

export interface RedisConnection {
  readonly runtime: Runtime;
  /** What commands go out on, once the first connection has been made and until this is closed. */
  readonly open: RedisDriver | undefined;
  /** What a failed command's caller gets to see: retryable, naming the operation and nothing that was sent. */
  failure(operation: string, error: unknown): Error;
  /** Runs `work`; whatever fails in it becomes a retryable error that names the operation and nothing else. */
  call<R>(operation: string, work: (driver: RedisDriver) => Promise<R>): Promise<R>;
  /** One script on one key's node; by its hash, with its text where the node does not know it. */
  run(
    driver: RedisDriver,
    script: Script,
    keys: readonly string[],
    args: readonly RedisArgument[],
    signal?: AbortSignal,
  ): Promise<RedisReply>;
  close(): void;
}

/** While the first connection is being made, calls wait for it so long; later they fail at once. */
const FIRST_CONNECTION_MS = 5_000;

export function createRedisConnection(client: RedisDriver, runtime: Runtime): RedisConnection {
  const driver = { ...client, send: watched(client, runtime, () => (hasStarted = false)) };
  const closing = Promise.withResolvers<false>();
  let hasStarted = false;
  let isClosed = false;
  const start = (): Promise<true> =>
    driver.started().then(() => {
      hasStarted = true;
      return true;
    });
  start().catch(() => undefined);

  async function ready(): Promise<void> {
    checkOpen();
    if (hasStarted) return;
    let timer: Timer;
    const timeIsUp = new Promise<false>((resolve) => {
      timer = runtime.setTimer(() => resolve(false), FIRST_CONNECTION_MS, { keepAlive: true });
    });
    try {
      if (await Promise.race([start(), timeIsUp, closing.promise])) return;
    } finally {
      // A script that has its answer is not held up by what is left of the time.
      runtime.clearTimer(timer);
      checkOpen();
    }
    throw new Error("there is no connection yet");
  }

  function checkOpen(): void {
    if (isClosed) throw new TokenkeepError("ERR_CLOSED", "the store has been closed");
  }

  const current = (): RedisDriver | undefined => (hasStarted && !isClosed ? driver : undefined);

  /** What `work` throws is a failure like one that it rejects with. */
  function attempt<R>(work: (driver: RedisDriver) => Promise<R>): Promise<R> {
    try {
      return work(driver);
    } catch (error) {
      return Promise.reject(error as Error);
    }
  }

  function call<R>(operation: string, work: (driver: RedisDriver) => Promise<R>): Promise<R> {
    const outcome = current() ? attempt(work) : ready().then(() => work(driver));
    return outcome.catch((error: unknown) => {
      throw redisFailure(operation, error);
    });
  }

  return {
    runtime,
    get open() {
      return current();
    },
    failure: redisFailure,
    call,
    run(on, { text, sha1 }, keys, args, signal) {
      // The wait for the first connection may have been longer than the caller's patience.
      signal?.throwIfAborted();
      const command = ["EVALSHA", sha1, String(keys.length), ...keys, ...args];
      const [key = ""] = keys;
      return on.send(key, command, signal).catch((error: unknown) => {
        // A server that was restarted or flushed knows no script; nothing has been done then.
        if (!textOf(error).startsWith("NOSCRIPT")) throw error;
        signal?.throwIfAborted();
        return on.send(key, ["EVAL", text, ...command.slice(2)], signal);
      });
    },
    close() {
      isClosed = true;
      closing.resolve(false);
      driver.close();
    },
  };
}

/**
 * Sends as the client does, and has it connect anew where its connection leads nowhere: to a server that is silent (of
 * what is under way one command at a time is looked at, when the next one is sent), or to one that a failover has made a
 * replica, while its name leads to the new master by now.
 */
function watched(client: RedisDriver, runtime: Runtime, onReconnect: () => void): RedisDriver["send"] {
  let sentAt: number | undefined;
  let reconnectedAt = Number.NEGATIVE_INFINITY;
  const answered = (): void => {
    sentAt = undefined;
  };

  function reconnect(): void {
    sentAt = undefined;
    const nowMs = runtime.monotonicNow();
    // Where the name itself is a replica's, readers are not disturbed at every write.
    if (!client.reconnect || nowMs - reconnectedAt < SILENT_MS) return;
    reconnectedAt = nowMs;
    onReconnect();
    client.reconnect();
  }

  return (key, args, signal) => {
    if (sentAt !== undefined && runtime.monotonicNow() - sentAt > SILENT_MS) reconnect();
    const reply = client.send(key, args, signal);
    const isWatched = sentAt === undefined;
    sentAt ??= runtime.monotonicNow();
    reply.then(isWatched ? answered : undefined, (error: unknown) => {
      if (isWatched) answered();
      if (textOf(error).startsWith("READONLY")) reconnect();
    });
    return reply;
  };
}

function textOf(error: unknown): string {
  return error instanceof Error ? error.message : "";
}

/** What Redis says about why, by the first word of its error; it may go on with a key. */
const REASONS: Readonly<Record<string, string>> = {
  NOAUTH: "it wants a password",
  WRONGPASS: "the password is wrong",
  NOPERM: "the user may not do this; docs/stores/redis.md lists what it needs",
  READONLY: "this node is a replica",
  CLUSTERDOWN: "the cluster is down",
  LOADING: "it is still loading",
  MASTERDOWN: "the replica has lost its master",
  MISCONF: "it cannot save to disk, and so takes no writes",
  NOREPLICAS: "too few replicas are connected",
  WRONGTYPE: "another program keeps something else under this key",
  TRYAGAIN: "slots are being moved",
};

/** Whether `maxmemory` is reached, and nothing was written. */
export function isFull(error: unknown): boolean {
  return textOf(error).startsWith("OOM");
}

/** The client's own error may hold the command it was for, so it is not kept as the cause. */
function redisFailure(operation: string, error: unknown): Error {
  if (error instanceof OptionsError || error instanceof TokenkeepError) return error;
  const word = /^[A-Z]+/.exec(textOf(error))?.[0] ?? "";
  const options = { cause: plain(error), retryable: true };
  if (isFull(error)) {
    return new TokenkeepError(
      "ERR_STORE_FULL",
      `store redis: ${operation} failed, its memory is full`,
      options,
    );
  }
  const reason = REASONS[word];
  if (reason === undefined) return storeFailure("redis", operation, options.cause);
  return new TokenkeepError("ERR_STORE_UNAVAILABLE", `store redis: ${operation} failed, ${reason}`, options);
}

/** Name, code and the kind of failure; of Redis's own words only the first, as the others may quote. */
function plain(error: unknown): Error {
  if (!(error instanceof Error)) return new Error("the client failed without an error");
  const copy = new Error(isReply(error) ? (/^[A-Z]+/.exec(error.message)?.[0] ?? "") : error.message);
  copy.name = error.name;
  if ("code" in error && typeof error.code === "string") Object.assign(copy, { code: error.code });
  return copy;
}

/** Whether the server has said so. The libraries' classes are called `ReplyError`, or are kinds of `ErrorReply`. */
export function isReply(error: unknown): boolean {
  if (!(error instanceof Error)) return false;
  for (let kind: unknown = error; kind instanceof Error; kind = Object.getPrototypeOf(kind)) {
    if (/Reply/.test(kind.name) || /Reply/.test(kind.constructor.name)) return true;
  }
  return /^[A-Z]{2,} /.test(error.message);
}
