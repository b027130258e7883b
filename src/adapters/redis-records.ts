/** Records: one key each, whose value begins with its version. */
import { checkTextKey, expiryAt } from "./shared/arguments.ts";
import type { RedisReply } from "./redis-client.ts";
import type { RedisConnection } from "./redis-connection.ts";
import { redisReads } from "./redis-reads.ts";
import { DELETE, GET_UNLESS, PUT, TOUCH } from "./redis-scripts.ts";
import { headOf, storedFrom } from "./redis-value.ts";
import type { BlobStore, PutResult, Version } from "../store/blob-store.ts";

/** The {@link BlobStore} part. A read, a write and a conflict with what is there are one round trip each. */
export function redisRecords(
  connection: RedisConnection,
): Pick<BlobStore, "get" | "put" | "touch" | "delete"> {
  const { call, run } = connection;
  const read = redisReads(connection);
  return {
    get: (key, { unlessVersion, withExpiry = false } = {}) => {
      if (unlessVersion === undefined && !withExpiry) return read(key);
      return call("get", async (driver) => {
        checkTextKey("key", key);
        const reply =
          unlessVersion === undefined
            ? await driver.send(key, ["GET", key])
            : await run(driver, GET_UNLESS, [key], [headOf(unlessVersion)]);
        if (reply === 1) return "unchanged";
        const stored = storedFrom(reply);
        if (!stored || !withExpiry) return stored;
        // Asked for afterwards: a renewal in between counts.
        const leftMs = Number(await driver.send(key, ["PTTL", key]));
        return leftMs < 0 ? stored : { ...stored, expiresAtMs: connection.runtime.now() + leftMs };
      });
    },
    put: (key, bytes, { version, ifVersion, ttlMs, signal }) =>
      call("put", (driver) => {
        checkTextKey("key", key);
        return putValue(connection, driver, key, { bytes, version, ifVersion, ttl: ttlText(ttlMs), signal });
      }),
    touch: (key, { ifVersion, ttlMs }) =>
      call("touch", async (driver) => {
        checkTextKey("key", key);
        return (await run(driver, TOUCH, [key], [headOf(ifVersion), ttlText(ttlMs)])) === 1;
      }),
    delete: (key, { ifVersion }) =>
      call("delete", async (driver) => {
        checkTextKey("key", key);
        return (await run(driver, DELETE, [key], [headOf(ifVersion)])) === 1;
      }),
  };
}

interface Write {
  readonly bytes: Uint8Array;
  readonly version: Version;
  readonly ifVersion: Version | null;
  /** Whole milliseconds; `0`: for ever. */
  readonly ttl: string;
  readonly signal?: AbortSignal | undefined;
}

/** Compare and swap of one value, also for account activity. */
export function putValue(
  { run }: RedisConnection,
  driver: Parameters<RedisConnection["run"]>[0],
  key: string,
  { bytes, version, ifVersion, ttl, signal }: Write,
): Promise<PutResult> {
  const expected = ifVersion === null ? "" : headOf(ifVersion);
  const args = [expected, headOf(version), asBuffer(bytes), ttl];
  return run(driver, PUT, [key], args, signal).then((reply) => {
    if (reply === 1) return { stored: true };
    const current = storedFrom(Array.isArray(reply) ? (reply as readonly RedisReply[])[0] : undefined);
    return current === undefined ? { stored: false } : { stored: false, current };
  });
}

/** The same memory. */
function asBuffer(bytes: Uint8Array): Buffer {
  return Buffer.isBuffer(bytes) ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

/** The server counts from when it gets the command. */
function ttlText(ttlMs: number): string {
  return String(expiryAt(0, ttlMs));
}
