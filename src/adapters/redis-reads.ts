/** Readings that begin in the same turn of the event loop go out as one command. */
import { checkTextKey } from "./shared/arguments.ts";
import type { RedisDriver, RedisReply } from "./redis-client.ts";
import type { RedisConnection } from "./redis-connection.ts";
import { storedFrom } from "./redis-value.ts";
import type { Stored } from "../store/blob-store.ts";

interface Reading {
  readonly key: string;
  resolve(stored: Stored | undefined): void;
  reject(error: unknown): void;
}

/** More would hold up the first of them until the answers to all have come. */
const MAX_JOINED = 64;

/** A server that knows only the commands it was told to, or a proxy in front of several, may refuse the joined one. */
const REFUSES_JOINED = /^(?:NOPERM|CROSSSLOT|ERR unknown command|ERR command not)/i;

/**
 * Reads values by key. One reading is a `GET`; several of one turn are an `MGET`, which costs the client and the
 * server a fraction of as many commands, and is the same round trip. To `MGET` something that is no text is a miss
 * instead of a failure: the write that follows is what fails then, and nothing is lost.
 */
export function redisReads(connection: RedisConnection): (key: string) => Promise<Stored | undefined> {
  let waiting: Reading[] = [];
  let mayJoin = true;

  function send(): void {
    const readings = waiting;
    waiting = [];
    const driver = connection.open;
    if (driver && mayJoin && driver.joinsKeys && readings.length > 1) sendJoined(driver, readings);
    else for (const reading of readings) sendAlone(reading);
  }

  function sendAlone(reading: Reading): void {
    const { key, reject } = reading;
    connection
      .call("get", (driver) => driver.send(key, ["GET", key]))
      .then((reply) => answer(reading, reply), reject);
  }

  function sendJoined(driver: RedisDriver, readings: readonly Reading[]): void {
    const keys = readings.map(({ key }) => key);
    // Here and now, as one command: whatever `send` throws is a failure as well.
    const asked = new Promise<RedisReply>((resolve) =>
      resolve(driver.send(keys[0] ?? "", ["MGET", ...keys])),
    );
    asked.then(
      (replies) => {
        // A reply that is missing is no miss.
        const isWhole = Array.isArray(replies) && replies.length === readings.length;
        if (!isWhole)
          return failAll(readings, new Error("the client answered with something else than a list"));
        for (const [index, reading] of readings.entries()) answer(reading, replies[index] as RedisReply);
      },
      (error: unknown) => {
        if (!(error instanceof Error && REFUSES_JOINED.test(error.message))) return failAll(readings, error);
        mayJoin = false;
        for (const reading of readings) sendAlone(reading);
      },
    );
  }

  function failAll(readings: readonly Reading[], error: unknown): void {
    for (const { reject } of readings) reject(connection.failure("get", error));
  }

  function answer({ resolve, reject }: Reading, reply: RedisReply): void {
    try {
      resolve(storedFrom(reply));
    } catch (error) {
      reject(connection.failure("get", error));
    }
  }

  return (key) =>
    new Promise((resolve, reject) => {
      checkTextKey("key", key);
      waiting.push({ key, resolve, reject });
      // After everything that is waiting for the same answers has gone on, and before anything new is read.
      if (waiting.length === 1) process.nextTick(send);
      else if (waiting.length === MAX_JOINED) send();
    });
}
