/**
 * The only source of time, timers, randomness and ids.
 *
 * Everything that depends on one of them takes a {@link Runtime}, so that a test or a simulation can own
 * the clock. A lint rule forbids `Date.now`, `setTimeout`, `Math.random` and their kin everywhere else.
 */
import { randomBytes, randomFillSync, randomInt } from "node:crypto";

/** A pending timer; pass it to {@link Runtime.clearTimer}. */
export type Timer = unknown;

/** Time, timers, randomness and ids, as one object that can be replaced. */
export interface Runtime {
  /** Wall clock, milliseconds since the Unix epoch (UTC). May jump. */
  now(): number;
  /** Monotonic clock, milliseconds. Only differences mean anything. Never goes back. */
  monotonicNow(): number;
  /**
   * Calls `callback` once after `delayMs`. The timer does not keep the process alive, unless `keepAlive` says
   * that somebody awaits it: a script whose last call is between two attempts would end without its write.
   */
  setTimer(callback: () => void, delayMs: number, options?: { readonly keepAlive?: boolean }): Timer;
  /** Forgets a timer; harmless if it has fired. */
  clearTimer(timer: Timer): void;
  /** Cryptographically strong random bytes. */
  randomBytes(length: number): Uint8Array;
  /** A random UUID, for correlation ids. */
  uuid(): string;
  /** A number in [0, 1) for jitter. Not for secrets. */
  jitter(): number;
}

const UUID_LENGTH = 36;
/** Written at a time as one text, of which each id is a part: whoever keeps one keeps so many. */
const UUIDS_AT_ONCE = 32;
/** Each call for randomness costs about as much as thirty ids do otherwise. */
const RANDOM_BYTES_AT_ONCE = 8_192;

/**
 * Makes random UUIDs (RFC 9562, version 4), as `crypto.randomUUID` does for three times the time: every token from
 * memory has one, and that was the dearest part of it. The randomness is the operating system's all the same.
 */
function createUuids(): () => string {
  // The two hexadecimal digits of a byte, as character codes.
  const digits = Uint16Array.from({ length: 256 }, (_, byte) => {
    const text = byte.toString(16).padStart(2, "0");
    return text.charCodeAt(0) | (text.charCodeAt(1) << 8);
  });
  const random = new Uint8Array(RANDOM_BYTES_AT_ONCE);
  const codes = Buffer.alloc(UUID_LENGTH * UUIDS_AT_ONCE, "-");
  let used = random.length;
  let text = "";
  let at = 0;

  function writeAll(): void {
    if (used === random.length) {
      randomFillSync(random);
      used = 0;
    }
    for (let start = 0; start < codes.length; start += UUID_LENGTH) {
      random[used + 6] = ((random[used + 6] as number) & 0x0f) | 0x40;
      random[used + 8] = ((random[used + 8] as number) & 0x3f) | 0x80;
      for (let index = 0; index < 16; index += 1) {
        const place = start + (PLACES[index] as number);
        const two = digits[random[used + index] as number] as number;
        codes[place] = two;
        codes[place + 1] = two >> 8;
      }
      used += 16;
    }
    text = codes.toString("latin1");
    at = 0;
  }

  return () => {
    if (at === text.length) writeAll();
    return text.slice(at, (at += UUID_LENGTH));
  };
}

/** Where the digits of each byte stand; the dashes are between them. */
const PLACES = [0, 2, 4, 6, 9, 11, 14, 16, 19, 21, 24, 26, 28, 30, 32, 34] as const;

/** Ids and nonces, which are no secrets once they are used; what is longer, e.g. a key, is never pooled. */
const MAX_POOLED_BYTES = 16;
const POOL_BYTES = 4_096;
let pool = new Uint8Array(0);
let poolAt = 0;

/** Asking the operating system for 16 bytes costs 1.5 µs, for 4,096 hardly more. No byte is given out twice. */
function pooledBytes(length: number): Uint8Array {
  if (poolAt + length > pool.length) {
    pool = randomFillSync(new Uint8Array(POOL_BYTES));
    poolAt = 0;
  }
  // A copy: whoever looks at its buffer sees nothing that somebody else will get.
  const bytes = pool.slice(poolAt, poolAt + length);
  poolAt += length;
  return bytes;
}

/** The running process: its clocks, its timers (unref'ed) and the operating system's randomness. */
export const systemRuntime: Runtime = Object.freeze({
  now: () => Date.now(),
  monotonicNow: () => performance.now(),
  setTimer(callback: () => void, delayMs: number, options?: { readonly keepAlive?: boolean }): Timer {
    const timer = setTimeout(callback, delayMs);
    return options?.keepAlive ? timer : timer.unref();
  },
  clearTimer: (timer: Timer) => clearTimeout(timer as NodeJS.Timeout),
  randomBytes: (length: number): Uint8Array =>
    length <= MAX_POOLED_BYTES ? pooledBytes(length) : randomBytes(length),
  uuid: createUuids(),
  jitter: () => randomInt(0x1_0000_0000) / 0x1_0000_0000,
});

/** Tells this process from every other one of the host, also from an earlier one with the same pid (a container's 1). */
export const processName = `${process.pid}-${Math.round(performance.timeOrigin * 1_000).toString(36)}`;

/** An id of 128 random bits, base64url, 22 characters: versions, incarnations, flow ids. Never reused. */
export function randomId(runtime: Runtime): string {
  const bytes = runtime.randomBytes(16);
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString("base64url");
}

/** Resolves after `delayMs` of the runtime's time. */
export function sleep(runtime: Runtime, delayMs: number): Promise<void> {
  return new Promise((resolve) => {
    runtime.setTimer(resolve, delayMs, { keepAlive: true });
  });
}
