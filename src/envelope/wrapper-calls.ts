/** Calls to a {@link KeyWrapper}: each within its budget, and with an error that can be shown to anybody. */
import { createSecretKey } from "node:crypto";
import type { KeyObject } from "node:crypto";
import { types } from "node:util";

import { checkMethods, checkedPositive, MAX_TIMER_MS } from "../checks.ts";
import { OptionsError, TokenkeepError } from "../errors.ts";
import type { Runtime } from "../runtime.ts";
import { KEY_BYTES } from "./key-ring.ts";
import { isKeyVersion } from "./key-wrapper.ts";
import type { KeyWrapper, WrapAnswer, WrappedKey } from "./key-wrapper.ts";

/** Shorter than the text of any key, so that no key passes for an error's code. */
const NAME = /^[A-Za-z0-9_.-]{1,32}$/;

const DEFAULT_BUDGET_MS = 5_000;

const CLOSED = "the cache was closed";

/** Somebody who is asked for keys, by name, and how long each call may take. */
interface ProviderCalls {
  readonly wrapper: Pick<KeyWrapper, "name">;
  readonly budgetMs: number;
  readonly runtime: Runtime;
  /** Ends the wait as the budget does: nobody waits any more. Once it has ended nobody is asked. */
  readonly ending?: AbortSignal | undefined;
}

/** A wrapper and how long each call to it may take. */
export interface WrapperCalls extends ProviderCalls {
  readonly wrapper: KeyWrapper;
}

/**
 * The data key of an entry. The bytes that the wrapper handed over are zeroed. Throws `ERR_KEYS_UNAVAILABLE`
 * (retryable) or `ERR_KEYS_REFUSED`.
 */
export async function unwrapKey(calls: WrapperCalls, entry: WrappedKey): Promise<KeyObject> {
  const { keyVersion } = entry;
  const what = `unwrapping key ${entry.id}`;
  // A copy: what comes of an answer that is late, or a wrapper that writes into it, is not the next call's.
  const wrapped = Uint8Array.from(entry.wrapped);
  const bytes = await callProvider(
    calls,
    what,
    (signal) => calls.wrapper.unwrap(wrapped, { keyVersion, signal }),
    wipe,
  );
  try {
    if (isKey(bytes)) return createSecretKey(bytes);
    throw refusal(calls.wrapper, what, "did not give 32 bytes");
  } finally {
    wipe(bytes);
  }
}

/** Wraps a data key. Throws as {@link unwrapKey} does. */
export async function wrapKey(calls: WrapperCalls, dataKey: Uint8Array): Promise<WrapAnswer> {
  const answer: Partial<WrapAnswer> | undefined = await callProvider(calls, "wrapping a key", (signal) =>
    calls.wrapper.wrap(dataKey, { signal }),
  );
  const { wrapped, keyVersion } = answer ?? {};
  if (types.isUint8Array(wrapped) && wrapped.length > 0 && isKeyVersion(keyVersion)) {
    return { wrapped: Uint8Array.from(wrapped), keyVersion };
  }
  throw refusal(calls.wrapper, "wrapping a key", "did not give { wrapped, keyVersion }");
}

export function checkWrapper(wrapper: unknown, option: string): asserts wrapper is KeyWrapper {
  checkMethods(wrapper, option, ["wrap", "unwrap"], "a key wrapper");
  const { name } = wrapper as Partial<KeyWrapper>;
  if (typeof name === "string" && NAME.test(name)) return;
  throw new OptionsError(option, "must have a `name` of 1 to 32 characters of A-Z a-z 0-9 . _ -");
}

export function checkedBudget(budgetMs: number | undefined): number {
  return checkedPositive(budgetMs, "budgetMs", DEFAULT_BUDGET_MS, MAX_TIMER_MS);
}

export function refusal(wrapper: KeyWrapper, what: string, problem: string): TokenkeepError {
  return new TokenkeepError("ERR_KEYS_REFUSED", `key provider ${wrapper.name}: ${what}: it ${problem}`);
}

/**
 * Calls something of the provider within the budget. What it throws comes as one of our errors.
 *
 * @param discard is given an answer that came when nobody waited for it any more
 */
export function callProvider<T>(
  calls: ProviderCalls,
  what: string,
  call: (signal: AbortSignal) => Promise<T>,
  discard?: (answer: T) => void,
): Promise<T> {
  const { runtime, budgetMs, wrapper, ending } = calls;
  // A signal tells nobody twice: the call would be waited for until its time is up.
  if (ending?.aborted) return Promise.reject(unavailable(wrapper, what, CLOSED));
  const controller = new AbortController();
  return new Promise((resolve, reject) => {
    let waiting = true;
    const settle = (outcome: () => void): void => {
      if (!waiting) return;
      waiting = false;
      runtime.clearTimer(timer);
      ending?.removeEventListener("abort", ended);
      outcome();
    };
    const giveUp = (problem: string): void => {
      settle(() => reject(unavailable(wrapper, what, problem)));
      controller.abort();
    };
    const outOfTime = (): void => giveUp(`it did not answer within ${budgetMs} ms`);
    const ended = (): void => giveUp(CLOSED);
    // Somebody awaits the keys: a script must not end for want of other things to do.
    const timer = runtime.setTimer(outOfTime, budgetMs, { keepAlive: true });
    ending?.addEventListener("abort", ended);
    // Not before the timer is there: what a wrapper throws at once is settled at once.
    const answered = async (): Promise<T> => call(controller.signal);
    answered().then(
      (answer) => (waiting ? settle(() => resolve(answer)) : discard?.(answer)),
      (error: unknown) => settle(() => reject(shownError(wrapper, what, error))),
    );
  });
}

/**
 * What can be shown of what a wrapper threw. It is not kept as `cause`: clients of key services put requests
 * and answers into their errors, with access tokens in the one and keys in the other.
 */
function shownError(wrapper: Pick<KeyWrapper, "name">, what: string, error: unknown): TokenkeepError {
  const refused = error instanceof TokenkeepError && error.code === "ERR_KEYS_REFUSED";
  if (refused) return error;
  if (error instanceof TokenkeepError && error.code === "ERR_KEYS_UNAVAILABLE") return error;
  const { name, code, statusCode } = (error ?? {}) as Record<string, unknown>;
  const known = [name, code, Number.isInteger(statusCode) ? String(statusCode) : undefined];
  const shown = known.filter((text) => typeof text === "string" && NAME.test(text));
  return unavailable(wrapper, what, `it failed (${shown.join(" ") || "no more is known"})`);
}

function unavailable(wrapper: Pick<KeyWrapper, "name">, what: string, problem: string): TokenkeepError {
  const text = `key provider ${wrapper.name}: ${what}: ${problem}`;
  return new TokenkeepError("ERR_KEYS_UNAVAILABLE", text, { retryable: true });
}

function isKey(bytes: unknown): bytes is Uint8Array {
  return types.isUint8Array(bytes) && bytes.length === KEY_BYTES;
}

function wipe(bytes: unknown): void {
  if (types.isUint8Array(bytes)) bytes.fill(0);
}
