/** What lies under a record's key: one byte of length, the version, the bytes. */
import { OptionsError } from "../errors.ts";
import type { RedisReply } from "./redis-client.ts";
import type { Stored, Version } from "../store/blob-store.ts";

const MAX_VERSION_BYTES = 255;

/** @throws if it is not a value of this adapter's */
export function storedFrom(reply: RedisReply): Stored | undefined {
  if (reply === null || reply === undefined) return undefined;
  if (!Buffer.isBuffer(reply)) throw new Error("the client answered with something else than bytes");
  const length = reply[0] ?? 0;
  if (length === 0 || reply.length <= length) throw new Error("another program wrote under this key");
  return { version: reply.toString("utf8", 1, 1 + length), bytes: reply.subarray(1 + length) };
}

/** The longest length that is one byte also in UTF-8. */
const MAX_ASCII = 127;

/** What a value of that version begins with. A text where that has the same bytes: clients send it in one piece. */
export function headOf(version: Version): string | Buffer {
  const length = Buffer.byteLength(version, "utf8");
  if (length < 1 || length > MAX_VERSION_BYTES) {
    throw new OptionsError("version", `must have 1 to ${MAX_VERSION_BYTES} bytes`);
  }
  if (length <= MAX_ASCII) return String.fromCharCode(length) + version;
  return Buffer.concat([Buffer.of(length), Buffer.from(version, "utf8")]);
}
