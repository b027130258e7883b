/**
 * The only source of time, timers, randomness and ids.
 *
 * Everything that depends on one of them takes a {@link Runtime}, so that a test or a simulation can own
 * the clock. A lint rule forbids `Date.now`, `setTimeout`, `Math.random` and their kin everywhere else.
 */
import { randomBytes, randomInt, randomUUID } from "node:crypto";

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

/** The running process: its clocks, its timers (unref'ed) and the operating system's randomness. */
export const systemRuntime: Runtime = Object.freeze({
  now: () => Date.now(),
  monotonicNow: () => performance.now(),
  setTimer(callback: () => void, delayMs: number, options?: { readonly keepAlive?: boolean }): Timer {
    const timer = setTimeout(callback, delayMs);
    return options?.keepAlive ? timer : timer.unref();
  },
  clearTimer: (timer: Timer) => clearTimeout(timer as NodeJS.Timeout),
  randomBytes: (length: number): Uint8Array => randomBytes(length),
  uuid: () => randomUUID(),
  jitter: () => randomInt(0x1_0000_0000) / 0x1_0000_0000,
});

/** Tells this process from every other one of the host, also from an earlier one with the same pid (a container's 1). */
export const processName = `${process.pid}-${Math.round(performance.timeOrigin * 1_000).toString(36)}`;

/** An id of 128 random bits, base64url, 22 characters: versions, incarnations, flow ids. Never reused. */
export function randomId(runtime: Runtime): string {
  return Buffer.from(runtime.randomBytes(16)).toString("base64url");
}

/** Resolves after `delayMs` of the runtime's time. */
export function sleep(runtime: Runtime, delayMs: number): Promise<void> {
  return new Promise((resolve) => {
    runtime.setTimer(resolve, delayMs, { keepAlive: true });
  });
}
