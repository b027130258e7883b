/** Checks of arguments that several adapters share, so that a wrong call fails the same way everywhere. */
import { OptionsError } from "../../errors.ts";

/** Past the largest time a database can hold exactly, a value simply does not expire. */
const LATEST_EXPIRY_MS = Number.MAX_SAFE_INTEGER;

/** With the `u` flag, whole pairs are one character and do not match. */
const HALF_A_PAIR = /\p{Surrogate}/u;

/**
 * When a value kept for `ttlMs` from `nowMs` expires, in whole milliseconds, rounded up.
 * @throws {OptionsError} if `ttlMs` is not a number above 0.
 */
export function expiryAt(nowMs: number, ttlMs: number): number {
  if (!(ttlMs > 0)) throw new OptionsError("ttlMs", "must be a number of milliseconds above 0");
  return Math.min(Math.ceil(nowMs + ttlMs), LATEST_EXPIRY_MS);
}

/**
 * Page and batch sizes.
 * @throws {OptionsError} if `limit` is not a whole number from 1 to `max`.
 */
export function checkLimit(limit: number, max: number): void {
  if (Number.isInteger(limit) && limit >= 1 && limit <= max) return;
  throw new OptionsError("limit", `must be a whole number from 1 to ${max}`);
}

/**
 * Keys for a backend that keeps text as UTF-8: half a surrogate pair would be replaced on the way and two
 * keys become one, and SQLite's own tools end a text at its first NUL.
 * @throws {OptionsError} which does not repeat the key.
 */
export function checkTextKey(option: string, key: string): void {
  if (!HALF_A_PAIR.test(key) && !key.includes("\0")) return;
  throw new OptionsError(option, "must be well-formed Unicode without NUL");
}
