/** Sealing and opening, for callers that know nothing of keys and formats. */
import type { KeyObject } from "node:crypto";

import { OptionsError } from "../errors.ts";
import type { Runtime } from "../runtime.ts";
import type { OpenFailureReason } from "../telemetry/events.ts";
import type { SealContext } from "./context.ts";
import { SALT_BYTES, parseHeader, parsePlain, writePlain } from "./format.ts";
import type { KeyRing } from "./key-ring.ts";
import { openSuiteOne, sealSuiteOne } from "./suite-one.ts";

export type { SealContext } from "./context.ts";

/**
 * What opening came to.
 *
 * - `unknown-key`: sealed under a key id that is not in the ring (or there is no ring). Retryable.
 * - `unsupported`: written by a newer release. Retryable after the upgrade.
 * - `refused`: everything else, and after the key has been found always this: not sealed, cut short,
 *   changed, sealed for another context, or under another key of the same id. Never says which.
 */
export type OpenResult =
  | {
      readonly ok: true;
      /** The caller's own copy. */
      readonly plaintext: Buffer;
      /** The key it was sealed under, which need not be the sealing key of today. Absent if unsealed. */
      readonly keyId: string | undefined;
    }
  | { readonly ok: false; readonly reason: OpenFailureReason };

/** Seals and opens bytes, bound to a context. Synchronous: tens of µs up to 100 KB, less than a hop to the thread pool costs. */
export interface Sealer {
  /** False only for `"unsealed"`. */
  readonly sealed: boolean;
  /** The id of the key that {@link Sealer.seal} uses; `undefined` if unsealed. */
  readonly keyId: string | undefined;
  /** Two calls never give the same bytes (unless unsealed). Adds 87 bytes and the length of the key id. */
  seal(plaintext: Uint8Array, context: SealContext): Uint8Array;
  /** Never throws because of what the bytes are. Never takes unsealed bytes for sealed ones. */
  open(bytes: Uint8Array, context: SealContext): OpenResult;
}

/**
 * A sealer with the keys of a ring, or with `"unsealed"` one that keeps everything in clear.
 *
 * Throws {@link OptionsError} where `keys` is neither: there is no default that would leave tokens in clear.
 */
export function createSealer(keys: KeyRing | "unsealed", runtime: Runtime): Sealer {
  if (keys === "unsealed") return plainSealer;
  // Callers without types may hand over anything, above all nothing.
  const ring: Partial<KeyRing> | undefined = keys;
  if (typeof ring?.find !== "function" || typeof ring.sealingKeyId !== "string") {
    throw new OptionsError(
      "keys",
      'must be a key ring (createKeyRing, keysFromEnv, keysFromFile), or "unsealed" to keep tokens in clear',
    );
  }
  const sealingKey = keys.find(keys.sealingKeyId);
  if (sealingKey === undefined) throw new OptionsError("keys", "does not have its own sealing key");
  return ringSealer(keys, keys.sealingKeyId, sealingKey, runtime);
}

function ringSealer(keys: KeyRing, keyId: string, sealingKey: KeyObject, runtime: Runtime): Sealer {
  return Object.freeze({
    sealed: true,
    keyId,
    seal: (plaintext: Uint8Array, context: SealContext) =>
      sealSuiteOne(sealingKey, keyId, runtime.randomBytes(SALT_BYTES), plaintext, context),
    open(bytes: Uint8Array, context: SealContext): OpenResult {
      const parsed = parseHeader(bytes);
      if (!parsed.ok) return parsed;
      const key = keys.find(parsed.header.keyId);
      if (key === undefined) return unknownKey;
      const plaintext = openSuiteOne(key, parsed.header, bytes, context);
      if (plaintext === undefined) return refused;
      return { ok: true, plaintext, keyId: parsed.header.keyId };
    },
  });
}

const plainSealer: Sealer = Object.freeze({
  sealed: false,
  keyId: undefined,
  seal: (plaintext: Uint8Array) => writePlain(plaintext),
  open(bytes: Uint8Array): OpenResult {
    const header = parseHeader(bytes);
    if (header.ok) return unknownKey;
    if (header.reason === "unsupported") return header;
    const plain = parsePlain(bytes);
    return plain.ok ? { ok: true, plaintext: plain.plaintext, keyId: undefined } : plain;
  },
});

const unknownKey = Object.freeze({ ok: false, reason: "unknown-key" } as const);
const refused = Object.freeze({ ok: false, reason: "refused" } as const);
