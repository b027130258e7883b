/** What holds whatever the input was. */
import { AuthError } from "@azure/msal-node";
import { afterEach, expect } from "vitest";
import { OptionsError, TokenkeepError } from "../../src/errors.ts";

const PROTOTYPES = [
  Object.prototype,
  Array.prototype,
  Function.prototype,
  String.prototype,
  Number.prototype,
];

const fingerprint = (): string =>
  JSON.stringify(PROTOTYPES.map((prototype) => Object.getOwnPropertyNames(prototype)));

/** Called at the top of a test file: no test of it may leave anything on a prototype. */
export function guardPrototypes(): void {
  const before = fingerprint();
  afterEach(() => expect(fingerprint()).toBe(before));
}

/** What an application may be told: an error of the documented kinds. Anything else is a crash. */
export function expectDocumented(error: unknown): void {
  const isDocumented =
    error instanceof TokenkeepError || error instanceof OptionsError || error instanceof AuthError;
  if (!isDocumented) throw error;
}

/** An error that says "not now", and nothing about the user. */
export function isNotNow(error: unknown): boolean {
  return error instanceof TokenkeepError && error.retryable;
}

/** A result, or a documented error. */
export async function settled<R>(work: Promise<R>): Promise<{ result: R } | { error: Error }> {
  try {
    return { result: await work };
  } catch (error) {
    expectDocumented(error);
    return { error: error as Error };
  }
}

/** No secret has got into what an application logs. */
export function expectNoSecret(value: unknown, secrets: Iterable<string>): void {
  const text = describe(value);
  for (const secret of secrets) expect(text).not.toContain(secret);
}

function describe(value: unknown): string {
  if (!(value instanceof Error)) return JSON.stringify(value) ?? "";
  const own = JSON.stringify(value, Object.getOwnPropertyNames(value));
  return `${own} ${value.cause === undefined ? "" : describe(value.cause)}`;
}
