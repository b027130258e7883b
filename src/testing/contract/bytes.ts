/** Values for the suites, and assertions on them that speak of lengths rather than print megabytes. */
import { randomId, systemRuntime } from "../../runtime.ts";
import type { BlobStore, Stored } from "../../store/blob-store.ts";
import type { ContractExpect } from "./runner.ts";

/** Every byte there is, once. */
export function everyByte(): Uint8Array {
  return Uint8Array.from({ length: 256 }, (_, byte) => byte);
}

/** `length` bytes in which no two neighbouring kilobytes are alike. */
export function patternOf(length: number): Uint8Array {
  const bytes = new Uint8Array(length);
  for (let index = 0; index < length; index += 1) bytes[index] = index ^ (index >> 8) ^ (index >> 16);
  return bytes;
}

export function bytesOf(text: string): Uint8Array {
  return new TextEncoder().encode(text);
}

/** A version or revision nobody has used: random, as the ports require of callers. */
export function fresh(): string {
  return randomId(systemRuntime);
}

/** Fails unless `actual` are exactly these bytes; a Buffer is as good as any Uint8Array. */
export function expectBytes(expect: ContractExpect, actual: unknown, expected: Uint8Array): void {
  expect(actual instanceof Uint8Array).toBe(true);
  const bytes = actual as Uint8Array;
  expect(bytes.length).toBe(expected.length);
  const firstDifference =
    Buffer.compare(bytes, expected) === 0 ? -1 : bytes.findIndex((b, at) => b !== expected[at]);
  expect(firstDifference).toBe(-1);
}

/** Fails unless the key holds these bytes under this version. */
export async function expectStored(
  expect: ContractExpect,
  store: BlobStore,
  key: string,
  expected: { readonly bytes: Uint8Array; readonly version: string },
): Promise<void> {
  const stored = await readStored(expect, store, key);
  expect(stored.version).toBe(expected.version);
  expectBytes(expect, stored.bytes, expected.bytes);
}

/** What the key holds; fails if it holds nothing. */
export async function readStored(expect: ContractExpect, store: BlobStore, key: string): Promise<Stored> {
  const stored = await store.get(key);
  expect(typeof stored).toBe("object");
  return stored as Stored;
}
