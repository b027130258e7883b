/** Shared by the tests of envelope/: a runtime whose randomness is known, and two rings. */
import { systemRuntime } from "../../src/runtime.ts";
import type { Runtime } from "../../src/runtime.ts";
import { createKeyRing } from "../../src/envelope/key-ring.ts";
import type { SealContext } from "../../src/envelope/sealer.ts";

export const KEY_ONE = Buffer.from(Array.from({ length: 32 }, (_, index) => index));
export const KEY_TWO = Buffer.from(Array.from({ length: 32 }, (_, index) => 255 - index));

export const RING = createKeyRing({
  sealing: { id: "one", key: KEY_ONE },
  opening: [{ id: "two", key: KEY_TWO }],
});

export const CONTEXT: SealContext = { namespace: "app", key: "user:9f2c", kind: "record" };

/** The system's runtime, with these bytes for its randomness, over and over. */
export function knownRandomness(bytes: Uint8Array): Runtime {
  return { ...systemRuntime, randomBytes: (length) => Buffer.alloc(length, bytes) };
}
